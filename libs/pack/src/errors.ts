/** How a failure is to be treated: try again later, give up and tell someone, or fix the program. */
export type ErrorKind = 'transient' | 'permanent' | 'bug';

/** Base of everything that this library throws on purpose. */
export abstract class PackError extends Error {
  abstract readonly code: string;
  abstract readonly kind: ErrorKind;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The bytes are not a pack of a version that we read, or contradict themselves. */
export class PackFormatError extends PackError {
  readonly code = 'pack-format';
  readonly kind = 'permanent';
}

/** The bytes are a pack, but not the ones that were written: a digest differs. */
export class PackIntegrityError extends PackError {
  readonly code = 'pack-integrity';
  readonly kind = 'permanent';
}

/** A sync (or a write, other than for want of space) failed: nothing more in this segment may be acknowledged. */
export class SegmentPoisonedError extends PackError {
  readonly code = 'segment-poisoned';
  readonly kind = 'transient';
}

/** Too little free space: answer A700 (out of resources, PS3.4 B.2.3). Nothing of the object was kept. */
export class SpoolFullError extends PackError {
  readonly code = 'spool-full';
  readonly kind = 'transient';
}

/** Another process holds the volume. */
export class SpoolLockedError extends PackError {
  readonly code = 'spool-locked';
  readonly kind = 'permanent';
}

/** The caller broke the protocol of an object (two objects at once in a segment, write after commit, ...). */
export class SpoolUsageError extends PackError {
  readonly code = 'spool-usage';
  readonly kind = 'bug';
}

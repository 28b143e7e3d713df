/**
 * The way of one association's objects into the spool. `SpoolLane`: segments of its own, sealed when the association
 * ends, at 64 MiB, or after a second without an object. `StrictLane`: each object a pack of its own, answered when the
 * catalog has it.
 */
import type { HeaderResult } from '@archipelago/dicom-encoding';
import type {
  AssociationSegments,
  EntryContext,
  EntryWriter,
  PackEntry,
  SealedPack,
  SegmentWriter,
} from '@archipelago/pack';
import { SEAL_IDLE_MS } from '@archipelago/pack';
import type { PackOutcome } from './pack-keeper';

/** Where an object lies that was committed. */
export interface Committed {
  packId: string;
  entry: PackEntry;
}

/** One object on its way. Exactly one of commit() and rollback() ends it. */
export interface LaneEntry {
  write(chunk: Buffer): void | Promise<void>;
  /** After it resolves the object may be acknowledged. @throws SegmentPoisonedError, NotConfirmedError */
  commit(header: HeaderResult, warnings: string[]): Promise<Committed>;
  rollback(): Promise<void>;
}

export interface SegmentLane {
  /** Objects of a lane follow each other: waits for the one before. @throws SpoolFullError, SegmentPoisonedError */
  begin(context: EntryContext): Promise<LaneEntry>;
  /** The association has ended; an object on its way ends first. */
  close(): Promise<void>;
}

/** Strict mode: on disk, but the catalog has not said that it has it. */
export class NotConfirmedError extends Error {
  readonly code = 'not-confirmed';
}

/** Lets objects of one association pass one after the other, also in an asynchronous operations window. */
class Turnstile {
  private last: Promise<void> = Promise.resolve();

  async enter(): Promise<() => void> {
    const before = this.last;
    let leave!: () => void;
    this.last = new Promise((resolve) => (leave = resolve));
    await before;
    return leave;
  }

  idle(): Promise<void> {
    return this.last;
  }
}

export class SpoolLane implements SegmentLane {
  private readonly turn = new Turnstile();
  private timer: NodeJS.Timeout | undefined;
  private open = true;

  constructor(
    private readonly segments: Pick<AssociationSegments, 'begin' | 'sealIfIdle' | 'close'>,
    private readonly idleMs = SEAL_IDLE_MS,
  ) {}

  async begin(context: EntryContext): Promise<LaneEntry> {
    const leave = await this.turn.enter();
    try {
      const entry = await this.segments.begin(context);
      this.timer ??= setTimeout(() => this.tick(), this.idleMs);
      return new TurnEntry(entry, leave);
    } catch (error) {
      leave();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.open = false;
    clearTimeout(this.timer);
    await this.turn.idle();
    await this.segments.close();
  }

  /** Goes on until there was something to seal; the next object starts it again. */
  private tick(): void {
    this.timer = undefined;
    if (!this.open || this.segments.sealIfIdle(this.idleMs)) return;
    this.timer = setTimeout(() => this.tick(), Math.max(50, this.idleMs / 4));
  }
}

class TurnEntry implements LaneEntry {
  constructor(
    private readonly entry: EntryWriter,
    private readonly leave: () => void,
  ) {}

  write(chunk: Buffer): void | Promise<void> {
    return this.entry.write(chunk);
  }

  async commit(header: HeaderResult, warnings: string[]): Promise<Committed> {
    try {
      const entry = await this.entry.commit(header, warnings);
      return { packId: this.entry.packId, entry };
    } finally {
      this.leave();
    }
  }

  async rollback(): Promise<void> {
    try {
      await this.entry.rollback();
    } finally {
      this.leave();
    }
  }
}

export interface StrictOptions {
  openSegment(): SegmentWriter;
  /** Hands the pack on and waits for the catalog; null: no answer in time. */
  confirmed(pack: SealedPack): Promise<PackOutcome | null>;
}

export class StrictLane implements SegmentLane {
  private readonly turn = new Turnstile();

  constructor(private readonly options: StrictOptions) {}

  async begin(context: EntryContext): Promise<LaneEntry> {
    const leave = await this.turn.enter();
    try {
      const segment = this.options.openSegment();
      const entry = await segment.begin(context);
      return {
        write: (chunk) => entry.write(chunk),
        commit: (header, warnings) => this.commit(segment, entry.commit(header, warnings)).finally(leave),
        rollback: () =>
          entry
            .rollback()
            .then(() => segment.seal())
            .then(leave, leave),
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.turn.idle();
  }

  private async commit(segment: SegmentWriter, written: Promise<PackEntry>): Promise<Committed> {
    const entry = await written;
    const pack = await segment.seal();
    const outcome = pack ? await this.options.confirmed(pack) : null;
    if (outcome !== 'indexed') throw new NotConfirmedError('the catalog has not confirmed the object');
    return { packId: segment.packId, entry };
  }
}

import type { HeaderResult } from '@archipelago/dicom-encoding';
import type { EntryContext, EntryWriter, HandedEntry, PackEntry, SealedPack } from './api';
import type { Segment } from './segment';
import type { SegmentEntry } from './segment-entry';
import type { Spool } from './spool';

export const SEAL_BYTES = 64 * 1024 * 1024;
export const SEAL_IDLE_MS = 1000;

export interface AssociationSegmentsOptions {
  /** A segment of so many bytes is sealed, and an object beyond it gets a pack of its own (default 64 MiB). */
  sealBytes?: number;
  /** False: copies of what another archive keeps; see Segment. Default true. */
  durable?: boolean;
  /** Objects up to this size can be held in memory when they are handed; see EntryWriter.hand(). Default: none. */
  holdBytes?: number;
  /** Called for every pack, in the order of sealing. */
  onSealed?: (pack: SealedPack) => void;
  /** A segment that could not be sealed stays on the spool; Spool.recover() tries again. */
  onSealFailed?: (packId: string, error: Error) => void;
}

/**
 * One association's segments, one after the other: the next begins when the present one is full, poisoned or was sealed
 * for idleness. Sealing goes on beside the next object. Timers belong to the caller: call sealIfIdle() now and then.
 */
export class AssociationSegments {
  private segment: Segment | null = null;
  private readonly sealBytes: number;
  private readonly sealing = new Set<Promise<void>>();
  /** An object that was handed is still being written: the next one begins behind it. */
  private writing: Promise<unknown> | undefined;

  constructor(
    private readonly spool: Spool,
    private readonly options: AssociationSegmentsOptions = {},
  ) {
    this.sealBytes = options.sealBytes ?? SEAL_BYTES;
  }

  /** @throws SpoolFullError, SegmentPoisonedError */
  async begin(context: EntryContext): Promise<EntryWriter> {
    if (this.writing) await this.writing;
    if (this.segment && (this.segment.poisoned || this.segment.bytes >= this.sealBytes)) this.sealInBackground();
    this.segment ??= this.open();
    const entry = await this.segment.beginEntry(context, this.options.holdBytes);
    return new LargeEntryWriter(entry, this.sealBytes, {
      outgrown: () => this.alone(entry),
      handed: (written) => this.behind(written),
      ended: () => this.afterEntry(),
    });
  }

  private open(): Segment {
    return this.spool.openSegment(undefined, this.options.durable ?? true);
  }

  /** Seals what has had no object for idleMs. @returns whether there was something to seal */
  sealIfIdle(idleMs = SEAL_IDLE_MS, now = Date.now()): boolean {
    const { segment } = this;
    if (!segment || segment.busy || now - segment.lastActivity < idleMs) return false;
    this.sealInBackground();
    return true;
  }

  /** At the end of the association: resolves when all its segments are sealed (or reported as failed). */
  async close(): Promise<void> {
    await this.writing;
    if (this.segment) this.sealInBackground();
    await Promise.all(this.sealing);
  }

  /** The object has outgrown the limit: if others are in the segment, it goes on in a segment of its own. */
  private async alone(entry: SegmentEntry): Promise<void> {
    const { segment } = this;
    if (!segment || segment.entries === 0) return;
    const next = this.open();
    this.segment = next;
    try {
      await entry.moveTo(next);
    } finally {
      this.seal(segment);
    }
  }

  private behind(written: Promise<PackEntry>): void {
    // whether it failed is told to whom it was handed
    const settled = written.catch(() => undefined).then(() => this.afterEntry());
    this.writing = settled;
    void settled.then(() => {
      if (this.writing === settled) this.writing = undefined;
    });
  }

  private afterEntry(): void {
    if (this.segment && !this.segment.busy && this.segment.bytes >= this.sealBytes) this.sealInBackground();
  }

  private sealInBackground(): void {
    const { segment } = this;
    this.segment = null;
    if (segment) this.seal(segment);
  }

  private seal(segment: Segment): void {
    const work = segment.seal().then(
      (pack) => {
        if (pack) this.options.onSealed?.(pack);
      },
      (error: Error) => this.options.onSealFailed?.(segment.packId, error),
    );
    this.sealing.add(work);
    void work.finally(() => this.sealing.delete(work));
  }
}

/** Watches the size of one object. */
class LargeEntryWriter implements EntryWriter {
  private large = false;

  constructor(
    private readonly entry: SegmentEntry,
    private readonly limit: number,
    private readonly on: {
      outgrown(): Promise<void>;
      handed(written: Promise<PackEntry>): void;
      ended(): void;
    },
  ) {}

  get packId(): string {
    return this.entry.packId;
  }

  write(chunk: Buffer): void | Promise<void> {
    const pending = this.entry.write(chunk);
    if (this.large || this.entry.bytes <= this.limit) return pending;
    this.large = true;
    return Promise.resolve(pending).then(() => this.on.outgrown());
  }

  async commit(header: HeaderResult, warnings?: string[]): Promise<PackEntry> {
    try {
      return await this.entry.commit(header, warnings);
    } finally {
      this.on.ended();
    }
  }

  hand(header: HeaderResult, warnings?: string[]): HandedEntry {
    const handed = this.entry.hand(header, warnings);
    this.on.handed(handed.written);
    return handed;
  }

  async rollback(): Promise<void> {
    try {
      await this.entry.rollback();
    } finally {
      this.on.ended();
    }
  }
}

import { statfs } from 'node:fs/promises';
import { SpoolFullError } from './errors';

export interface SpaceOptions {
  /** Least free bytes to begin an object; default max(2 GiB, 5 % of the volume). */
  minFreeBytes?: number;
  /** Once refused, objects are taken again at this many times minFreeBytes (default 1.1). */
  resumeFactor?: number;
  /** How long a reading of the free space may be used, in milliseconds (default 200). */
  maxAgeMs?: number;
}

const GIB = 1024 ** 3;

/**
 * Watches the free space of the spool's volume. What is kept free is the reservation: for finishing objects that have
 * begun and for sealing (index and header blocks), so that a refused object never spoils an accepted one.
 */
export class SpaceGuard {
  private free = 0;
  private readAt = -Infinity;
  private writtenSince = 0;
  private reading: Promise<void> | null = null;
  private refusing = false;
  private threshold = 0;

  constructor(
    private readonly dir: string,
    private readonly options: SpaceOptions = {},
  ) {}

  /** Free bytes below which an object is not begun. */
  get minFreeBytes(): number {
    return this.threshold;
  }

  /** True while objects are refused. */
  get full(): boolean {
    return this.refusing;
  }

  /** Counts bytes written since the last reading. */
  written(bytes: number): void {
    this.writtenSince += bytes;
  }

  /** The disk itself said that it is full: refuse until a reading says otherwise. */
  noteFull(): void {
    this.refusing = true;
    this.readAt = -Infinity;
  }

  /** Free bytes now, at most maxAgeMs old, less what was written since. */
  async freeBytes(fresh = false): Promise<number> {
    if (fresh || Date.now() - this.readAt > (this.options.maxAgeMs ?? 200)) {
      this.reading ??= this.refresh().finally(() => (this.reading = null));
      await this.reading;
    }
    return this.free - this.writtenSince;
  }

  /** Bytes that must become free before objects are taken again; 0 when they are taken. */
  async missing(): Promise<number> {
    const free = await this.freeBytes(this.refusing);
    const wanted = this.refusing ? this.threshold * (this.options.resumeFactor ?? 1.1) : this.threshold;
    this.refusing = free < wanted;
    return this.refusing ? Math.ceil(this.threshold * (this.options.resumeFactor ?? 1.1) - free) : 0;
  }

  /** For objects on their way: half of the reserve may be used to finish them. @throws SpoolFullError */
  async checkGrowth(): Promise<void> {
    if ((await this.freeBytes()) < this.threshold / 2) {
      this.refusing = true;
      throw new SpoolFullError('the reserve for sealing is reached');
    }
  }

  private async refresh(): Promise<void> {
    const before = this.writtenSince;
    const s = await statfs(this.dir);
    this.free = s.bavail * s.bsize;
    this.threshold = this.options.minFreeBytes ?? Math.max(2 * GIB, s.blocks * s.bsize * 0.05);
    this.writtenSince -= before;
    this.readAt = Date.now();
  }
}

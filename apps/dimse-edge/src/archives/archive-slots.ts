/** Associations of one archive's budget: retrieval goes before probing, probing before harvest. */
export type ArchivePurpose = 'fetch' | 'live' | 'probe' | 'harvest';

const RANK: Record<ArchivePurpose, number> = { fetch: 0, live: 0, probe: 1, harvest: 2 };

interface Waiter {
  purpose: ArchivePurpose;
  grant(): void;
}

export class ArchiveSlots {
  private used = 0;
  private harvesting = 0;
  private readonly waiters: Waiter[] = [];

  constructor(private limit: number) {}

  resize(limit: number): void {
    this.limit = limit;
    this.pump();
  }

  get inUse(): number {
    return this.used;
  }

  get waiting(): number {
    return this.waiters.length;
  }

  /** False when no association was free within the time, or the signal aborted before. */
  acquire(purpose: ArchivePurpose, waitMs: number, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (granted: boolean): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        const at = this.waiters.indexOf(waiter);
        if (at >= 0) this.waiters.splice(at, 1);
        resolve(granted);
      };
      const giveUp = (): void => end(false);
      const waiter: Waiter = { purpose, grant: () => end(true) };
      const timer = setTimeout(giveUp, waitMs);
      signal?.addEventListener('abort', giveUp, { once: true });
      this.waiters.push(waiter);
      this.pump();
    });
  }

  release(purpose: ArchivePurpose): void {
    this.used--;
    if (purpose === 'harvest') this.harvesting--;
    this.pump();
  }

  private pump(): void {
    for (;;) {
      const next = this.next();
      if (!next) return;
      this.used++;
      if (next.purpose === 'harvest') this.harvesting++;
      next.grant();
    }
  }

  private next(): Waiter | undefined {
    if (this.used >= this.limit) return undefined;
    // one association is kept for whoever waits for images
    const harvestLimit = Math.max(1, this.limit - 1);
    const can = this.waiters.filter((w) => w.purpose !== 'harvest' || this.harvesting < harvestLimit);
    return can.reduce<Waiter | undefined>(
      (best, each) => (best === undefined || RANK[each.purpose] < RANK[best.purpose] ? each : best),
      undefined,
    );
  }
}

import { fdatasync, fsync } from 'node:fs';

/** A file or directory whose bytes are to reach the disk. */
export interface SyncTarget {
  readonly fd: number;
  /** Directories need fsync; for files fdatasync is enough (size changes included). */
  readonly directory?: boolean;
  /** Told once when a sync of it fails: the kernel may have dropped the dirty pages, so a later success means nothing. */
  syncFailed?(cause: Error): void;
}

interface Waiter {
  resolve: () => void;
  reject: (error: Error) => void;
}

type SyncCall = (target: SyncTarget, done: (error: Error | null) => void) => void;

const systemSync: SyncCall = (target, done) => (target.directory ? fsync(target.fd, done) : fdatasync(target.fd, done));

/**
 * Group commit. Syncs are done in rounds: all targets that wait when a round begins are synced at the same time, and all
 * commits of one target share its one call; who comes while a round runs waits for the next. One journal commit of the
 * file system then serves many objects.
 */
export class SyncGroup {
  private waiting = new Map<SyncTarget, Waiter[]>();
  private running = false;
  /** Sync calls made and requests served, for metrics. */
  calls = 0;
  requests = 0;

  constructor(private readonly call: SyncCall = systemSync) {}

  /** Resolves when all that was written to the target before this call is on disk. */
  sync(target: SyncTarget): Promise<void> {
    this.requests += 1;
    return new Promise<void>((resolve, reject) => {
      const waiters = this.waiting.get(target);
      if (waiters) waiters.push({ resolve, reject });
      else this.waiting.set(target, [{ resolve, reject }]);
      if (!this.running) {
        this.running = true;
        // Requests of the same turn of the event loop join the round.
        queueMicrotask(() => this.round());
      }
    });
  }

  private round(): void {
    const batch = this.waiting;
    this.waiting = new Map();
    let left = batch.size;
    if (left === 0) {
      this.running = false;
      return;
    }
    for (const [target, waiters] of batch) {
      this.calls += 1;
      this.call(target, (error) => {
        if (error) target.syncFailed?.(error);
        for (const waiter of waiters) {
          if (error) waiter.reject(error);
          else waiter.resolve();
        }
        left -= 1;
        if (left === 0) this.round();
      });
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises';

export interface RetryOptions {
  /** Tries in all (default 4). */
  attempts?: number;
  /** First wait; doubled each time, with up to as much again at random (default 100 ms). */
  baseDelayMs?: number;
  maxDelayMs?: number;
}

/** Runs the work again while it fails with an error that `again` calls transient. Abortable between the tries. */
export async function withRetry<T>(
  work: () => Promise<T>,
  again: (error: unknown) => boolean,
  options: RetryOptions = {},
  signal?: AbortSignal,
): Promise<T> {
  const { attempts = 4, baseDelayMs = 100, maxDelayMs = 2000 } = options;
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (attempt >= attempts || !again(error)) throw error;
      const delay = Math.min(maxDelayMs, baseDelayMs * 2 ** (attempt - 1));
      await sleep(delay + Math.random() * delay, undefined, { signal });
    }
  }
}

/** One fetch of (a part of) one study from one archive: what has arrived so far, for any number of followers. */
import type { ArchiveV1, ArrivedCopyV1, FetchEndedV1, FetchTargetV1 } from '@archipelago/contracts';

export type FetchEnd = Pick<FetchEndedV1, 'outcome' | 'code'>;

/** An instance that the archive says it has, where it was asked before the fetch. */
export interface ExpectedInstance {
  sopInstanceUid: string;
  sopClassUid: string;
  seriesInstanceUid: string;
}

export type LegEvent =
  | { kind: 'expected'; instances: ExpectedInstance[] }
  | { kind: 'copy'; copy: ArrivedCopyV1 }
  | ({ kind: 'end' } & FetchEnd);

export class FetchLeg {
  readonly startedAt = performance.now();
  private readonly copies: ArrivedCopyV1[] = [];
  private readonly seen = new Set<string>();
  private expected: ExpectedInstance[] | undefined;
  private ended: FetchEnd | undefined;
  private waiting = new Set<() => void>();
  private bytesIn = 0;
  private lastAt = performance.now();

  constructor(
    readonly legId: string,
    readonly archive: ArchiveV1,
    readonly target: FetchTargetV1,
  ) {}

  get study(): string {
    return this.target.studyInstanceUid;
  }

  get end(): FetchEnd | undefined {
    return this.ended;
  }

  get count(): number {
    return this.copies.length;
  }

  get bytes(): number {
    return this.bytesIn;
  }

  /** Milliseconds without anything from the archive. */
  get quietMs(): number {
    return performance.now() - this.lastAt;
  }

  holds(packId: string): boolean {
    return this.copies.some((copy) => copy.packId === packId);
  }

  /** Where what has arrived lies. */
  places(): { packId: string; datasetOffset: number }[] {
    return this.copies;
  }

  touch(): void {
    this.lastAt = performance.now();
  }

  expect(instances: ExpectedInstance[]): void {
    this.expected = instances;
    this.wake();
  }

  /** An object of this study is whole in a segment. The same instance again changes nothing. */
  arrived(copy: ArrivedCopyV1): void {
    this.touch();
    if (this.seen.has(copy.sopInstanceUid)) return;
    this.seen.add(copy.sopInstanceUid);
    this.copies.push(copy);
    this.bytesIn += copy.datasetLength;
    this.wake();
  }

  finish(end: FetchEnd): void {
    this.ended ??= end;
    this.wake();
  }

  /** All that has happened and happens until the end, from the beginning; a slow follower holds up nobody. */
  async *follow(signal?: AbortSignal): AsyncGenerator<LegEvent> {
    let told = false;
    let next = 0;
    while (!signal?.aborted) {
      if (!told && this.expected !== undefined) {
        told = true;
        yield { kind: 'expected', instances: this.expected };
        continue;
      }
      if (next < this.copies.length) {
        yield { kind: 'copy', copy: this.copies[next++]! };
        continue;
      }
      if (this.ended) {
        yield { kind: 'end', ...this.ended };
        return;
      }
      await this.change(signal);
    }
  }

  private change(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.waiting.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      this.waiting.add(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  private wake(): void {
    for (const waiter of [...this.waiting]) waiter();
  }
}

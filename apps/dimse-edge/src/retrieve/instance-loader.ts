/**
 * Brings the datasets of located instances to memory, run by run, ahead of the sender. What is held has been compared
 * with the digest of what was received; a copy that cannot be read or differs gives way to the next one.
 */
import { webcrypto } from 'node:crypto';
import type { CopyV1, LocatedInstanceV1 } from '@archipelago/contracts';
import type { ByteSource, PackBytes } from './pack-bytes';
import { planRuns, type ReadRun, RUN_LIMITS, type RunLimits, type SingleRead } from './read-runs';

export type LoadedInstance =
  | { instance: LocatedInstanceV1; copy: CopyV1; how: 'held'; bytes: Buffer }
  | { instance: LocatedInstanceV1; copy: CopyV1; how: 'streamed' }
  | { instance: LocatedInstanceV1; how: 'unreadable'; reason: string };

export interface LoaderOptions {
  limits?: RunLimits;
  /** Runs loaded ahead of the one being sent. */
  ahead?: number;
  /** Compare what is held with its digest. */
  verify?: boolean;
  onDamaged?(copy: CopyV1, where: ByteSource['where'], why: 'unreadable' | 'different'): void;
}

export class InstanceLoader {
  private readonly limits: RunLimits;
  private readonly ahead: number;

  constructor(
    private readonly packs: PackBytes,
    private readonly options: LoaderOptions = {},
  ) {
    this.limits = options.limits ?? RUN_LIMITS;
    this.ahead = options.ahead ?? 2;
  }

  /** In the order given. */
  async *load(instances: readonly LocatedInstanceV1[]): AsyncGenerator<LoadedInstance> {
    const runs = planRuns(instances, this.limits);
    const loading: Promise<LoadedInstance[]>[] = [];
    let next = 0;
    while (next < runs.length || loading.length > 0) {
      while (loading.length <= this.ahead && next < runs.length) loading.push(this.loadRun(runs[next++]!));
      yield* await loading.shift()!;
    }
  }

  private async loadRun(run: ReadRun | SingleRead): Promise<LoadedInstance[]> {
    if (run.copy === undefined) return [await this.loadOne(run.instances[0])];
    const source = this.packs.sources(run.copy)[0];
    const bytes = await source?.read(run.start, run.end).catch(() => undefined);
    return Promise.all(
      run.instances.map(async (instance) => {
        const copy = instance.copies[0]!;
        const at = copy.datasetOffset - run.start;
        const own = bytes?.subarray(at, at + copy.datasetLength);
        if (own && (await this.isWhole(own, instance, copy)))
          return { instance, copy, how: 'held' as const, bytes: own };
        return this.loadOne(instance);
      }),
    );
  }

  /** Each copy in each place until one gives the right bytes. */
  private async loadOne(instance: LocatedInstanceV1): Promise<LoadedInstance> {
    for (const copy of instance.copies) {
      const sources = this.packs.sources(copy);
      if (sources.length > 0 && copy.datasetLength > this.limits.maxHeld) return { instance, copy, how: 'streamed' };
      for (const source of sources) {
        const bytes = await source
          .read(copy.datasetOffset, copy.datasetOffset + copy.datasetLength)
          .catch(() => undefined);
        if (bytes && (await this.isWhole(bytes, instance, copy))) return { instance, copy, how: 'held', bytes };
        this.options.onDamaged?.(copy, source.where, bytes ? 'different' : 'unreadable');
      }
    }
    return { instance, how: 'unreadable', reason: instance.copies.length === 0 ? 'no copy' : 'no readable copy' };
  }

  private async isWhole(bytes: Buffer, instance: LocatedInstanceV1, copy: CopyV1): Promise<boolean> {
    if (this.options.verify === false) return true;
    // on the thread pool: the event loop goes on sending
    const digest = await webcrypto.subtle.digest('SHA-256', bytes);
    return Buffer.from(digest).toString('hex') === wireDigestOf(instance, copy);
  }

  /**
   * The dataset of an instance that is too large to be held. When a source fails in the middle it goes on at the same
   * byte from the next copy with the same wire digest (a copy in another encoding has other bytes there); without one it
   * throws, and the receiver must never get an end of the dataset: its association is aborted.
   */
  async *stream(instance: LocatedInstanceV1, chosen: CopyV1): AsyncGenerator<Buffer> {
    let sent = 0;
    let failure: unknown = new Error('no readable copy');
    const digest = wireDigestOf(instance, chosen);
    for (const copy of instance.copies.filter((one) => wireDigestOf(instance, one) === digest)) {
      for (const source of this.packs.sources(copy)) {
        try {
          const { datasetOffset, datasetLength } = copy;
          for await (const chunk of source.stream(datasetOffset + sent, datasetOffset + datasetLength)) {
            sent += chunk.length;
            yield chunk;
          }
          if (sent === datasetLength) return;
        } catch (error) {
          if (sent === copy.datasetLength) return;
          failure = error;
          this.options.onDamaged?.(copy, source.where, 'unreadable');
        }
      }
    }
    throw failure;
  }

  /** Random access to a copy's dataset, for transcoding what is not held. Offsets count from the dataset's first byte. */
  reader(copy: CopyV1): { read(start: number, end: number): Promise<Buffer> } {
    return {
      read: async (start, end) => {
        let failure: unknown = new Error('no readable copy');
        for (const source of this.packs.sources(copy)) {
          try {
            return await source.read(
              copy.datasetOffset + start,
              copy.datasetOffset + Math.min(end, copy.datasetLength),
            );
          } catch (error) {
            failure = error;
          }
        }
        throw failure;
      },
    };
  }
}

function wireDigestOf(instance: LocatedInstanceV1, copy: CopyV1): string {
  return copy.wireDigest ?? instance.wireDigest;
}

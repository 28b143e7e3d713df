/**
 * Brings the datasets of located instances to memory, run by run, ahead of the sender. What is held has been compared
 * with the digest of what was received; a copy that cannot be read or differs gives way to the next one.
 */
import type { CopyV1, LocatedInstanceV1 } from '@archipelago/contracts';
import { datasetDigest, type HeldDataset } from '@archipelago/pack';
import type { ByteSource, PackBytes } from './pack-bytes';
import type { DigestThreads } from './digest-threads';
import { planRuns, type ReadRun, RUN_LIMITS, type RunLimits, type SingleRead } from './read-runs';
import { type Slab, Slabs } from './slabs';

export type LoadedInstance =
  | {
      instance: LocatedInstanceV1;
      copy: CopyV1;
      how: 'held';
      /** One after the other they are the dataset. */
      pieces: readonly Buffer[];
      /** Called once when nobody reads `pieces` any more, or never: then the memory is just not used again. */
      release(): void;
    }
  | { instance: LocatedInstanceV1; copy: CopyV1; how: 'streamed' }
  | { instance: LocatedInstanceV1; how: 'unreadable'; reason: string };

export interface LoaderOptions {
  limits?: RunLimits;
  /** Runs loaded ahead of the one being sent. */
  ahead?: number;
  /** Compare what is held with its digest. */
  verify?: boolean;
  /** Shared by all loaders of a process; without them memory is the loader's own, digests are computed where it runs. */
  slabs?: Slabs;
  digests?: DigestThreads;
  /** What has just arrived and is still in memory, compared with its digest then; released by who took it. */
  fresh?: { take(copy: CopyV1): HeldDataset | undefined };
  onDamaged?(copy: CopyV1, where: ByteSource['where'], why: 'unreadable' | 'different'): void;
}

export class InstanceLoader {
  private readonly limits: RunLimits;
  private readonly ahead: number;
  private readonly slabs: Slabs;

  constructor(
    private readonly packs: PackBytes,
    private readonly options: LoaderOptions = {},
  ) {
    this.limits = options.limits ?? RUN_LIMITS;
    this.ahead = options.ahead ?? 2;
    this.slabs = options.slabs ?? new Slabs();
  }

  /** In the order given. The first comes alone: it is on its way while the run behind it is read and compared. */
  async *load(instances: readonly LocatedInstanceV1[]): AsyncGenerator<LoadedInstance> {
    const runs = [...planRuns(instances.slice(0, 1), this.limits), ...planRuns(instances.slice(1), this.limits)];
    const loading: Promise<LoadedInstance[]>[] = [];
    let next = 0;
    while (next < runs.length || loading.length > 0) {
      while (loading.length <= this.ahead && next < runs.length) loading.push(this.loadRun(runs[next++]!));
      yield* await loading.shift()!;
    }
  }

  private async loadRun(run: ReadRun | SingleRead): Promise<LoadedInstance[]> {
    if (run.copy === undefined) return [await this.loadOne(run.instances[0])];
    const fresh = this.freshRun(run);
    if (fresh) return fresh;
    const source = this.packs.sources(run.copy)[0];
    const places = run.instances.map((instance) => {
      const copy = instance.copies[0]!;
      const start = copy.datasetOffset - run.start;
      return { instance, copy, start, end: start + copy.datasetLength };
    });
    const slab = this.slabs.take(run.end - run.start);
    const whole = await this.readAndCompare(source, run.start, run.end, slab, places);
    const release = this.releaseAfter(slab, whole.filter((one) => one === 'same').length);
    return Promise.all(
      places.map(({ instance, copy, start, end }, i) => {
        if (whole[i] !== 'same') return this.loadOne(instance);
        return { instance, copy, how: 'held' as const, pieces: [slab.bytes.subarray(start, end)], release };
      }),
    );
  }

  /** All of the run, where all of it is in memory. */
  private freshRun({ instances }: ReadRun): LoadedInstance[] | undefined {
    if (!this.options.fresh) return undefined;
    const taken: HeldDataset[] = [];
    for (const { copies } of instances) {
      const held = this.options.fresh.take(copies[0]!);
      if (!held) {
        taken.forEach((one) => one.release());
        return undefined;
      }
      taken.push(held);
    }
    return instances.map((instance, i) => ({
      instance,
      copy: instance.copies[0]!,
      how: 'held',
      pieces: taken[i]!.pieces,
      release: () => taken[i]!.release(),
    }));
  }

  /** Each copy in each place until one gives the right bytes. */
  private async loadOne(instance: LocatedInstanceV1): Promise<LoadedInstance> {
    for (const copy of instance.copies) {
      const sources = this.packs.sources(copy);
      const { datasetOffset, datasetLength } = copy;
      if (sources.length > 0 && datasetLength > this.limits.maxHeld) return { instance, copy, how: 'streamed' };
      for (const source of sources) {
        const slab = this.slabs.take(datasetLength);
        const place = { instance, copy, start: 0, end: datasetLength };
        const [found] = await this.readAndCompare(source, datasetOffset, datasetOffset + datasetLength, slab, [place]);
        if (found === 'same') {
          const pieces = [slab.bytes.subarray(0, datasetLength)];
          return { instance, copy, how: 'held', pieces, release: this.releaseAfter(slab, 1) };
        }
        this.slabs.give(slab);
        this.options.onDamaged?.(copy, source.where, found!);
      }
    }
    return { instance, how: 'unreadable', reason: instance.copies.length === 0 ? 'no copy' : 'no readable copy' };
  }

  /** What each of the places in the range holds. */
  private async readAndCompare(
    source: ByteSource | undefined,
    start: number,
    end: number,
    slab: Slab,
    places: readonly { instance: LocatedInstanceV1; copy: CopyV1; start: number; end: number }[],
  ): Promise<('same' | 'different' | 'unreadable')[]> {
    const bytes = await source?.read(start, end, slab.bytes).catch(() => undefined);
    if (!bytes || bytes.length !== end - start) return places.map(() => 'unreadable');
    if (bytes.buffer !== (slab.memory as ArrayBufferLike)) bytes.copy(slab.bytes);
    if (this.options.verify === false) return places.map(() => 'same');
    const digests = await this.digests(
      slab,
      places.map((place) => [place.start, place.end]),
    );
    return places.map(({ instance, copy }, i) => (digests[i] === wireDigestOf(instance, copy) ? 'same' : 'different'));
  }

  private async digests(slab: Slab, ranges: [number, number][]): Promise<string[]> {
    const elsewhere = this.options.digests?.digest(slab.memory, ranges);
    // A thread that ended is no reason to fail what can be read.
    const digests = await elsewhere?.catch(() => undefined);
    return digests ?? ranges.map(([from, to]) => datasetDigest(slab.bytes.subarray(from, to)));
  }

  private releaseAfter(slab: Slab, users: number): () => void {
    if (users === 0) this.slabs.give(slab);
    return () => {
      if (--users === 0) this.slabs.give(slab);
    };
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

import type { HeaderResult } from '@archipelago/dicom-encoding';
import { compressHeader } from '@archipelago/dicom-encoding';
import type { EntryContext, EntryWriter, HandedEntry, PackEntry } from './api';
import { BLOCK_BYTES } from './block-pool';
import { encodeEntryJson } from './entry-json';
import { EntryStream } from './entry-stream';
import { SegmentPoisonedError, SpoolUsageError } from './errors';
import { LIMITS, TRAILER_FIXED, encodeTrailer, sha256 } from './format';
import type { Segment } from './segment';
import { FileSource } from './source';

/** One object on its way into a segment. */
export class SegmentEntry implements EntryWriter {
  private readonly stream: EntryStream;
  private state: 'open' | 'ending' | 'ended' = 'open';

  constructor(
    private segment: Segment,
    private readonly context: EntryContext,
    private readonly meta: Buffer,
    holdBytes?: number,
  ) {
    this.stream = new EntryStream(segment.home, segment.fd, segment.appendAt, meta, holdBytes);
  }

  /** Where it lies once it is committed. */
  get packId(): string {
    return this.segment.packId;
  }

  /** Bytes taken in, file meta information included. */
  get bytes(): number {
    return this.stream.bytes;
  }

  /** @throws SpoolFullError, SegmentPoisonedError: the object is rolled back then, at once or as rejection */
  write(chunk: Buffer): void | Promise<void> {
    if (this.state !== 'open') throw new SpoolUsageError('the object has ended');
    this.segment.touch();
    try {
      const pending = this.stream.write(chunk);
      return pending?.catch((error: Error) => this.giveUp(error));
    } catch (error) {
      return this.giveUp(error as Error);
    }
  }

  async commit(header: HeaderResult, warnings: string[] = []): Promise<PackEntry> {
    if (this.state !== 'open') throw new SpoolUsageError('the object has ended');
    this.state = 'ending';
    return this.finish(header, warnings);
  }

  hand(header: HeaderResult, warnings: string[] = []): HandedEntry {
    if (this.state !== 'open') throw new SpoolUsageError('the object has ended');
    const { segment, meta } = this;
    if (segment.durable) throw new SpoolUsageError('what is promised to be kept is written first');
    const datasetLength = this.datasetLengthOf(header);
    this.state = 'ending';
    const wireDigest = this.stream.wireDigest().toString('hex');
    const held = this.stream.hold();
    // the caller's answer goes first
    const written = new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.finish(header, warnings));
    return { datasetOffset: segment.appendAt + meta.length, datasetLength, wireDigest, held, written };
  }

  private async finish(header: HeaderResult, warnings: string[]): Promise<PackEntry> {
    const { segment } = this;
    let described: Described;
    try {
      described = this.describe(header, warnings);
    } catch (error) {
      await this.cut();
      throw error;
    }
    const { entry, trailer, compressed, wireDigest } = described;
    let synced: boolean;
    try {
      synced = await this.stream.finish(trailer, segment.durable);
    } catch (error) {
      return this.giveUp(error as Error);
    }
    this.state = 'ended';
    segment.entryWritten(entry, this.meta, wireDigest, trailer, compressed);
    if (segment.durable) await segment.makeDurable(synced);
    return entry;
  }

  async rollback(): Promise<void> {
    if (this.state === 'open') await this.cut();
  }

  /**
   * Goes on in an empty segment: for an object that has grown so large that it gets a pack of its own. What is written
   * of it so far is copied, and cut off the present segment.
   */
  async moveTo(target: Segment): Promise<void> {
    if (this.state !== 'open') throw new SpoolUsageError('the object has ended');
    try {
      await target.openFile();
      const from = this.segment;
      const base = target.appendAt;
      await this.stream.move(target.fd, base, (start, end) => copyRange(from, target, start, end, base));
      await from.home.ops.truncate(from.fd, from.appendAt);
      from.handOver(this, target);
      this.segment = target;
    } catch (error) {
      await this.giveUp(error as Error);
    }
  }

  private describe(header: HeaderResult, warnings: string[]): Described {
    const { segment, context, meta } = this;
    const datasetLength = this.datasetLengthOf(header);
    const wireDigest = this.stream.wireDigest();
    const compressed = compressHeader(header.header);
    const said: EntryContext = { ...context, warnings: [...context.warnings, ...header.warnings, ...warnings] };
    const { leftOut, pixel } = header;
    const entryJson = encodeEntryJson(said, { leftOut, pixel }, datasetLength);
    if (
      entryJson.length > LIMITS.entryJsonBytes ||
      compressed.length > LIMITS.headerBytes ||
      header.header.length > LIMITS.headerRawBytes
    ) {
      throw new SpoolUsageError('the header or its tables are beyond the limits of the format');
    }
    const entryOffset = segment.appendAt;
    const datasetOffset = entryOffset + meta.length;
    const trailerOffset = datasetOffset + datasetLength;
    const trailer = encodeTrailer({
      nonce: segment.nonce,
      ordinal: segment.entries,
      trailerOffset,
      entryOffset,
      datasetOffset,
      datasetLength,
      wireDigest,
      headerDigest: header.headerDigest,
      metaDigest: sha256(meta),
      headerRawLength: header.header.length,
      entryJson,
      header: compressed,
    });
    // `said` may hold places too, those of a segment that is recovered. As to the form: see encodeFields().
    const entry: PackEntry = Object.assign({ ordinal: 0 }, said, {
      ordinal: segment.entries,
      offset: entryOffset,
      length: meta.length + datasetLength,
      datasetOffset,
      datasetLength,
      wireDigest: wireDigest.toString('hex'),
      headerDigest: header.headerDigest.toString('hex'),
      headerOffset: trailerOffset + TRAILER_FIXED + entryJson.length,
      headerLength: compressed.length,
      headerRawLength: header.header.length,
      leftOut,
      pixel,
    });
    return { entry, trailer, compressed, wireDigest };
  }

  private datasetLengthOf(header: HeaderResult): number {
    const length = this.stream.bytes - this.meta.length;
    if (header.length !== length) throw new SpoolUsageError('the header reader saw another number of bytes');
    return length;
  }

  /** After a failure: nothing of the object stays. @throws always, what the caller is to know */
  private async giveUp(error: Error): Promise<never> {
    const told = this.segment.translate(error);
    if (told instanceof SegmentPoisonedError) this.segment.poison(error);
    await this.cut();
    throw told;
  }

  private async cut(): Promise<void> {
    this.state = 'ended';
    await this.stream.drop();
    await this.segment.cutEntry(this);
  }
}

interface Described {
  entry: PackEntry;
  trailer: Buffer;
  compressed: Buffer;
  wireDigest: Buffer;
}

/** Through a block, for pieces that are read elsewhere lie at no multiple of BLOCK_ALIGN in memory. */
async function copyRange(from: Segment, to: Segment, start: number, end: number, at: number): Promise<void> {
  const { ops, pool } = to.home;
  const source = await FileSource.open(from.path);
  const block = pool.take();
  try {
    for (let position = start; position < end; position += BLOCK_BYTES) {
      const piece = await source.read(position, Math.min(end, position + BLOCK_BYTES));
      await ops.writeAll(to.fd, [block.subarray(0, piece.copy(block))], at + position - start);
    }
  } finally {
    pool.give(block);
    await source.close();
  }
}

import { datasetHash } from './dataset-hash';
import { BLOCK_BYTES, type BlockPool } from './block-pool';
import type { FileOps } from './file-ops';
import { aligned } from './format';
import { HeldDataset } from './held-dataset';
import type { SpaceGuard } from './space';

/**
 * Gathered bytes are written when there are so many: one writev of twelve blocks. An image of 512x512 then needs one
 * write and one sync; each further call costs two changes of thread, which is as much processor time as its bytes.
 */
const FLUSH_BYTES = 12 * BLOCK_BYTES;

export interface StreamHome {
  readonly ops: FileOps;
  readonly pool: BlockPool;
  readonly space: SpaceGuard;
}

/**
 * The bytes of one object on their way to the segment. Chunks are copied into blocks, so the caller may reuse them at
 * once. A block is hashed when it is full: its bytes are in the processor's cache then, and little is left to hash when
 * the last byte has come. 768 KiB are written while the next 768 KiB come in, and only when both are full must the caller
 * wait. So an object of any size needs 1.5 MiB at most, and a slow one with little in it one block.
 *
 * An object that is to be held stays in its blocks while it is written, up to `holdBytes`; beyond them it is as any other.
 *
 * Every write begins and ends at a multiple of BLOCK_ALIGN, in memory and in the file, as O_DIRECT asks for.
 */
export class EntryStream {
  private blocks: Buffer[] = [];
  private fill = BLOCK_BYTES;
  private gathered = 0;
  private hashed = 0;
  private digest: Buffer | null = null;
  private inflight: Promise<void> | null = null;
  private inflightBlocks: readonly Buffer[] = [];
  /** Blocks that are written or on their way, while the object is to be held; null when it is not, or has grown too large. */
  private kept: Buffer[] | null;
  private held: HeldDataset | null = null;
  private heldBlocks: ReadonlySet<Buffer> = NONE;
  private failure: Error | null = null;
  private readonly hash = datasetHash();

  /** Bytes taken in so far, the meta bytes included. */
  bytes = 0;

  /**
   * @param fd segment file
   * @param base where the object begins in it
   * @param meta preamble and group 0002: written in front, not part of the wire digest
   * @param holdBytes objects up to so many bytes can be held, see hold(); 0: none
   */
  constructor(
    private readonly home: StreamHome,
    private fd: number,
    private base: number,
    private readonly meta: Buffer,
    private readonly holdBytes = 0,
  ) {
    this.kept = holdBytes > 0 ? [] : null;
    this.take(meta);
  }

  /** @throws (as rejection or at once) what a write of earlier bytes failed with */
  write(chunk: Buffer): void | Promise<void> {
    if (this.failure) throw this.failure;
    const rest = this.take(chunk);
    if (this.gathered < FLUSH_BYTES) return undefined;
    if (!this.inflight) {
      this.flush();
      if (rest.length === 0) return undefined;
    }
    return this.drain(rest);
  }

  private async drain(chunk: Buffer): Promise<void> {
    let rest = chunk;
    for (;;) {
      rest = this.take(rest);
      if (this.gathered < FLUSH_BYTES) return;
      await this.settle();
      this.flush();
      if (rest.length === 0) return;
    }
  }

  /** Of the dataset. No write may follow. */
  wireDigest(): Buffer {
    if (!this.digest) {
      if (this.fill < BLOCK_BYTES) this.hashPiece(this.blocks[this.blocks.length - 1]!.subarray(0, this.fill));
      this.digest = this.hash.digest();
    }
    return this.digest;
  }

  /**
   * The dataset in memory, for a reader, who releases it; null where it is too large. To be asked for once, when all of it
   * was taken in and wireDigest() was asked for.
   */
  hold(): HeldDataset | null {
    if (!this.kept) return null;
    const blocks = [...this.kept, ...this.blocks];
    const pieces = [...this.kept, ...this.unwritten()];
    let skip = this.meta.length;
    const dataset = pieces.flatMap((piece) => {
      const cut = Math.min(skip, piece.length);
      skip -= cut;
      return cut === piece.length ? [] : [piece.subarray(cut)];
    });
    this.heldBlocks = new Set(blocks);
    // one for the reader, one for us while we write
    this.held = new HeldDataset(dataset, () => blocks.forEach((block) => this.home.pool.give(block))).use();
    return this.held;
  }

  /**
   * Writes what is left, the trailer behind it and zeros up to the end of the block; all of them are in the file when it
   * resolves. wireDigest() must have been asked for.
   * @param sync bring it to disk as well, if that can be done in one go
   * @returns whether all that was written is on disk already; if not, a sync must follow
   * @throws SyncFailedError
   */
  async finish(trailer: Buffer, sync: boolean): Promise<boolean> {
    await this.settle();
    const rest = this.take(trailer);
    if (this.gathered === FLUSH_BYTES && rest.length > 0) {
      this.flush();
      await this.drain(rest);
      await this.settle();
    }
    this.pad();
    const writeAndSync = sync ? this.home.ops.writeAndSync : undefined;
    const synced = this.gathered > 0 && writeAndSync !== undefined;
    if (this.gathered > 0) this.flush(writeAndSync);
    await this.settle();
    this.forget();
    return synced;
  }

  /** Waits for the write that is under way, whatever becomes of it, and gives the blocks back. */
  async drop(): Promise<void> {
    await this.inflight?.catch(() => undefined);
    this.give(this.blocks);
    this.blocks = [];
    this.gathered = 0;
    this.fill = BLOCK_BYTES;
    this.forget();
  }

  /** We read none of the blocks any more. */
  private forget(): void {
    if (this.kept) this.give(this.kept);
    this.kept = null;
    this.held?.release();
    this.held = null;
  }

  private give(blocks: readonly Buffer[]): void {
    for (const block of blocks) if (!this.heldBlocks.has(block)) this.home.pool.give(block);
  }

  /** It has grown too large to be held. */
  private holdNoLonger(): void {
    const { kept, inflightBlocks } = this;
    this.kept = null;
    // those under way are given back when they are written
    if (kept) this.give(kept.filter((block) => !inflightBlocks.includes(block)));
  }

  /**
   * Goes on in another file: calls `copy` for the bytes that are written already.
   * @param copy copies bytes [from, to) of the present file to the other one
   */
  async move(fd: number, base: number, copy: (from: number, to: number) => Promise<void>): Promise<void> {
    await this.settle();
    await copy(this.base, this.base + this.bytes - this.gathered);
    this.fd = fd;
    this.base = base;
  }

  /** Copies what fits before a flush is due; @returns the rest. */
  private take(chunk: Buffer): Buffer {
    let at = 0;
    while (at < chunk.length && this.gathered < FLUSH_BYTES) {
      if (this.fill === BLOCK_BYTES) {
        this.blocks.push(this.home.pool.take());
        this.fill = 0;
      }
      const copied = chunk.copy(this.blocks[this.blocks.length - 1]!, this.fill, at);
      at += copied;
      this.fill += copied;
      this.gathered += copied;
      if (this.fill === BLOCK_BYTES && !this.digest) this.hashPiece(this.blocks[this.blocks.length - 1]!);
    }
    this.bytes += at;
    if (this.kept && this.bytes > this.holdBytes && !this.held) this.holdNoLonger();
    return at === chunk.length ? EMPTY : chunk.subarray(at);
  }

  private unwritten(): Buffer[] {
    return this.blocks.map((block, i) => (i === this.blocks.length - 1 ? block.subarray(0, this.fill) : block));
  }

  private hashPiece(piece: Buffer): void {
    const skip = Math.min(piece.length, Math.max(0, this.meta.length - this.hashed));
    this.hashed += piece.length;
    if (skip < piece.length) this.hash.update(skip === 0 ? piece : piece.subarray(skip));
  }

  /** Zeros up to the next multiple of BLOCK_ALIGN. */
  private pad(): void {
    if (this.fill === BLOCK_BYTES) return;
    const end = aligned(this.fill);
    this.blocks[this.blocks.length - 1]!.fill(0, this.fill, end);
    this.gathered += end - this.fill;
    this.bytes += end - this.fill;
    this.fill = end;
  }

  private flush(write = this.home.ops.writeAll): void {
    const at = this.base + this.bytes - this.gathered;
    const { blocks } = this;
    const buffers = this.unwritten();
    this.blocks = [];
    this.fill = BLOCK_BYTES;
    this.gathered = 0;
    this.kept?.push(...blocks);
    this.start(buffers, at, blocks, write);
  }

  private start(buffers: Buffer[], at: number, blocks: Buffer[], write: FileOps['writeAll']): void {
    this.inflightBlocks = blocks;
    const work = this.store(buffers, at, write).finally(() => {
      this.inflightBlocks = [];
      if (!this.kept) this.give(blocks);
    });
    // Kept as failure as well, so that a rejection nobody waits for yet is not lost and does not end the process.
    work.catch((error: Error) => (this.failure = error));
    this.inflight = work;
  }

  private async store(buffers: Buffer[], at: number, write: FileOps['writeAll']): Promise<void> {
    await this.home.space.checkGrowth();
    await write(this.fd, buffers, at);
    this.home.space.written(buffers.reduce((sum, b) => sum + b.length, 0));
  }

  private async settle(): Promise<void> {
    const { inflight } = this;
    if (inflight) {
      await inflight;
      this.inflight = null;
    }
    if (this.failure) throw this.failure;
  }
}

const EMPTY = Buffer.alloc(0);
const NONE: ReadonlySet<Buffer> = new Set();

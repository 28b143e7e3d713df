import { createHash } from 'node:crypto';
import { BLOCK_BYTES, type BlockPool } from './block-pool';
import type { FileOps } from './file-ops';
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
 * once; 768 KiB are hashed and written while the next 768 KiB come in, and only when both are full must the caller wait.
 * So an object of any size needs 1.5 MiB at most, and a slow one with little in it one block.
 */
export class EntryStream {
  private blocks: Buffer[] = [];
  private fill = BLOCK_BYTES;
  private gathered = 0;
  private hashed = 0;
  private inflight: Promise<void> | null = null;
  private failure: Error | null = null;
  private readonly hash = createHash('sha256');

  /** Bytes taken in so far, the meta bytes included. */
  bytes = 0;

  /**
   * @param fd segment file
   * @param base where the object begins in it
   * @param meta preamble and group 0002: written in front, not part of the wire digest
   */
  constructor(
    private readonly home: StreamHome,
    private fd: number,
    private base: number,
    private readonly meta: Buffer,
  ) {
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

  /** SHA-256 of the dataset. No write may follow. */
  wireDigest(): Buffer {
    for (const piece of this.unwritten()) this.hashPiece(piece);
    return this.hash.digest();
  }

  /** Writes what is left and the trailer behind it; the bytes of both are in the file when it resolves. */
  async finish(trailer: Buffer): Promise<void> {
    await this.settle();
    const buffers = this.unwritten();
    const at = this.base + this.bytes - this.gathered;
    this.start([...buffers, trailer], at, this.blocks);
    this.blocks = [];
    this.gathered = 0;
    await this.settle();
  }

  /** Waits for the write that is under way, whatever becomes of it, and gives the blocks back. */
  async drop(): Promise<void> {
    await this.inflight?.catch(() => undefined);
    for (const block of this.blocks) this.home.pool.give(block);
    this.blocks = [];
    this.gathered = 0;
    this.fill = BLOCK_BYTES;
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
    }
    this.bytes += at;
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

  private flush(): void {
    const at = this.base + this.bytes - this.gathered;
    const blocks = this.blocks;
    const buffers = this.unwritten();
    this.blocks = [];
    this.fill = BLOCK_BYTES;
    this.gathered = 0;
    this.start(buffers, at, blocks);
    // Hashing in this thread while the thread pool writes.
    for (const piece of buffers) this.hashPiece(piece);
  }

  private start(buffers: Buffer[], at: number, blocks: Buffer[]): void {
    const work = this.store(buffers, at).finally(() => {
      for (const block of blocks) this.home.pool.give(block);
    });
    // Kept as failure as well, so that a rejection nobody waits for yet is not lost and does not end the process.
    work.catch((error: Error) => (this.failure = error));
    this.inflight = work;
  }

  private async store(buffers: Buffer[], at: number): Promise<void> {
    await this.home.space.checkGrowth();
    await this.home.ops.writeAll(this.fd, buffers, at);
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

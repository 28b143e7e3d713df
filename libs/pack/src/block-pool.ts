/** Size of the blocks that received bytes are gathered in: also the piece that is hashed at once. */
export const BLOCK_BYTES = 64 * 1024;

/** Keeps some blocks for the next object, so that the garbage collector does not see every image. */
export class BlockPool {
  private readonly free: Buffer[] = [];

  constructor(private readonly keep = 64) {}

  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  give(block: Buffer): void {
    if (this.free.length < this.keep) this.free.push(block);
  }
}

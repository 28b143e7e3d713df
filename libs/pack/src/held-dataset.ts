/**
 * A dataset in memory while it is written, for readers that would otherwise read it back. Read only. Its memory is used again
 * when the last one has released it; who forgets to leaves it to the garbage collector.
 */
export class HeldDataset {
  private users = 1;

  /** @param free called once, when nobody reads it any more */
  constructor(
    readonly pieces: readonly Buffer[],
    private readonly free: () => void,
  ) {}

  get bytes(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** One more reader, who calls release() once. */
  use(): this {
    this.users += 1;
    return this;
  }

  release(): void {
    this.users -= 1;
    if (this.users === 0) this.free();
  }
}

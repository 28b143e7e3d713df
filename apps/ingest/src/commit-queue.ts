/**
 * Group commit: what comes while a batch is being committed goes together with the next one. Alone, nothing waits; under
 * load, batches grow by themselves. One batch at a time: packs of one study would wait for each other's locks anyway.
 */
export class CommitQueue<T, R> {
  private waiting: { item: T; resolve(result: R): void; reject(error: unknown): void }[] = [];
  private running = false;

  /**
   * @param commit one result per item, in order; its rejection is that of every item
   * @param most items of one batch
   */
  constructor(
    private readonly commit: (items: readonly T[]) => Promise<PromiseSettledResult<R>[]>,
    private readonly most = 64,
  ) {}

  /** Resolves when the item is committed. */
  add(item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      if (!this.running) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.running = true;
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.most);
      const results = await this.commit(batch.map(({ item }) => item)).catch((reason: unknown) =>
        batch.map(() => ({ status: 'rejected' as const, reason })),
      );
      batch.forEach(({ resolve, reject }, i) => {
        const result = results[i]!;
        if (result.status === 'fulfilled') resolve(result.value);
        else reject(result.reason);
      });
    }
    this.running = false;
  }
}

/** So many a second, a second's worth at once at most; waits in turn. 0: unbounded. */
export class RateLimit {
  private tokens: number;
  private last = performance.now();
  private turn: Promise<void> = Promise.resolve();

  constructor(
    private perSecond: number,
    /** What may be taken at once; default: a second's worth, at least 1. */
    private burst = Math.max(1, perSecond),
  ) {
    this.tokens = this.burst;
  }

  resize(perSecond: number): void {
    if (perSecond === this.perSecond) return;
    this.perSecond = perSecond;
    this.burst = Math.max(1, perSecond);
    this.tokens = Math.min(this.tokens, this.burst);
  }

  /** Resolves when `amount` may pass; more than the burst passes once the debt is paid. */
  take(amount = 1, signal?: AbortSignal): Promise<void> {
    if (this.perSecond <= 0) return Promise.resolve();
    this.turn = this.turn.then(() => this.wait(amount, signal));
    return this.turn;
  }

  private async wait(amount: number, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const now = performance.now();
      this.tokens = Math.min(this.burst, this.tokens + ((now - this.last) / 1000) * this.perSecond);
      this.last = now;
      if (this.perSecond <= 0 || signal?.aborted || this.tokens >= Math.min(amount, this.burst)) break;
      const missing = Math.min(amount, this.burst) - this.tokens;
      await new Promise((resolve) =>
        setTimeout(resolve, Math.min(1_000, Math.ceil((missing / this.perSecond) * 1000))),
      );
    }
    if (!signal?.aborted) this.tokens -= amount;
  }
}

/** Circuit breaker of one archive: after some failures in a row nobody asks it for a while, then one may try. */
export interface BreakerOptions {
  /** Failures in a row that open it (default 3). */
  failures?: number;
  /** First pause; doubled with each failed trial up to `maxPauseMs` (defaults 5 s and 5 min). */
  pauseMs?: number;
  maxPauseMs?: number;
  now?: () => number;
  random?: () => number;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

export class CircuitBreaker {
  private failures = 0;
  private pause: number;
  private openUntil = 0;
  private opened = false;
  private trial = false;
  private readonly most: number;
  private readonly first: number;
  private readonly maxPause: number;
  private readonly now: () => number;
  private readonly random: () => number;

  constructor(options: BreakerOptions = {}) {
    this.most = options.failures ?? 3;
    this.first = options.pauseMs ?? 5_000;
    this.maxPause = options.maxPauseMs ?? 300_000;
    this.pause = this.first;
    this.now = options.now ?? Date.now;
    this.random = options.random ?? Math.random;
  }

  get state(): BreakerState {
    if (!this.opened) return 'closed';
    return this.now() >= this.openUntil ? 'half-open' : 'open';
  }

  /** Milliseconds until somebody may try; 0 when now. */
  get waitMs(): number {
    return this.opened ? Math.max(0, this.openUntil - this.now()) : 0;
  }

  /**
   * Whether the archive may be asked now. Half open it lets one through at a time: that one must end with `succeeded`,
   * `failed` or `undecided`.
   */
  enter(): boolean {
    const { state } = this;
    if (state === 'closed') return true;
    if (state === 'open' || this.trial) return false;
    this.trial = true;
    return true;
  }

  succeeded(): void {
    this.failures = 0;
    this.pause = this.first;
    this.opened = false;
    this.trial = false;
  }

  failed(): void {
    this.failures++;
    if (!this.opened && this.failures < this.most) return;
    // what began before it opened and fails now says nothing new
    if (this.opened && !this.trial) return;
    if (this.opened) this.pause = Math.min(this.maxPause, this.pause * 2);
    this.opened = true;
    this.trial = false;
    // edges of one site do not try at the same moment
    this.openUntil = this.now() + this.pause * (0.8 + 0.4 * this.random());
  }

  /** The trial ended without saying anything about the archive (we gave it up, or it was our own mistake). */
  undecided(): void {
    this.trial = false;
  }
}

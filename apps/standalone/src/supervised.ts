import type { ExitStatus, ManagedChild } from '@archipelago/platform-embedded';
import type { Logger } from '@archipelago/platform-service';

/** The configuration of a child is wrong: starting it again does not help (exit status 2 of a service). */
export class ChildConfigError extends Error {
  constructor(
    readonly child: string,
    details: string,
  ) {
    super(`${child} refused its configuration:\n${details}`);
    this.name = 'ChildConfigError';
  }
}

export interface Backoff {
  firstMs: number;
  maxMs: number;
  /** A child that lived so long starts again from firstMs. */
  settledMs: number;
}
export const DEFAULT_BACKOFF: Backoff = { firstMs: 250, maxMs: 15_000, settledMs: 30_000 };

/** Pause before the next start after `failures` short lives in a row. */
export function backoffMs(failures: number, backoff = DEFAULT_BACKOFF): number {
  return Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.max(0, failures - 1));
}

/** One child that is started again, after a pause that doubles, whenever it ends by itself. */
export class Supervised {
  private child: ManagedChild | undefined;
  private stopping = false;
  private failures = 0;
  private restarts = 0;
  private timer: NodeJS.Timeout | undefined;
  private starting: Promise<void> | undefined;

  constructor(
    readonly name: string,
    /** Resolves when the child is ready. Called again for each restart. */
    private readonly launch: () => Promise<ManagedChild>,
    private readonly logger: Logger,
    private readonly backoff = DEFAULT_BACKOFF,
  ) {}

  get alive(): boolean {
    return this.child?.alive ?? false;
  }
  get restartCount(): number {
    return this.restarts;
  }
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** The first start: its failure is the caller's. */
  async start(): Promise<void> {
    this.starting = this.run();
    await this.starting;
  }

  private async run(): Promise<void> {
    const started = Date.now();
    const child = await this.launch();
    this.child = child;
    if (this.stopping) return;
    void child.exited.then((status) => this.onExit(status, started));
  }

  private onExit(status: ExitStatus, started: number): void {
    if (this.stopping) return;
    this.failures = Date.now() - started >= this.backoff.settledMs ? 1 : this.failures + 1;
    this.logger.error('a child ended by itself', {
      child: this.name,
      exitCode: status.code,
      signal: status.signal,
      attempt: this.failures,
    });
    this.schedule();
  }

  private schedule(): void {
    if (this.stopping) return;
    this.timer = setTimeout(
      () => {
        this.restarts++;
        this.starting = this.run().catch((error: unknown) => {
          this.failures++;
          this.logger.error('a child could not be started', { child: this.name, err: error, attempt: this.failures });
          this.schedule();
        });
      },
      backoffMs(this.failures, this.backoff),
    );
  }

  /** Stops it for good. A child that is just being started is waited for, not longer than the grace. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    clearTimeout(this.timer);
    const end = Date.now() + graceMs;
    const started = this.starting?.catch(() => undefined);
    await Promise.race([started, new Promise((resolve) => setTimeout(resolve, graceMs).unref())]);
    if (this.child?.alive) await this.child.stop(Math.max(200, end - Date.now()));
  }
}

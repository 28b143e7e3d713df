import type { Logger } from '@archipelago/platform-service';
import type { Leases } from '../store/leases';
import type { EventConsumer } from './event-consumer';

const LEASE_SECONDS = 15;
const IDLE_MS = 3_000;

/** One partition of an ordered consumer: consumes while it holds the partition's lease, in one process at a time. */
export class OrderedRunner {
  private stopped = false;
  private current: EventConsumer | undefined;
  private wake: (() => void) | undefined;

  constructor(
    private readonly lease: string,
    private readonly leases: Leases,
    private readonly make: () => EventConsumer,
    private readonly logger: Logger,
  ) {}

  async run(): Promise<void> {
    while (!this.stopped) {
      try {
        await this.leases.whileHeld(this.lease, LEASE_SECONDS, (_held, signal) => this.consume(signal));
      } catch (error) {
        this.logger.warn('ordered consumer interrupted', { lease: this.lease, err: error });
      }
      if (this.stopped) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, IDLE_MS);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.wake?.();
    await this.current?.stop();
  }

  private async consume(signal: AbortSignal): Promise<void> {
    if (this.stopped) return;
    const consumer = this.make();
    this.current = consumer;
    const onAbort = (): void => void consumer.stop();
    signal.addEventListener('abort', onAbort);
    try {
      await consumer.run();
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.current = undefined;
    }
  }
}

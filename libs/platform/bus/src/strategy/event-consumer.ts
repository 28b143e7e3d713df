import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import type { Contract } from '@archipelago/contracts';
import { classifyError, type Logger } from '@archipelago/platform-service';
import type { BusConnection } from '../client/bus-connection';
import type { ConsumerSpec, Topology } from '../client/topology';
import { Limiter } from '../limiter';
import { decodeMessage } from '../message';
import { backoffMs } from './backoff';
import { BusContext } from './bus-context';
import type { BusMetrics } from './bus-metrics';
import type { DeadLetterSink } from './dead-letter-sink';

export interface EventConsumerOptions {
  contract: Contract;
  spec: ConsumerSpec;
  /** Name for inbox and dead letters; equal for all partitions of one handler. */
  name: string;
  concurrency: number;
  maxDeliveries: number;
  handle: (payload: unknown, context: BusContext) => Promise<void>;
}

export interface EventConsumerParts {
  connection: BusConnection;
  topology: Topology;
  deadLetters: DeadLetterSink;
  metrics: BusMetrics;
  logger: Logger;
}

const PULL_EXPIRES_MS = 10_000;
/** How long a stop waits for handlers at work; what is left is delivered again. */
const DRAIN_MS = 7_000;

/** One durable pull consumer: fetches, parses, handles, acknowledges; survives outages and a wiped server. */
export class EventConsumer {
  private stopped = false;
  private messages: ConsumerMessages | undefined;
  private readonly slots: Limiter;
  private readonly atWork = new Set<Promise<void>>();
  private wake: (() => void) | undefined;

  constructor(
    private readonly options: EventConsumerOptions,
    private readonly parts: EventConsumerParts,
  ) {
    this.slots = new Limiter(options.concurrency);
  }

  async ensure(): Promise<void> {
    await this.parts.topology.ensureConsumer(this.options.contract, this.options.spec);
  }

  /** Runs until `stop`. Never rejects. */
  async run(): Promise<void> {
    while (!this.stopped) {
      try {
        await this.ensure();
        await this.consume();
      } catch (error) {
        if (this.stopped) break;
        this.parts.logger.warn('consumer interrupted', { consumer: this.options.spec.durable, err: error });
      }
      if (!this.stopped) await this.pause(500);
    }
  }

  /** Ends the pull so that `run` checks stream and consumer and starts again: after a reconnect, or when they went missing. */
  restart(): void {
    this.messages?.stop();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.wake?.();
    this.messages?.stop();
    await Promise.race([
      Promise.all([...this.atWork]),
      new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref()),
    ]);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private async consume(): Promise<void> {
    const js = await this.parts.connection.jetstream(PULL_EXPIRES_MS);
    const consumer = await js.consumers.get(this.options.spec.stream, this.options.spec.durable);
    this.messages = await consumer.consume({
      max_messages: Math.max(2, this.options.concurrency),
      expires: PULL_EXPIRES_MS,
      abort_on_missing_resource: true,
    });
    // stopped while the pull was being set up
    if (this.stopped) this.messages.stop();
    try {
      for await (const message of this.messages) {
        await this.slots.acquire();
        if (this.stopped) {
          this.slots.release();
          message.nak();
          continue;
        }
        const work = this.process(message).finally(() => {
          this.slots.release();
          this.atWork.delete(work);
        });
        this.atWork.add(work);
      }
    } finally {
      this.messages = undefined;
    }
  }

  /** Everything about one message is inside `try`: a bad one must never be delivered for ever, nor end the loop. */
  private async process(message: JsMsg): Promise<void> {
    const { contract, name, spec } = this.options;
    const started = process.hrtime.bigint();
    const beat = setInterval(() => message.working(), Math.max(1_000, spec.ackWaitMs / 3));
    let outcome = 'acknowledged';
    try {
      if (message.info.deliveryCount > this.options.maxDeliveries) {
        outcome = await this.bury(message, { kind: 'transient', code: 'too-many-deliveries', message: 'kept failing' });
        return;
      }
      const { payload, meta } = decodeMessage(contract, message.data, message.subject);
      await this.options.handle(payload, new BusContext(meta, message.info.deliveryCount, name));
      message.ack();
    } catch (thrown) {
      outcome = await this.failed(message, thrown);
    } finally {
      clearInterval(beat);
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      this.parts.metrics.handled(name, outcome, seconds);
    }
  }

  private async failed(message: JsMsg, thrown: unknown): Promise<string> {
    const error = classifyError(thrown);
    const { name } = this.options;
    const deliveries = message.info.deliveryCount;
    if (error.kind === 'transient' && deliveries < this.options.maxDeliveries) {
      this.parts.logger.warn('message is delivered again', { consumer: name, attempt: deliveries, code: error.code });
      message.nak(backoffMs(deliveries));
      return 'retried';
    }
    this.parts.logger.error('message goes to the dead letters', { consumer: name, attempt: deliveries, err: error });
    return this.bury(message, error);
  }

  /** The row first, then `term()`: a crash between them writes the row again, a loss is impossible. */
  private async bury(
    message: JsMsg,
    error: { kind: 'transient' | 'permanent' | 'bug'; code: string; message: string },
  ): Promise<string> {
    try {
      await this.parts.deadLetters.store({
        consumer: this.options.name,
        stream: message.info.stream,
        streamSequence: message.info.streamSequence,
        subject: message.subject,
        data: message.data,
        deliveries: message.info.deliveryCount,
        kind: error.kind,
        code: error.code,
        reason: error.message,
      });
      message.term();
      return 'dead-letter';
    } catch (failure) {
      this.parts.logger.error('dead letter could not be written', { consumer: this.options.name, err: failure });
      message.nak(backoffMs(message.info.deliveryCount));
      return 'retried';
    }
  }
}

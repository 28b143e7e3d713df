import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import type { Contract } from '@archipelago/contracts';
import { BugError, classifyError, TransientError, type Logger } from '@archipelago/platform-service';
import type { WireError } from '../client/bus-errors';
import { Limiter } from '../limiter';
import { decodeMessage, MAX_MESSAGE_BYTES } from '../message';
import { BusContext } from './bus-context';
import type { BusMetrics } from './bus-metrics';

export interface QueryResponderOptions {
  contract: Contract;
  /** Subjects that it listens to. */
  filter: string;
  /** Queue group: one process of the group answers. */
  group: string;
  concurrency: number;
  queue: number;
  handle: (payload: unknown, context: BusContext) => Promise<unknown>;
}

/** Answers one kind of query over core NATS, bounded in concurrency and queue; every request gets an answer. */
export class QueryResponder {
  private readonly slots: Limiter;
  private subscription: Subscription | undefined;
  private readonly atWork = new Set<Promise<void>>();

  constructor(
    private readonly options: QueryResponderOptions,
    private readonly metrics: BusMetrics,
    private readonly logger: Logger,
  ) {
    this.slots = new Limiter(options.concurrency);
  }

  /** Idempotent: the client renews the subscription after reconnects by itself. */
  attach(connection: NatsConnection): void {
    if (this.subscription !== undefined && !this.subscription.isClosed()) return;
    this.subscription = connection.subscribe(this.options.filter, {
      queue: this.options.group,
      callback: (error, message) => {
        if (error !== null) return;
        const work = this.answer(message).finally(() => this.atWork.delete(work));
        this.atWork.add(work);
      },
    });
  }

  async stop(): Promise<void> {
    this.subscription?.unsubscribe();
    await Promise.race([Promise.all([...this.atWork]), new Promise((resolve) => setTimeout(resolve, 5_000).unref())]);
  }

  private async answer(message: Msg): Promise<void> {
    const { contract } = this.options;
    const started = process.hrtime.bigint();
    let outcome = 'ok';
    let reply: Buffer;
    try {
      if (this.slots.queued >= this.options.queue) throw new TransientError('busy', 'too many queries are waiting');
      const { payload, meta } = decodeMessage(contract, message.data, message.subject);
      const result = await this.slots.run(() =>
        this.options.handle(payload, new BusContext(meta, 1, this.options.group)),
      );
      reply = this.encode(result);
    } catch (thrown) {
      const error = classifyError(thrown);
      outcome = error.kind;
      if (error.kind !== 'transient') this.logger.error('query failed', { contract: contract.name, err: error });
      reply = encodeError(error);
    }
    try {
      message.respond(reply);
    } catch (error) {
      this.logger.warn('an answer could not be sent', { contract: contract.name, err: error });
    }
    this.metrics.answered(contract.name, outcome, Number(process.hrtime.bigint() - started) / 1e9);
  }

  private encode(result: unknown): Buffer {
    const checked = this.options.contract.reply?.safeParse(result);
    if (checked?.success !== true) throw new BugError('reply-invalid', 'the answer does not fit its contract');
    const data = Buffer.from(JSON.stringify({ ok: true, payload: checked.data }));
    if (data.length > MAX_MESSAGE_BYTES) throw new BugError('reply-too-large', `the answer has ${data.length} bytes`);
    return data;
  }
}

function encodeError({ kind, code, message }: WireError): Buffer {
  // a bug's message may quote anything: the asker learns its code, the log of the answerer the rest
  const error: WireError = { kind, code, message: kind === 'bug' ? 'internal error' : message };
  return Buffer.from(JSON.stringify({ ok: false, error }));
}

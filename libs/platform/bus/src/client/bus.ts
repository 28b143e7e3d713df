import { Inject, Injectable } from '@nestjs/common';
import type { PubAck } from '@nats-io/jetstream';
import { subjectFor, subjectStem, type Contract } from '@archipelago/contracts';
import { Logger, SITE, TransientError } from '@archipelago/platform-service';
import { z } from 'zod';
import { Limiter } from '../limiter';
import {
  decodeMessage,
  encodeMessage,
  partitionOf,
  type MessageMeta,
  type PayloadIn,
  type PayloadOf,
  type ReplyOf,
} from '../message';
import { BusConnection } from './bus-connection';
import { fromWireError, isMissing, toBusError } from './bus-errors';
import { Topology, type StreamKey } from './topology';

export interface PublishOptions {
  /** Subject token; default: from the contract's ordering key. */
  partition?: string | number;
  /** Default: this process's site. */
  site?: string;
  /** Event id; the same id again is the same event. Default: a new one. */
  id?: string;
  trace?: string;
  cause?: string;
  /** Whole time for connection and acknowledgement (default 5000). */
  timeoutMs?: number;
}

export interface RequestOptions extends Omit<PublishOptions, 'id'> {
  timeoutMs: number;
}

export interface BusSubscription {
  unsubscribe(): void;
}

export const ReplyEnvelope = z.union([
  z.object({ ok: z.literal(true), payload: z.unknown() }),
  z.object({
    ok: z.literal(false),
    error: z.object({ kind: z.enum(['transient', 'permanent', 'bug']), code: z.string(), message: z.string() }),
  }),
]);

/** Unacknowledged publications in flight; measured: more brings nothing. */
const WINDOW = 256;

/**
 * Sending side of the bus, and core subscriptions. Every rejection is an ArchipelagoError: TransientError `bus-away`,
 * `bus-timeout`, `bus-no-responders`, `bus-jetstream`; PermanentError `message-invalid`, `message-too-large`.
 */
@Injectable()
export class Bus {
  private readonly window = new Limiter(WINDOW);

  constructor(
    private readonly connection: BusConnection,
    private readonly topology: Topology,
    private readonly logger: Logger,
    @Inject(SITE) readonly site: string,
  ) {}

  get connected(): boolean {
    return this.connection.connected;
  }

  /** Called after every connect and reconnect. */
  onConnect(listener: () => void): void {
    this.connection.onConnect(listener);
  }

  /** To JetStream, acknowledged: stored in the stream when it resolves. */
  async publish<C extends Contract>(contract: C, payload: PayloadIn<C>, options: PublishOptions = {}): Promise<PubAck> {
    const { id, data } = encodeMessage(contract, payload, { ...options, site: options.site ?? this.site });
    return this.publishRaw(contract, this.subject(contract, payload, options), data, id, options.timeoutMs);
  }

  /** An already encoded message (outbox relay, replay of dead letters). */
  async publishRaw(
    contract: StreamKey,
    subject: string,
    data: Uint8Array,
    id: string,
    timeoutMs = 5_000,
  ): Promise<PubAck> {
    return this.window.run(async () => {
      const end = Date.now() + timeoutMs;
      const send = async (): Promise<PubAck> => {
        const js = await this.connection.jetstream(end - Date.now());
        return js.publish(subject, data, { msgID: id, timeout: Math.max(50, end - Date.now()) });
      };
      try {
        return await send();
      } catch (error) {
        if (!isMissing(error)) throw toBusError(error);
      }
      try {
        await this.topology.ensureStream(contract);
        return await send();
      } catch (error) {
        throw toBusError(error);
      }
    });
  }

  /** On core NATS, to whoever listens now; nobody knows whether it arrived. @throws TransientError without a connection */
  async emit<C extends Contract>(contract: C, payload: PayloadIn<C>, options: PublishOptions = {}): Promise<void> {
    const { data } = encodeMessage(contract, payload, { ...options, site: options.site ?? this.site });
    const connection = await this.connection.ready(options.timeoutMs ?? 1_000);
    try {
      connection.publish(this.subject(contract, payload, options), data);
    } catch (error) {
      throw toBusError(error);
    }
  }

  /**
   * Asks and waits at most `timeoutMs` in all. The answer fits the contract's reply schema.
   * @throws TransientError `bus-away` | `bus-timeout` | `bus-no-responders`, or the answerer's own error with its class and code
   */
  async request<C extends Contract>(contract: C, payload: PayloadIn<C>, options: RequestOptions): Promise<ReplyOf<C>> {
    const end = Date.now() + options.timeoutMs;
    const { data } = encodeMessage(contract, payload, { ...options, site: options.site ?? this.site });
    const connection = await this.connection.ready(options.timeoutMs);
    let reply: Uint8Array;
    try {
      const remaining = Math.max(1, end - Date.now());
      reply = (await connection.request(this.subject(contract, payload, options), data, { timeout: remaining })).data;
    } catch (error) {
      throw toBusError(error);
    }
    return decodeReply(contract, reply);
  }

  /**
   * Core subscription. Messages that do not fit are logged and left out; the handler's errors are logged.
   * @param at partition and site to listen for; all when left out
   */
  subscribe<C extends Contract>(
    contract: C,
    at: { partition?: string | number; site?: string; queue?: string },
    handler: (payload: PayloadOf<C>, meta: MessageMeta) => void | Promise<void>,
  ): BusSubscription {
    const subject = `${subjectStem(contract)}.${at.partition ?? '*'}.${at.site ?? '*'}`;
    let current: { unsubscribe(): void; isClosed(): boolean } | undefined;
    let ended = false;
    // the client renews subscriptions after a reconnect; a new connection (the first, or after an auth change) needs a new one
    this.connection.onConnect(() => {
      if (ended || (current !== undefined && !current.isClosed())) return;
      void this.connection.ready(1_000).then(
        (connection) => {
          if (ended) return;
          current = connection.subscribe(subject, {
            ...(at.queue === undefined ? {} : { queue: at.queue }),
            callback: (error, message) => {
              if (error === null) void this.deliver(contract, message.data, message.subject, handler);
            },
          });
        },
        () => undefined,
      );
    });
    return {
      unsubscribe() {
        ended = true;
        current?.unsubscribe();
      },
    };
  }

  private async deliver<C extends Contract>(
    contract: C,
    data: Uint8Array,
    subject: string,
    handler: (payload: PayloadOf<C>, meta: MessageMeta) => void | Promise<void>,
  ): Promise<void> {
    try {
      const { payload, meta } = decodeMessage(contract, data, subject);
      await handler(payload, meta);
    } catch (error) {
      this.logger.error('message on a core subscription failed', { contract: contract.name, err: error });
    }
  }

  private subject(contract: Contract, payload: unknown, options: PublishOptions): string {
    return subjectFor(contract, options.partition ?? partitionOf(contract, payload), options.site ?? this.site);
  }
}

function decodeReply<C extends Contract>(contract: C, data: Uint8Array): ReplyOf<C> {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(data).toString('utf8'));
  } catch (error) {
    throw new TransientError('reply-invalid', 'the answer is not JSON', { cause: error });
  }
  const envelope = ReplyEnvelope.safeParse(json);
  if (!envelope.success) throw new TransientError('reply-invalid', 'the answer is not a reply');
  if (!envelope.data.ok) throw fromWireError(envelope.data.error);
  const reply = contract.reply?.safeParse(envelope.data.payload);
  if (reply?.success !== true) throw new TransientError('reply-invalid', `the answer is not one of ${contract.name}`);
  return reply.data as ReplyOf<C>;
}

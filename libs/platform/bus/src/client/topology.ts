import { Inject, Injectable } from '@nestjs/common';
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
  type ConsumerInfo,
  type StreamInfo,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import type { Contract } from '@archipelago/contracts';
import { Logger } from '@archipelago/platform-service';
import { busConfig, type BusConfig } from '../bus.config';
import { BusConnection } from './bus-connection';
import { isMissing, toBusError } from './bus-errors';

const API_WAIT_MS = 5_000;
const DAY_MS = 86_400_000;

/** What decides the stream. */
export type StreamKey = Pick<Contract, 'kind' | 'context'>;

/** One stream per kind and context: `EVT_EDGE` holds `evt.edge.>`. */
export function streamName(contract: StreamKey): string {
  return `${contract.kind}_${contract.context}`.toUpperCase();
}

export interface ConsumerSpec {
  stream: string;
  durable: string;
  filter: string;
  maxAckPending: number;
  ackWaitMs: number;
}

/**
 * Makes streams and consumers where they are missing. Uses only what NATS 2.9 knows: one filter subject per consumer, no
 * per-message TTL. JetStream is transport, so a wiped server is simply filled again.
 */
@Injectable()
export class Topology {
  constructor(
    private readonly connection: BusConnection,
    @Inject(busConfig.KEY) private readonly config: BusConfig,
    private readonly logger: Logger,
  ) {}

  async streamInfo(name: string): Promise<StreamInfo | null> {
    try {
      return await (await this.connection.jetstreamManager(API_WAIT_MS)).streams.info(name);
    } catch (error) {
      if (isMissing(error)) return null;
      throw toBusError(error);
    }
  }

  async consumerInfo(stream: string, durable: string): Promise<ConsumerInfo | null> {
    try {
      return await (await this.connection.jetstreamManager(API_WAIT_MS)).consumers.info(stream, durable);
    } catch (error) {
      if (isMissing(error)) return null;
      throw toBusError(error);
    }
  }

  async ensureStream(contract: StreamKey): Promise<StreamInfo> {
    const name = streamName(contract);
    const existing = await this.streamInfo(name);
    if (existing !== null) return existing;
    try {
      const manager = await this.connection.jetstreamManager(API_WAIT_MS);
      const info = await manager.streams.add({
        name,
        subjects: [`${contract.kind}.${contract.context}.>`],
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        discard: DiscardPolicy.Old,
        max_age: nanos(7 * DAY_MS),
        duplicate_window: nanos(120_000),
        num_replicas: this.config.replicas,
      });
      this.logger.info('stream made', { stream: name });
      return info;
    } catch (error) {
      // two processes starting together: the other one made it
      const made = await this.streamInfo(name);
      if (made !== null) return made;
      throw toBusError(error);
    }
  }

  async ensureConsumer(contract: StreamKey, spec: ConsumerSpec): Promise<void> {
    if ((await this.consumerInfo(spec.stream, spec.durable)) !== null) return;
    await this.ensureStream(contract);
    try {
      const manager = await this.connection.jetstreamManager(API_WAIT_MS);
      await manager.consumers.add(spec.stream, {
        durable_name: spec.durable,
        filter_subject: spec.filter,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        replay_policy: ReplayPolicy.Instant,
        ack_wait: nanos(spec.ackWaitMs),
        max_ack_pending: spec.maxAckPending,
        // the limit is ours (dead letter first, then term): the server's would drop the message without a trace
        max_deliver: -1,
      });
      this.logger.info('consumer made', { stream: spec.stream, consumer: spec.durable });
    } catch (error) {
      if ((await this.consumerInfo(spec.stream, spec.durable)) !== null) return;
      throw toBusError(error);
    }
  }
}

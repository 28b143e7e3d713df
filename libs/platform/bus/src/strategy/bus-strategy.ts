import { Inject, Injectable, Optional } from '@nestjs/common';
import { Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import { subjectFilter, subjectStem, type Contract } from '@archipelago/contracts';
import {
  BugError,
  HealthRegistry,
  isTransient,
  Logger,
  SERVICE_NAME,
  SITE,
  TransportRegistry,
  type ComponentHealth,
} from '@archipelago/platform-service';
import { lastValueFrom } from 'rxjs';
import { busConfig, type BusConfig } from '../bus.config';
import { BusConnection } from '../client/bus-connection';
import { streamName, Topology } from '../client/topology';
import { PARTITIONS } from '../message';
import { LEASES, type Leases } from '../store/leases';
import { BusDeclarations } from './bus-declarations';
import type { BusContext } from './bus-context';
import { BusMetrics } from './bus-metrics';
import { DEAD_LETTER_SINK, type DeadLetterSink } from './dead-letter-sink';
import { BUS_TRANSPORT, type EventExtras, type EventHandlerOptions, type QueryExtras } from './decorators';
import { EventConsumer } from './event-consumer';
import { OrderedRunner } from './ordered-runner';
import { QueryResponder } from './query-responder';

interface Registration {
  pattern: string;
  handler: MessageHandler<unknown, BusContext>;
  extras: EventExtras | QueryExtras;
}

/** Without the bus the process could not do what it is there for; commands to a site are done beside its own work. */
function needsBus({ extras }: Registration): boolean {
  return 'event' in extras || extras.query.ownSite !== true;
}

const WATCH_MS = 5_000;

/**
 * Nest transport over JetStream pull consumers (events, commands) and core request/reply (queries).
 * `listen` refuses a start where a declared handler is missing or there twice, or where NATS refuses a stream or a
 * consumer; without NATS the start goes on, and the process is not ready until all of them exist.
 */
@Injectable()
export class BusStrategy extends Server implements CustomTransportStrategy {
  override readonly transportId = BUS_TRANSPORT;
  private readonly registrations: Registration[] = [];
  private readonly consumers: EventConsumer[] = [];
  private readonly ordered: OrderedRunner[] = [];
  private readonly responders: QueryResponder[] = [];
  private readonly runs: Promise<void>[] = [];
  private readonly watched: { stream: string; durable: string; consumer: EventConsumer }[] = [];
  private complete = false;
  private connectedOnce = false;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    transports: TransportRegistry,
    private readonly connection: BusConnection,
    private readonly topology: Topology,
    private readonly declarations: BusDeclarations,
    private readonly metrics: BusMetrics,
    private readonly log: Logger,
    private readonly health: HealthRegistry,
    @Inject(SERVICE_NAME) private readonly service: string,
    @Inject(busConfig.KEY) private readonly config: BusConfig,
    @Inject(SITE) private readonly site: string,
    @Optional() @Inject(DEAD_LETTER_SINK) private readonly deadLetters?: DeadLetterSink,
    @Optional() @Inject(LEASES) private readonly leases?: Leases,
  ) {
    super();
    transports.register(this);
  }

  /** Keeps every registration, where Nest would silently chain or replace: two handlers of one message are a mistake. */
  override addHandler(
    pattern: unknown,
    callback: MessageHandler,
    isEventHandler = false,
    extras: Record<string, unknown> = {},
  ): void {
    super.addHandler(pattern, callback, isEventHandler, extras);
    this.registrations.push({
      pattern: String(pattern),
      handler: callback as MessageHandler<unknown, BusContext>,
      extras: extras as unknown as EventExtras | QueryExtras,
    });
  }

  listen(callback: (error?: unknown) => void): void {
    this.start().then(() => callback(), callback);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.timer);
    await Promise.all([
      ...this.consumers.map((consumer) => consumer.stop()),
      ...this.ordered.map((runner) => runner.stop()),
      ...this.responders.map((responder) => responder.stop()),
    ]);
  }

  on(): never {
    throw new BugError('bus', 'the bus has no transport events');
  }

  unwrap<T>(): T {
    return this.connection as unknown as T;
  }

  private async start(): Promise<void> {
    this.declarations.check(this.registrations.map((r) => ({ stem: r.pattern, name: this.nameOf(r) })));
    for (const registration of this.registrations) {
      if ('event' in registration.extras) this.addConsumer(registration, registration.extras);
      else this.addResponder(registration, registration.extras);
    }
    // a process that handles nothing can do its work without streams and consumers
    this.health.register('bus-topology', () => this.topologyHealth(), { critical: this.registrations.some(needsBus) });
    try {
      await this.connection.ready(this.config.startWaitSeconds * 1000);
      await this.ensureAll();
    } catch (error) {
      if (!isTransient(error)) throw error;
      this.log.warn('NATS is not there yet, going on without', { err: error });
    }
    this.connection.onConnect(() => this.onConnect());
    for (const consumer of this.consumers) this.runs.push(consumer.run());
    for (const runner of this.ordered) this.runs.push(runner.run());
    this.timer = setInterval(() => void this.watch(), WATCH_MS);
    this.timer.unref();
  }

  private nameOf({ extras, pattern }: Registration): string {
    if (!('event' in extras)) return this.service;
    return extras.event.consumer ?? `${this.service}-${pattern.split('.').slice(1).join('-')}`;
  }

  private addConsumer(registration: Registration, { contract, event }: EventExtras): void {
    if (this.deadLetters === undefined) throw new BugError('bus', 'a process that handles events needs BusStoreModule');
    const { handler } = registration;
    const name = this.nameOf(registration);
    if (event.ordered === true) this.addOrdered(handler, contract, event, name);
    else {
      const concurrency = event.concurrency ?? 16;
      const consumer = this.makeConsumer(handler, contract, event, name, name, subjectFilter(contract), concurrency);
      this.consumers.push(consumer);
    }
  }

  private addOrdered(
    handler: MessageHandler<unknown, BusContext>,
    contract: Contract,
    event: EventHandlerOptions,
    name: string,
  ): void {
    if (this.leases === undefined) throw new BugError('bus', 'ordered handlers need BusStoreModule');
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const filter = `${subjectStem(contract)}.${partition}.*`;
      const make = (): EventConsumer =>
        this.makeConsumer(handler, contract, event, name, `${name}-p${partition}`, filter, 1);
      this.ordered.push(new OrderedRunner(`consumer:${name}:${partition}`, this.leases, make, this.log));
    }
  }

  private makeConsumer(
    handler: MessageHandler<unknown, BusContext>,
    contract: Contract,
    event: EventHandlerOptions,
    name: string,
    durable: string,
    filter: string,
    concurrency: number,
  ): EventConsumer {
    const spec = {
      stream: streamName(contract),
      durable,
      filter,
      maxAckPending: event.ordered === true ? 1 : 1024,
      ackWaitMs: event.ackWaitMs ?? 30_000,
    };
    const consumer = new EventConsumer(
      {
        contract,
        spec,
        name,
        concurrency,
        maxDeliveries: event.maxDeliveries ?? 60,
        handle: async (payload, context) => {
          await lastValueFrom(this.transformToObservable(await handler(payload, context)), { defaultValue: undefined });
        },
      },
      {
        connection: this.connection,
        topology: this.topology,
        metrics: this.metrics,
        logger: this.log,
        deadLetters: this.deadLetters as DeadLetterSink,
      },
    );
    if (!this.watched.some((w) => w.durable === durable)) this.watched.push({ stream: spec.stream, durable, consumer });
    return consumer;
  }

  private addResponder({ handler }: Registration, { contract, query }: QueryExtras): void {
    this.responders.push(
      new QueryResponder(
        {
          contract,
          filter: query.ownSite === true ? `${subjectStem(contract)}.*.${this.site}` : subjectFilter(contract),
          group: this.service,
          concurrency: query.concurrency ?? 64,
          queue: query.queue ?? 512,
          handle: async (payload, context) =>
            lastValueFrom(this.transformToObservable(await handler(payload, context)) as never, {
              defaultValue: undefined,
            }),
        },
        this.metrics,
        this.log,
      ),
    );
  }

  private async ensureAll(): Promise<void> {
    for (const contract of this.declarations.publishes) await this.topology.ensureStream(contract);
    for (const consumer of this.consumers) await consumer.ensure();
    const connection = await this.connection.ready(1_000);
    for (const responder of this.responders) responder.attach(connection);
    this.complete = true;
  }

  private onConnect(): void {
    if (this.closed) return;
    const first = !this.connectedOnce;
    this.connectedOnce = true;
    // the start has made all of it on this very connection; a pull given up now would hold its messages back for 30 s
    if (first && this.complete) return;
    this.complete = false;
    this.ensureAll().then(
      () => this.consumers.forEach((consumer) => consumer.restart()),
      (error: unknown) => this.log.warn('streams and consumers are not complete', { err: error }),
    );
  }

  /** Heals what went missing behind our back and measures the lag. */
  private async watch(): Promise<void> {
    if (!this.connection.connected || this.closed) return;
    try {
      if (!this.complete) await this.ensureAll();
      for (const { stream, durable, consumer } of this.watched) {
        const info = await this.topology.consumerInfo(stream, durable);
        if (info === null) {
          this.log.warn('a consumer went missing', { stream, consumer: durable });
          consumer.restart();
        } else this.metrics.lagOf(durable, info.num_pending + info.num_ack_pending);
      }
      for (const contract of this.declarations.publishes) await this.topology.ensureStream(contract);
    } catch (error) {
      this.log.warn('streams and consumers could not be looked at', { err: error });
    }
  }

  private topologyHealth(): ComponentHealth {
    return this.complete ? { status: 'up' } : { status: 'down', reason: 'streams and consumers are not complete' };
  }
}

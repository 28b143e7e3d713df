import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import {
  HealthRegistry,
  Logger,
  SERVICE_NAME,
  TransientError,
  type ComponentHealth,
} from '@archipelago/platform-service';
import { busConfig, type BusConfig } from '../bus.config';

const RECONNECT_WAIT_MS = 500;

/**
 * The process's one NATS connection. It is never given up: the first connection is tried until it works, later ones are
 * made again for ever; `connected` says how it is now.
 */
@Injectable()
export class BusConnection implements OnApplicationShutdown {
  private connection: NatsConnection | undefined;
  private jetstreamClient: JetStreamClient | undefined;
  private manager: JetStreamManager | undefined;
  private up = false;
  private closing = false;
  private readonly waiters = new Set<() => void>();
  private readonly listeners = new Set<() => void>();
  private readonly loop: Promise<void>;

  constructor(
    @Inject(busConfig.KEY) private readonly config: BusConfig,
    @Inject(SERVICE_NAME) private readonly service: string,
    private readonly logger: Logger,
    health: HealthRegistry,
  ) {
    health.register('nats', () => this.health());
    this.loop = this.connectForEver();
  }

  get connected(): boolean {
    return this.up;
  }

  /** Called after every connect and reconnect: the server behind it may be another, or an empty one. */
  onConnect(listener: () => void): void {
    this.listeners.add(listener);
    if (this.up) listener();
  }

  /** @throws TransientError `bus-away` when there is no connection within the time */
  async ready(timeoutMs: number): Promise<NatsConnection> {
    if (!this.up && !this.closing) await this.waitUp(timeoutMs);
    if (!this.up || this.connection === undefined) throw new TransientError('bus-away', 'NATS cannot be reached');
    return this.connection;
  }

  async jetstream(timeoutMs: number): Promise<JetStreamClient> {
    await this.ready(timeoutMs);
    return this.jetstreamClient as JetStreamClient;
  }

  async jetstreamManager(timeoutMs: number): Promise<JetStreamManager> {
    await this.ready(timeoutMs);
    return this.manager as JetStreamManager;
  }

  async onApplicationShutdown(): Promise<void> {
    this.closing = true;
    for (const wake of this.waiters) wake();
    const connection = this.connection;
    if (connection === undefined) return;
    // a drain with the server away would wait for it
    if (this.up) await Promise.race([connection.drain().catch(() => undefined), delay(2_000)]);
    await connection.close().catch(() => undefined);
    await Promise.race([this.loop, delay(1_000)]);
  }

  private waitUp(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.waiters.add(done);
    });
  }

  private async connectForEver(): Promise<void> {
    for (let attempt = 1; !this.closing; attempt++) {
      try {
        await this.connectOnce();
        await this.watch(this.connection as NatsConnection);
      } catch (error) {
        if (attempt % 20 === 1) this.logger.warn('waiting for NATS', { attempt, err: error });
      }
      this.up = false;
      if (!this.closing) await delay(RECONNECT_WAIT_MS);
    }
  }

  private async connectOnce(): Promise<void> {
    const connection = await connect({
      servers: this.config.url.split(','),
      name: `archipelago-${this.service}`,
      user: this.config.user,
      pass: this.config.password,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      // a peer that vanished without a word is noticed within 20 s, not after four minutes
      pingInterval: 10_000,
      maxPingOut: 2,
      timeout: 5_000,
      ignoreAuthErrorAbort: true,
    });
    this.connection = connection;
    this.jetstreamClient = jetstream(connection, { timeout: 5_000 });
    this.manager = await jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
    this.logger.info('NATS connected', { version: connection.info?.version });
    this.setUp();
  }

  private async watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        this.up = false;
        this.logger.warn('NATS connection lost');
      } else if (status.type === 'reconnect') {
        this.logger.info('NATS connected again', { version: connection.info?.version });
        this.setUp();
      } else if (status.type === 'slowConsumer') {
        this.logger.warn('slow NATS consumer', { pending: status.pending });
      }
    }
    await connection.closed();
  }

  private setUp(): void {
    this.up = true;
    for (const wake of [...this.waiters]) wake();
    for (const listener of this.listeners) listener();
  }

  private health(): ComponentHealth {
    return this.up ? { status: 'up' } : { status: 'down', reason: 'NATS cannot be reached' };
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

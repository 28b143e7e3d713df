import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Contract } from '@archipelago/contracts';
import { Logger, MetricsRegistry, TransientError, type ArchipelagoError } from '@archipelago/platform-service';
import { Database, type SqlClient } from '@archipelago/platform-storage';
import { Bus } from '../client/bus';
import { Topology } from '../client/topology';
import { cleanInbox } from './inbox';
import { cleanOutbox, outboxLag, reconcileStream } from './outbox';

const BATCH = 256;
const IDLE_MS = 250;
const ERROR_MS = 1_000;
const CHECK_MS = 5_000;
const CLEAN_MS = 600_000;

interface OutboxRow {
  seq: string;
  id: string;
  stream: string;
  subject: string;
  data: string;
}

/** Publishes the outbox after commit. Any number of processes may run it: rows are claimed with SKIP LOCKED. */
@Injectable()
export class OutboxRelay implements OnApplicationBootstrap, OnModuleDestroy {
  private stopped = false;
  private running: Promise<void> = Promise.resolve();
  private wake: (() => void) | undefined;
  private nudged = false;
  private checkDue = 0;
  private cleanDue = Date.now() + 60_000;
  private readonly rowsGauge;
  private readonly secondsGauge;
  private readonly published;
  private readonly republished;

  constructor(
    private readonly database: Database,
    private readonly bus: Bus,
    private readonly topology: Topology,
    private readonly logger: Logger,
    metrics: MetricsRegistry,
  ) {
    this.rowsGauge = metrics.gauge({ name: 'archipelago_outbox_lag_rows', help: 'Outbox rows not yet published' });
    this.secondsGauge = metrics.gauge({
      name: 'archipelago_outbox_lag_seconds',
      help: 'Age of the oldest unpublished row',
    });
    this.published = metrics.counter({ name: 'archipelago_outbox_published_total', help: 'Outbox rows published' });
    this.republished = metrics.counter({
      name: 'archipelago_outbox_republished_total',
      help: 'Rows published again because a stream lost them',
    });
  }

  onApplicationBootstrap(): void {
    // a connection made again may lead to a server that lost its streams: look before anything else
    this.bus.onConnect(() => {
      this.checkDue = 0;
      this.nudge();
    });
    this.running = this.loop();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    this.wake?.();
    await this.running;
  }

  /** There are new rows: do not wait for the next look. */
  nudge(): void {
    this.nudged = true;
    this.wake?.();
  }

  private async loop(): Promise<void> {
    while (!this.stopped) {
      let pause = IDLE_MS;
      try {
        this.nudged = false;
        await this.housekeeping();
        if (this.bus.connected && (await this.publishBatch()) === BATCH) continue;
      } catch (error) {
        const code = (error as Partial<ArchipelagoError>).code ?? 'unknown';
        this.logger.warn('the outbox waits', { code, err: error });
        pause = ERROR_MS;
      }
      if (!this.nudged && !this.stopped) await this.pause(pause);
    }
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

  private async publishBatch(): Promise<number> {
    return this.database.withTransaction(
      async (client) => {
        const { rows } = await client.query<OutboxRow>(
          `SELECT seq, id, stream, subject, data FROM outbox WHERE published_at IS NULL
          ORDER BY seq LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
        );
        if (rows.length === 0) return 0;
        const results = await Promise.allSettled(rows.map((row) => this.publish(row)));
        const done = rows.flatMap((row, i) => {
          const result = results[i] as PromiseSettledResult<number>;
          return result.status === 'fulfilled' ? [{ ...row, streamSeq: result.value }] : [];
        });
        await this.markPublished(client, done);
        this.published.inc(done.length);
        if (done.length === 0)
          throw new TransientError('outbox-unpublished', 'nothing of the outbox could be published');
        return done.length === rows.length ? done.length : 0;
      },
      { retries: 0 },
    );
  }

  private async publish(row: OutboxRow): Promise<number> {
    const [kind, context] = row.subject.split('.') as [Contract['kind'], string];
    const ack = await this.bus.publishRaw({ kind, context }, row.subject, Buffer.from(row.data), row.id);
    return ack.seq;
  }

  private async markPublished(
    client: SqlClient,
    rows: { seq: string; stream: string; streamSeq: number }[],
  ): Promise<void> {
    if (rows.length === 0) return;
    await client.query(
      `UPDATE outbox o SET published_at = clock_timestamp(), stream_seq = p.stream_seq
         FROM unnest($1::bigint[], $2::bigint[]) AS p (seq, stream_seq) WHERE o.seq = p.seq`,
      [rows.map((row) => row.seq), rows.map((row) => row.streamSeq)],
    );
  }

  private async housekeeping(): Promise<void> {
    const now = Date.now();
    if (now >= this.checkDue) {
      const lag = await outboxLag(this.database);
      this.rowsGauge.set(lag.rows);
      this.secondsGauge.set(lag.seconds);
      if (this.bus.connected) await this.checkStreams();
      this.checkDue = now + CHECK_MS;
    }
    if (now >= this.cleanDue) {
      await cleanOutbox(this.database);
      await cleanInbox(this.database);
      this.cleanDue = now + CLEAN_MS;
    }
  }

  /** Streams that hold published rows of ours: were they made anew, or did they lose their end? */
  private async checkStreams(): Promise<void> {
    const { rows } = await this.database.query<{ stream: string }>(
      `SELECT stream FROM outbox_stream UNION SELECT DISTINCT stream FROM outbox WHERE published_at IS NOT NULL`,
    );
    for (const { stream } of rows) {
      const [kind, context] = stream.toLowerCase().split('_') as [Contract['kind'], string];
      const info = await this.topology.ensureStream({ kind, context });
      const lost = await this.database.withTransaction((client) =>
        reconcileStream(client, stream, { created: info.created as string, lastSequence: info.state.last_seq }),
      );
      if (lost > 0) {
        this.republished.inc(lost);
        this.logger.warn('a stream lost messages: they are published again', { stream, count: lost });
      }
    }
  }
}

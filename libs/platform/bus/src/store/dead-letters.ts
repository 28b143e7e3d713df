import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Contract } from '@archipelago/contracts';
import { MetricsRegistry, PermanentError } from '@archipelago/platform-service';
import { Database } from '@archipelago/platform-storage';
import { Bus } from '../client/bus';
import type { DeadLetterSink, NewDeadLetter } from '../strategy/dead-letter-sink';

export interface DeadLetter {
  id: string;
  consumer: string;
  stream: string;
  streamSequence: string;
  subject: string;
  deliveries: number;
  kind: string;
  code: string;
  reason: string;
  state: 'open' | 'replayed' | 'discarded';
  firstAt: Date;
  lastAt: Date;
  times: number;
  replays: number;
}

const COLUMNS = `id, consumer, stream, stream_sequence AS "streamSequence", subject, deliveries, kind, code, reason, state,
  first_at AS "firstAt", last_at AS "lastAt", times, replays`;

/** Messages that could not be handled, as rows: looked at, replayed or discarded by a person. */
@Injectable()
export class DeadLetters implements DeadLetterSink {
  private readonly stored;

  constructor(
    private readonly database: Database,
    private readonly bus: Bus,
    metrics: MetricsRegistry,
  ) {
    this.stored = metrics.counter({
      name: 'archipelago_dead_letters_total',
      help: 'Messages put into the dead letters',
      labelNames: ['consumer', 'code'],
    });
    const open = metrics.gauge({
      name: 'archipelago_dead_letters_open',
      help: 'Dead letters waiting for a decision',
      async collect() {
        try {
          const { rows } = await database.query<{ n: string }>(
            "SELECT count(*) AS n FROM dead_letter WHERE state = 'open'",
          );
          open.set(Number(rows[0]?.n ?? 0));
        } catch {
          // the database is away: the last known value stays, and readiness says why
        }
      },
    });
  }

  async store(letter: NewDeadLetter): Promise<void> {
    await this.database.query(
      `INSERT INTO dead_letter (consumer, stream, stream_sequence, subject, data, data_sha256, deliveries, kind, code, reason)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
       ON CONFLICT (consumer, subject, data_sha256) WHERE state = 'open'
       DO UPDATE SET times = dead_letter.times + 1, last_at = clock_timestamp(), deliveries = excluded.deliveries,
                     stream_sequence = excluded.stream_sequence, code = excluded.code, reason = excluded.reason`,
      [
        letter.consumer,
        letter.stream,
        letter.streamSequence,
        letter.subject,
        Buffer.from(letter.data),
        createHash('sha256').update(letter.data).digest(),
        letter.deliveries,
        letter.kind,
        letter.code,
        // a NUL would be refused by PostgreSQL, and the letter lost
        letter.reason.replaceAll('\0', '').slice(0, 2_000),
      ],
    );
    this.stored.inc({ consumer: letter.consumer, code: letter.code });
  }

  async list(options: { state?: DeadLetter['state']; limit?: number; after?: string } = {}): Promise<DeadLetter[]> {
    const { rows } = await this.database.query<DeadLetter>(
      `SELECT ${COLUMNS} FROM dead_letter WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3`,
      [options.state ?? 'open', options.after ?? '0', options.limit ?? 100],
    );
    return rows;
  }

  /** The letter with its message. @throws PermanentError `dead-letter-unknown` */
  async show(id: string): Promise<DeadLetter & { data: Buffer }> {
    const { rows } = await this.database.query<DeadLetter & { data: Buffer }>(
      `SELECT ${COLUMNS}, data FROM dead_letter WHERE id = $1`,
      [id],
    );
    if (rows[0] === undefined) throw new PermanentError('dead-letter-unknown', `there is no dead letter ${id}`);
    return rows[0];
  }

  /**
   * Publishes the message again under its old event id: consumers that already did their part do nothing again.
   * Published before it is marked: a crash between the two replays it once more, which their inbox takes care of.
   */
  async replay(id: string): Promise<void> {
    const letter = await this.show(id);
    if (letter.state !== 'open')
      throw new PermanentError('dead-letter-decided', `dead letter ${id} is ${letter.state}`);
    const [kind, context] = letter.subject.split('.') as [Contract['kind'], string];
    // an id of its own: within two minutes the stream would take the event's own id for a duplicate and drop it
    const messageId = `dead-letter-${id}-${letter.replays + 1}-${Date.now()}`;
    await this.bus.publishRaw({ kind, context }, letter.subject, letter.data, messageId);
    await this.decide(id, 'replayed');
  }

  async discard(id: string): Promise<void> {
    const letter = await this.show(id);
    if (letter.state !== 'open')
      throw new PermanentError('dead-letter-decided', `dead letter ${id} is ${letter.state}`);
    await this.decide(id, 'discarded');
  }

  private async decide(id: string, state: 'replayed' | 'discarded'): Promise<void> {
    await this.database.query(
      `UPDATE dead_letter SET state = $2, decided_at = clock_timestamp(), replays = replays + ($2 = 'replayed')::int
        WHERE id = $1 AND state = 'open'`,
      [id, state],
    );
  }
}

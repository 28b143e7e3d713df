import { subjectFor, type Contract } from '@archipelago/contracts';
import type { SqlClient } from '@archipelago/platform-storage';
import { streamName } from '../client/topology';
import { encodeMessage, partitionOf, type PayloadIn } from '../message';

export interface OutboxEvent<C extends Contract = Contract> {
  contract: C;
  payload: PayloadIn<C>;
  site: string;
  partition?: string | number;
  id?: string;
  trace?: string;
  cause?: string;
}

/** Typed maker: the payload is checked against its contract by the compiler too. */
export function outboxEvent<C extends Contract>(event: OutboxEvent<C>): OutboxEvent {
  return event as unknown as OutboxEvent;
}

/**
 * Writes events into the transaction of the change that they tell of; the relay publishes them after the commit.
 * Answers with their ids, in order.
 * @throws PermanentError when a payload does not fit its contract
 */
export async function writeOutbox(client: SqlClient, events: readonly OutboxEvent[]): Promise<string[]> {
  if (events.length === 0) return [];
  const columns = { id: [] as string[], stream: [] as string[], subject: [] as string[], data: [] as string[] };
  for (const event of events) {
    const { id, data } = encodeMessage(event.contract, event.payload, event);
    columns.id.push(id);
    columns.stream.push(streamName(event.contract));
    columns.subject.push(
      subjectFor(event.contract, event.partition ?? partitionOf(event.contract, event.payload), event.site),
    );
    columns.data.push(data.toString('utf8'));
  }
  await client.query(
    `INSERT INTO outbox (id, stream, subject, data)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) ON CONFLICT (id) DO NOTHING`,
    [columns.id, columns.stream, columns.subject, columns.data],
  );
  return columns.id;
}

/** Published rows are kept this long, to be published again when a stream lost them. */
export const OUTBOX_DAYS = 7;

export async function cleanOutbox(client: SqlClient, limit = 10_000): Promise<number> {
  const { rowCount } = await client.query(
    `DELETE FROM outbox WHERE seq IN (
       SELECT seq FROM outbox WHERE published_at < clock_timestamp() - make_interval(days => $1) LIMIT $2)`,
    [OUTBOX_DAYS, limit],
  );
  return rowCount ?? 0;
}

export interface OutboxLag {
  rows: number;
  /** Age of the oldest unpublished row, seconds. */
  seconds: number;
}

export async function outboxLag(client: SqlClient): Promise<OutboxLag> {
  const { rows } = await client.query<{ rows: string; seconds: string | null }>(
    `SELECT count(*) AS rows, extract(epoch FROM clock_timestamp() - min(created_at)) AS seconds
       FROM outbox WHERE published_at IS NULL`,
  );
  return { rows: Number(rows[0]?.rows ?? 0), seconds: Number(rows[0]?.seconds ?? 0) };
}

/**
 * Compares what a stream says of itself with what it said last: of a stream that was made anew all its rows, of one
 * whose last sequence fell the rows above it, are marked unpublished. Answers with their number.
 */
export async function reconcileStream(
  client: SqlClient,
  stream: string,
  now: { created: string; lastSequence: number },
): Promise<number> {
  const { rows } = await client.query<{ same: boolean; last_seq: string }>(
    'SELECT created = $2::timestamptz AS same, last_seq FROM outbox_stream WHERE stream = $1 FOR UPDATE',
    [stream, now.created],
  );
  const known = rows[0];
  let lost = 0;
  if (known !== undefined && (!known.same || now.lastSequence < Number(known.last_seq))) {
    const { rowCount } = await client.query(
      `UPDATE outbox SET published_at = NULL, stream_seq = NULL
        WHERE stream = $1 AND published_at IS NOT NULL AND ($2 OR stream_seq > $3)`,
      [stream, !known.same, now.lastSequence],
    );
    lost = rowCount ?? 0;
  }
  await client.query(
    `INSERT INTO outbox_stream (stream, created, last_seq) VALUES ($1, $2, $3)
     ON CONFLICT (stream) DO UPDATE SET created = $2, last_seq = $3, checked_at = clock_timestamp()`,
    [stream, now.created, now.lastSequence],
  );
  return lost;
}

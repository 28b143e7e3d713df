import type { SqlClient } from '@archipelago/platform-storage';

/**
 * Claims an event for a consumer inside the transaction of its effect: false when its effect is already committed, so
 * that nothing may be done again. A concurrent claim of the same event waits for the other transaction's end.
 */
export async function claimInbox(client: SqlClient, consumer: string, eventId: string): Promise<boolean> {
  const { rowCount } = await client.query(
    'INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING',
    [consumer, eventId],
  );
  return rowCount === 1;
}

/** claimInbox for several events of one transaction. @returns those that are ours to handle */
export async function claimInboxes(
  client: SqlClient,
  consumer: string,
  eventIds: readonly string[],
): Promise<Set<string>> {
  // in one order everywhere: two who claim the same events never wait for each other
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO inbox (consumer, event_id) SELECT $1, k.id FROM unnest($2::uuid[]) WITH ORDINALITY k(id, n) ORDER BY k.n
     ON CONFLICT DO NOTHING RETURNING event_id::text AS id`,
    [consumer, [...new Set(eventIds)].sort()],
  );
  return new Set(rows.map((row) => row.id));
}

/** Longer than any stream or outbox keeps a message that could come again. */
const INBOX_DAYS = 30;

export async function cleanInbox(client: SqlClient, limit = 10_000): Promise<number> {
  const { rowCount } = await client.query(
    `DELETE FROM inbox WHERE ctid IN (
       SELECT ctid FROM inbox WHERE handled_at < clock_timestamp() - make_interval(days => $1) LIMIT $2)`,
    [INBOX_DAYS, limit],
  );
  return rowCount ?? 0;
}

/**
 * Ids of published events of a stem (`evt.catalog.instance.stored.v1`) that have no inbox row of the consumer yet.
 * Empty is what "0 events without effect" means; recent ones may still be on their way.
 */
export async function eventsWithoutEffect(
  client: SqlClient,
  consumer: string,
  stem: string,
  limit = 100,
): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT o.id FROM outbox o
      WHERE starts_with(o.subject, $2 || '.')
        AND NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = $1 AND i.event_id = o.id)
      ORDER BY o.seq LIMIT $3`,
    [consumer, stem, limit],
  );
  return rows.map((row) => row.id);
}

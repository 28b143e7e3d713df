import type { SqlClient } from '@archipelago/platform-storage';
import type { BatchEntry } from './batch';
import type { Difference } from './differences';

/** Entries that a tombstone names, by instance, series or study. */
export async function findTombstoned(
  client: SqlClient,
  entries: readonly BatchEntry[],
): Promise<Map<BatchEntry, string>> {
  const uidsOf = (one: BatchEntry): [string, string][] => [
    ['IMAGE', one.entry.sopInstanceUid],
    ['SERIES', one.projection.series?.seriesInstanceUid ?? ''],
    ['STUDY', one.projection.study?.studyInstanceUid ?? ''],
  ];
  const uids = [...new Set(entries.flatMap((one) => uidsOf(one).map(([, uid]) => uid)))].filter((uid) => uid !== '');
  const { rows } = await client.query<{ id: string; level: string; uid: string }>(
    'SELECT id::text, level, uid FROM tombstone WHERE uid = ANY($1) AND lifted_at IS NULL',
    [uids],
  );
  if (rows.length === 0) return new Map();
  const dead = new Map(rows.map((row) => [`${row.level}|${row.uid}`, row.id]));
  const found = new Map<BatchEntry, string>();
  for (const one of entries) {
    const id = uidsOf(one)
      .map(([level, uid]) => dead.get(`${level}|${uid}`))
      .find((tombstone) => tombstone !== undefined);
    if (id !== undefined) found.set(one, id);
  }
  return found;
}

/** A resend of what was deleted is not shown again by itself: someone decides. */
export function resendDifferences(held: Map<BatchEntry, string>): Difference[] {
  return [...held].map(([one, tombstone]) => ({
    kind: 'resend-of-deleted',
    subject: `${one.entry.sopInstanceUid}|${tombstone}`,
    evidence: {
      sopInstanceUid: one.entry.sopInstanceUid,
      tombstone,
      packId: one.place.packId,
      ordinal: one.entry.ordinal,
    },
  }));
}

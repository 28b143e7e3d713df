import type { SqlClient } from '@archipelago/platform-storage';
import type { BatchEntry } from './batch';
import type { Difference } from './differences';

/** UIDs by level, as far as it has them. */
export interface Named {
  study: string;
  series: string;
  instance: string;
}

/** Those that a tombstone names, by instance, series or study, with the tombstone's id. */
export async function findTombstoned<T>(
  client: SqlClient,
  all: readonly T[],
  named: (one: T) => Named,
): Promise<Map<T, string>> {
  const uidsOf = (one: T): [string, string][] => {
    const { study, series, instance } = named(one);
    return [
      ['IMAGE', instance],
      ['SERIES', series],
      ['STUDY', study],
    ];
  };
  const uids = [...new Set(all.flatMap((one) => uidsOf(one).map(([, uid]) => uid)))].filter((uid) => uid !== '');
  const { rows } = await client.query<{ id: string; level: string; uid: string }>(
    'SELECT id::text, level, uid FROM tombstone WHERE uid = ANY($1) AND lifted_at IS NULL',
    [uids],
  );
  if (rows.length === 0) return new Map();
  const dead = new Map(rows.map((row) => [`${row.level}|${row.uid}`, row.id]));
  const found = new Map<T, string>();
  for (const one of all) {
    const id = uidsOf(one)
      .map(([level, uid]) => dead.get(`${level}|${uid}`))
      .find((tombstone) => tombstone !== undefined);
    if (id !== undefined) found.set(one, id);
  }
  return found;
}

export function namedByObject({ entry, projection }: BatchEntry): Named {
  return {
    study: projection.study?.studyInstanceUid ?? '',
    series: projection.series?.seriesInstanceUid ?? '',
    instance: entry.sopInstanceUid,
  };
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

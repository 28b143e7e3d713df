import type { SqlClient } from '@archipelago/platform-storage';

export interface ChangedStudy {
  studyId: string;
  revision: number;
  cursor: string;
}

/**
 * Studies that changed since the cursor (absent: since the beginning), oldest change first. A change is given only when
 * no transaction that could still bring an earlier one is running: nothing is passed over.
 */
export async function studiesChangedSince(
  client: SqlClient,
  cursor: string | undefined,
  limit = 1000,
): Promise<ChangedStudy[]> {
  const [xid = '0', id = '0'] = cursor !== undefined && /^\d{1,19}-\d{1,18}$/.test(cursor) ? cursor.split('-') : [];
  const { rows } = await client.query<ChangedStudy>(
    `SELECT id::text AS "studyId", revision::int, changed_xid::text || '-' || id AS cursor FROM study
     WHERE (changed_xid, id) > ($1::text::xid8, $2::bigint) AND changed_xid < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY changed_xid, id LIMIT $3`,
    [xid, id, limit],
  );
  return rows;
}

/** Series metadata objects: derived, immutable, one per revision of a series; a row points at the current one. */
import type { SqlClient } from '@archipelago/platform-storage';

export interface ClaimedSeries {
  seriesId: string;
  /** Revision of the series that the object is to cover. */
  revision: number;
  /** Fences off a writer whose lease ran out. */
  fence: string;
}

/** A header block of one instance, in a pack. */
export interface HeaderPlace {
  instanceId: string;
  sopInstanceUid: string;
  store: string;
  key: string;
  headerOffset: number;
  headerLength: number;
  headerRawLength: number;
}

export interface MetadataPointer {
  revision: number;
  store: string;
  key: string;
  bytes: number;
}

/** Series that have been quiet for so long and whose object is not of their revision, leased to the caller. */
export async function claimQuietSeries(
  client: SqlClient,
  options: { quietSeconds: number; leaseSeconds: number; limit: number },
): Promise<ClaimedSeries[]> {
  const { rows } = await client.query<ClaimedSeries>(
    `WITH due AS (
       SELECT x.id, x.revision FROM series x LEFT JOIN series_metadata m ON m.series = x.id
       WHERE x.instances > 0 AND x.changed_at < now() - make_interval(secs => $1)
         AND (m.series IS NULL OR (m.revision < x.revision AND m.leased_until < now()))
         AND EXISTS (SELECT 1 FROM instance i JOIN pack_entry e ON e.sop_instance_uid = i.sop_instance_uid AND e.same_as = i.wire_digest
                     WHERE i.series = x.id AND i.is_answer)
       ORDER BY x.changed_at LIMIT $3)
     INSERT INTO series_metadata AS t (series, fence, leased_until)
     SELECT id, 1, now() + make_interval(secs => $2) FROM due ORDER BY id
     ON CONFLICT (series) DO UPDATE SET fence = t.fence + 1, leased_until = excluded.leased_until WHERE t.leased_until < now()
     RETURNING series::text AS "seriesId", (SELECT revision::int FROM due WHERE due.id = t.series) AS revision, fence::text`,
    [options.quietSeconds, options.leaseSeconds, options.limit],
  );
  return rows;
}

/**
 * Header blocks of the answers of a series, in order of number and UID, that lie in one of the stores (by name): an
 * instance with no copy there is left out.
 */
export async function headerPlaces(
  client: SqlClient,
  seriesId: string,
  stores: readonly string[],
  except: readonly string[] = [],
): Promise<HeaderPlace[]> {
  const { rows } = await client.query<HeaderPlace>(
    `SELECT * FROM (SELECT DISTINCT ON (i.sort_number, i.sop_instance_uid) i.sort_number, i.id::text AS "instanceId", i.sop_instance_uid AS "sopInstanceUid",
       l.store, l.key, e.header_offset::float8 AS "headerOffset", e.header_length AS "headerLength", e.header_raw_length AS "headerRawLength"
     FROM instance i JOIN pack_entry e ON e.sop_instance_uid = i.sop_instance_uid AND e.wire_digest = i.wire_digest
     JOIN pack_location l ON l.pack = e.pack AND l.missing_at IS NULL AND l.store = ANY($2::text[])
     WHERE i.series = $1 AND i.is_answer AND i.id <> ALL($3::bigint[])
     ORDER BY i.sort_number, i.sop_instance_uid, array_position($2::text[], l.store), e.pack, e.ordinal) h ORDER BY sort_number, "sopInstanceUid"`,
    [seriesId, stores, except],
  );
  return rows;
}

/** Compare-and-set of the pointer; false when the lease passed to another writer or a newer object is there already. */
export async function switchPointer(
  client: SqlClient,
  claimed: ClaimedSeries,
  object: { store: string; key: string; bytes: number; instances: number; sha256: string },
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE series_metadata SET revision = $2, store = $4, key = $5, bytes = $6, instances = $7, sha256 = decode($8, 'hex'), written_at = now(),
       leased_until = '-infinity' WHERE series = $1 AND fence = $3 AND revision < $2`,
    [
      claimed.seriesId,
      claimed.revision,
      claimed.fence,
      object.store,
      object.key,
      object.bytes,
      object.instances,
      object.sha256,
    ],
  );
  return rowCount === 1;
}

export async function metadataPointer(client: SqlClient, seriesId: string): Promise<MetadataPointer | null> {
  const { rows } = await client.query<MetadataPointer>(
    'SELECT revision::int, store, key, bytes::float8 AS bytes FROM series_metadata WHERE series = $1 AND key IS NOT NULL',
    [seriesId],
  );
  return rows[0] ?? null;
}

/** Ids of the instances that are the series' answers now. */
export async function currentInstances(client: SqlClient, seriesId: string): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    'SELECT id::text FROM instance WHERE series = $1 AND is_answer ORDER BY sort_number, sop_instance_uid',
    [seriesId],
  );
  return rows.map((row) => row.id);
}

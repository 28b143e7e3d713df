import type { SqlClient } from '@archipelago/platform-storage';
import { lockStudies } from './levels';

export interface EvictedPlace {
  packId: string;
  store: string;
  key: string;
  bytes: number;
}

export interface EvictedStudy {
  /** Places taken out of the catalog. */
  places: EvictedPlace[];
  /** Packs with fetched objects of the study that stay. */
  kept: number;
}

/** Packs with a place that hold a fetched object of the study. */
const CANDIDATES = `
  SELECT DISTINCT e.pack::text AS pack FROM study s JOIN instance i ON i.study = s.id
    JOIN pack_entry e ON e.sop_instance_uid = i.sop_instance_uid AND e.origin = 'fetched' AND e.harvest IS NULL
    JOIN pack_location l ON l.pack = e.pack
  WHERE s.study_instance_uid = $1`;

/**
 * Of these packs those in which something is not a fetched copy of what is shown of this study: an object of another origin
 * or study, an answer of an archive, an object held back, or one of which there are several versions.
 */
const BLOCKED = `
  SELECT DISTINCT e.pack::text AS pack FROM pack_entry e
    LEFT JOIN instance i ON i.sop_instance_uid = e.sop_instance_uid AND i.wire_digest = e.same_as AND i.is_answer
    LEFT JOIN study s ON s.id = i.study AND s.study_instance_uid = $2
  WHERE e.pack = ANY($1::bigint[])
    AND (e.origin <> 'fetched' OR e.harvest IS NOT NULL OR e.same_as IS NULL OR s.id IS NULL
      OR EXISTS (SELECT FROM instance o WHERE o.sop_instance_uid = e.sop_instance_uid AND o.wire_digest <> e.same_as))`;

/** Another copy of what entry e is a copy of, in a pack that stays and is where it should be. */
const OTHER_COPY = `EXISTS (SELECT FROM pack_entry o JOIN pack_location l ON l.pack = o.pack AND l.missing_at IS NULL
      WHERE o.sop_instance_uid = e.sop_instance_uid AND o.same_as = e.same_as AND o.pack <> ALL($1::bigint[]))`;

/** An archive said that it has the object, and has not said otherwise since. */
const ARCHIVED = `EXISTS (SELECT FROM source_instance t JOIN source n ON n.id = t.source
      WHERE t.sop_instance_uid = e.sop_instance_uid AND NOT t.held AND t.state = 'present' AND n.name = ANY($2::text[])
        AND NOT EXISTS (SELECT FROM source_instance v WHERE v.sop_instance_uid = t.sop_instance_uid AND v.source = t.source
          AND v.state = 'vanished' AND v.as_of > t.as_of))`;

const LAST_COPY = `SELECT DISTINCT e.pack::text AS pack FROM pack_entry e
  WHERE e.pack = ANY($1::bigint[]) AND NOT ${ARCHIVED} AND NOT ${OTHER_COPY}`;

const NO_MORE_HELD = `UPDATE instance i SET held = false FROM pack_entry e
  WHERE e.pack = ANY($1::bigint[]) AND i.sop_instance_uid = e.sop_instance_uid AND i.wire_digest = e.same_as AND i.held
    AND NOT ${OTHER_COPY}`;

const PLACES = `DELETE FROM pack_location l USING pack p WHERE l.pack = ANY($1::bigint[]) AND p.id = l.pack
  RETURNING p.pack_id::text AS "packId", l.store, l.key, p.bytes::float8 AS bytes`;

/**
 * Takes the cached copies of a study out of the catalog, inside the caller's transaction: packs that hold nothing but fetched
 * objects of it lose their places when each object is said to be in one of `archives`, or has another copy. What is shown
 * stays as it is; an instance that no pack holds any more counts as not held, until its bytes come again. The bytes may be
 * deleted after the commit. A rebuild of the presentation replays packs that have a place: of what was evicted it shows what
 * archives answered (docs/adr/0019, 2).
 * @param archives names of the archives that can be asked again
 */
export async function evictStudy(
  client: SqlClient,
  studyInstanceUid: string,
  archives: readonly string[],
): Promise<EvictedStudy> {
  await lockStudies(client, [studyInstanceUid]);
  const packs = async (text: string, values: unknown[]): Promise<string[]> =>
    (await client.query<{ pack: string }>(text, values)).rows.map((row) => row.pack);
  const candidates = await packs(CANDIDATES, [studyInstanceUid]);
  if (candidates.length === 0) return { places: [], kept: 0 };
  const blocked = new Set(await packs(BLOCKED, [candidates, studyInstanceUid]));
  const free = candidates.filter((pack) => !blocked.has(pack));
  const needed = new Set(await packs(LAST_COPY, [free, archives]));
  const going = free.filter((pack) => !needed.has(pack));
  const kept = candidates.length - going.length;
  if (going.length === 0) return { places: [], kept };
  await client.query(NO_MORE_HELD, [going]);
  const { rows: places } = await client.query<EvictedPlace>(PLACES, [going]);
  return { places, kept };
}

export interface FetchedPack {
  packId: string;
  /** Position in the order in which packs took effect. */
  order: number;
  studyInstanceUid: string;
  /** Of the pack, as far as its objects are of this study. */
  bytes: number;
  indexedAt: Date;
}

const FETCHED = (condition: string, limit: string): string => `
  WITH p AS MATERIALIZED (
    SELECT * FROM pack p WHERE p.indexed_order IS NOT NULL AND ${condition}
      AND EXISTS (SELECT FROM pack_location l WHERE l.pack = p.id) ORDER BY p.indexed_order ${limit})
  SELECT p.pack_id::text AS "packId", p.indexed_order::float8 AS "order", p.indexed_at AS "indexedAt", k.study AS "studyInstanceUid",
    ceil(p.bytes * (sum(k.length) / nullif(sum(sum(k.length)) OVER (PARTITION BY p.id), 0)))::float8 AS bytes
  FROM p CROSS JOIN LATERAL (
    SELECT DISTINCT ON (e.ordinal) s.study_instance_uid AS study, e.dataset_length AS length FROM pack_entry e
      JOIN instance i ON i.sop_instance_uid = e.sop_instance_uid AND i.wire_digest = e.same_as JOIN study s ON s.id = i.study
    WHERE e.pack = p.id AND e.origin = 'fetched' AND e.harvest IS NULL) k
  GROUP BY p.id, p.pack_id, p.indexed_order, p.indexed_at, p.bytes, k.study ORDER BY p.indexed_order`;

/** The fetched objects in a pack that has a place, by study; none when it has none. */
export async function fetchedPack(client: SqlClient, packId: string): Promise<FetchedPack[]> {
  return (await client.query<FetchedPack>(FETCHED('p.pack_id = $1', ''), [packId])).rows;
}

/** The same of up to `limit` packs after a position; `last` is the position of the last one looked at, null at the end. */
export async function fetchedPacksAfter(
  client: SqlClient,
  order: number,
  limit: number,
): Promise<{ packs: FetchedPack[]; last: number | null }> {
  const { rows } = await client.query<{ last: number | null }>(
    `SELECT max(indexed_order)::float8 AS last FROM (SELECT indexed_order FROM pack WHERE indexed_order > $1
       ORDER BY indexed_order LIMIT $2) x`,
    [order, limit],
  );
  const last = rows[0]?.last ?? null;
  if (last === null) return { packs: [], last };
  const condition = 'p.indexed_order > $1 AND p.indexed_order <= $2';
  return { packs: (await client.query<FetchedPack>(FETCHED(condition, ''), [order, last])).rows, last };
}

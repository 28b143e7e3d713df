import { Injectable } from '@nestjs/common';
import type { PackSealedV1, QuarantinedPackV1 } from '@archipelago/contracts';
import { Database } from '@archipelago/platform-storage';

export interface KnownPack {
  sha256: string;
  /** In this store, as far as we know. */
  present: boolean;
  /** Taken out of the cache: its absence is meant. */
  evicted: boolean;
}

export interface StoredPlace {
  packId: string;
  edgeId: string;
  site: string;
  key: string;
  bytes: string;
  sha256: string;
}

/** Two failures in a row, with a new upload between them: it is the pack, not the store. */
const FAILURES_TO_QUARANTINE = 2;

@Injectable()
export class IngestRepository {
  constructor(private readonly database: Database) {}

  async knownPack(packId: string, store: string): Promise<KnownPack | null> {
    const { rows } = await this.database.query<KnownPack>(
      `SELECT encode(p.sha256, 'hex') AS sha256, coalesce(l.missing_at IS NULL AND l.pack IS NOT NULL, false) AS present,
              EXISTS (SELECT FROM pack_eviction v WHERE v.pack_id = p.pack_id AND v.store = $2) AS evicted
         FROM pack p LEFT JOIN pack_location l ON l.pack = p.id AND l.store = $2 WHERE p.pack_id = $1`,
      [packId, store],
    );
    return rows[0] ?? null;
  }

  /** Notes a pack that could not be read. True: quarantined; false: a suspect, to be sent again once. */
  async noteUnreadable(a: PackSealedV1, code: string, reason: string, certain: boolean): Promise<boolean> {
    const { rows } = await this.database.query<{ quarantined: boolean }>(
      `INSERT INTO quarantined_pack AS q (pack_id, edge_id, site, store, key, code, reason, state)
       VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $8 THEN 'quarantined' ELSE 'suspect' END)
       ON CONFLICT (pack_id) DO UPDATE SET code = $6, reason = $7, last_at = clock_timestamp(),
         failures = CASE WHEN q.state = 'healed' THEN 1 ELSE q.failures + 1 END,
         state = CASE WHEN $8 OR (q.state <> 'healed' AND q.failures + 1 >= ${FAILURES_TO_QUARANTINE})
                      THEN 'quarantined' ELSE 'suspect' END
       RETURNING state = 'quarantined' AS quarantined`,
      [a.packId, a.edgeId, a.site, a.store, a.key, code, reason.replaceAll('\0', '').slice(0, 1_000), certain],
    );
    return rows[0]?.quarantined === true;
  }

  async noteReadable(packId: string): Promise<void> {
    await this.database.query(
      "UPDATE quarantined_pack SET state = 'healed', last_at = clock_timestamp() WHERE pack_id = $1 AND state <> 'healed'",
      [packId],
    );
  }

  /** Latest failure first. */
  async quarantined(query: { all: boolean; before?: string; limit: number }): Promise<QuarantinedPackV1[]> {
    const { rows } = await this.database.query<Omit<QuarantinedPackV1, 'lastAt'> & { lastAt: Date }>(
      `SELECT pack_id AS "packId", edge_id AS "edgeId", site, store, key, code, reason, state, failures, last_at AS "lastAt"
         FROM quarantined_pack
        WHERE ($1 OR state = 'quarantined') AND ($2::timestamptz IS NULL OR last_at < $2) ORDER BY last_at DESC LIMIT $3`,
      [query.all, query.before ?? null, query.limit],
    );
    return rows.map((row) => ({ ...row, lastAt: row.lastAt.toISOString() }));
  }

  /** The failures of a quarantined pack count anew; it stays in quarantine until it is indexed. Null: it is not there. */
  async countAnew(packId: string): Promise<{ edgeId: string; site: string } | null> {
    const { rows } = await this.database.query<{ edgeId: string; site: string }>(
      `UPDATE quarantined_pack SET failures = 0 WHERE pack_id = $1 AND state <> 'healed'
       RETURNING edge_id AS "edgeId", site`,
      [packId],
    );
    return rows[0] ?? null;
  }

  /** An indexed pack as its edge announced it. */
  async announcementOf(packId: string, store: string, key: string): Promise<PackSealedV1 | null> {
    const { rows } = await this.database.query<Omit<PackSealedV1, 'sealedAt'> & { sealedAt: Date }>(
      `SELECT pack_id AS "packId", edge_id AS "edgeId", site, bytes::float8 AS bytes, tail_offset::float8 AS "tailOffset",
              entries, encode(sha256, 'hex') AS sha256, sealed_at AS "sealedAt", 1 AS attempt
         FROM pack WHERE pack_id = $1`,
      [packId],
    );
    const [row] = rows;
    return row ? { ...row, sealedAt: row.sealedAt.toISOString(), store, key } : null;
  }

  async quarantinedCount(): Promise<number> {
    const { rows } = await this.database.query<{ n: string }>(
      "SELECT count(*) AS n FROM quarantined_pack WHERE state = 'quarantined'",
    );
    return Number(rows[0]?.n ?? 0);
  }

  async placesOf(store: string, keys: readonly string[]): Promise<Map<string, StoredPlace>> {
    const { rows } = await this.database.query<StoredPlace>(
      `SELECT p.pack_id AS "packId", p.edge_id AS "edgeId", p.site, l.key, p.bytes::text AS bytes, encode(p.sha256, 'hex') AS sha256
         FROM pack_location l JOIN pack p ON p.id = l.pack WHERE l.store = $1 AND l.key = ANY($2)`,
      [store, keys],
    );
    return new Map(rows.map((row) => [row.key, row]));
  }

  async markVerified(store: string, keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    await this.database.query(
      'UPDATE pack_location SET verified_at = clock_timestamp(), missing_at = NULL WHERE store = $1 AND key = ANY($2)',
      [store, keys],
    );
  }

  async markMissing(store: string, key: string): Promise<void> {
    await this.database.query(
      'UPDATE pack_location SET missing_at = coalesce(missing_at, clock_timestamp()) WHERE store = $1 AND key = $2',
      [store, key],
    );
  }

  /** Places that a sweep begun at `since` did not see, in key order. */
  async unseen(store: string, since: Date, after: string, limit: number): Promise<StoredPlace[]> {
    const { rows } = await this.database.query<StoredPlace>(
      `SELECT p.pack_id AS "packId", p.edge_id AS "edgeId", p.site, l.key, p.bytes::text AS bytes, encode(p.sha256, 'hex') AS sha256
         FROM pack_location l JOIN pack p ON p.id = l.pack
        WHERE l.store = $1 AND l.verified_at < $2 AND l.key > $3 ORDER BY l.key LIMIT $4`,
      [store, since, after, limit],
    );
    return rows;
  }

  async now(): Promise<Date> {
    const { rows } = await this.database.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    return rows[0]!.now;
  }

  async sweepDue(store: string, minutes: number): Promise<boolean> {
    const { rows } = await this.database.query<{ due: boolean }>(
      `SELECT NOT EXISTS (SELECT FROM ingest_sweep
        WHERE store = $1 AND started_at > clock_timestamp() - make_interval(mins => $2)) AS due`,
      [store, minutes],
    );
    return rows[0]?.due === true;
  }

  async sweepStarted(store: string, deep: boolean): Promise<string> {
    const { rows } = await this.database.query<{ id: string }>(
      'INSERT INTO ingest_sweep (store, deep) VALUES ($1, $2) RETURNING id',
      [store, deep],
    );
    return rows[0]!.id;
  }

  async sweepFinished(id: string, result: object): Promise<void> {
    await this.database.query('UPDATE ingest_sweep SET finished_at = clock_timestamp(), result = $2 WHERE id = $1', [
      id,
      JSON.stringify(result),
    ]);
  }
}

import { Injectable } from '@nestjs/common';
import type { StudyAccessedV1 } from '@archipelago/contracts';
import type { FetchedPack } from '@archipelago/catalog-store';
import { assertLease, type HeldLease } from '@archipelago/platform-bus';
import { Database, type SqlClient } from '@archipelago/platform-storage';

export interface JournalRow {
  id: string;
  kind: 'access' | 'stored';
  study: string;
  at: Date;
  bytes: number;
  fetchMs: number | null;
}

export type StudyState = 'pending' | 'cached' | 'evict' | 'kept';

export interface StudyRow {
  study: string;
  state: StudyState | null;
  usedAt: Date;
  fetchMs: number;
  /** Of its cached packs. */
  bytes: number;
}

export interface Totals {
  bytes: number;
  studies: number;
  keptBytes: number;
  /** Studies that are to go. */
  leaving: number;
}

/** An access that was not admitted, or whose packs have not come, is remembered so long. */
const REMEMBERED_SECONDS = 900;
const KEPT_SECONDS = 3600;

const STUDY = `SELECT p.study, s.state, coalesce(s.used_at, p.stored_at) AS "usedAt", coalesce(s.fetch_ms, 0) AS "fetchMs", p.bytes::float8 AS bytes
  FROM (SELECT study, sum(bytes) AS bytes, max(stored_at) AS stored_at FROM cache_pack %WHERE% GROUP BY study) p
  LEFT JOIN cache_study s ON s.study = p.study`;

@Injectable()
export class KeeperRepository {
  constructor(private readonly database: Database) {}

  async noteAccess(client: SqlClient, access: StudyAccessedV1): Promise<void> {
    await client.query(
      "INSERT INTO cache_journal (kind, study, at, bytes, fetch_ms) VALUES ('access', $1, $2, $3, $4)",
      [access.studyInstanceUid, access.at, access.bytes, access.fetchedMilliseconds ?? null],
    );
  }

  /** @returns how many of them were not known */
  async noteStored(client: SqlClient, packs: readonly FetchedPack[]): Promise<number> {
    if (packs.length === 0) return 0;
    const { rowCount } = await client.query(
      `WITH fresh AS (
         INSERT INTO cache_pack (pack_id, study, bytes, stored_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::timestamptz[]) ON CONFLICT DO NOTHING
         RETURNING study, stored_at)
       INSERT INTO cache_journal (kind, study, at, bytes) SELECT 'stored', study, max(stored_at), 0 FROM fresh GROUP BY study`,
      [
        packs.map((pack) => pack.packId),
        packs.map((pack) => pack.studyInstanceUid),
        packs.map((pack) => pack.bytes),
        packs.map((pack) => pack.indexedAt),
      ],
    );
    return rowCount ?? 0;
  }

  /** What the policy has not been told, in the order in which it was written as far as that is known. */
  async journal(done: readonly string[], limit: number): Promise<JournalRow[]> {
    const { rows } = await this.database.query<JournalRow>(
      `SELECT id::text, kind, study, at, bytes::float8 AS bytes, fetch_ms AS "fetchMs" FROM cache_journal
       WHERE id <> ALL($1::bigint[]) ORDER BY id LIMIT $2`,
      [done, limit],
    );
    return rows;
  }

  async study(study: string): Promise<StudyRow | undefined> {
    const { rows } = await this.database.query<StudyRow>(STUDY.replace('%WHERE%', 'WHERE study = $1'), [study]);
    return rows[0];
  }

  /** Every study with cached packs. */
  async studies(): Promise<StudyRow[]> {
    return (await this.database.query<StudyRow>(STUDY.replace('%WHERE%', ''))).rows;
  }

  async fetchMsOf(study: string): Promise<number> {
    const { rows } = await this.database.query<{ ms: number }>(
      'SELECT fetch_ms AS ms FROM cache_study WHERE study = $1',
      [study],
    );
    return rows[0]?.ms ?? 0;
  }

  async setState(study: string, state: StudyState, usedAt?: Date, fetchMs?: number): Promise<void> {
    await this.database.query(
      `INSERT INTO cache_study AS s (study, state, used_at, fetch_ms) VALUES ($1, $2, coalesce($3::timestamptz, clock_timestamp()), coalesce($4::float8, 0))
       ON CONFLICT (study) DO UPDATE SET state = $2, since = clock_timestamp(), used_at = coalesce($3::timestamptz, s.used_at), fetch_ms = coalesce($4::float8, s.fetch_ms)`,
      [study, state, usedAt ?? null, fetchMs ?? null],
    );
  }

  /** Packs are here of a study of which nothing was decided: left alone until its access is told. */
  async setPending(study: string, storedAt: Date): Promise<void> {
    await this.database.query(
      "INSERT INTO cache_study (study, state, used_at) VALUES ($1, 'pending', $2) ON CONFLICT DO NOTHING",
      [study, storedAt],
    );
  }

  async pendingFor(seconds: number, limit: number): Promise<string[]> {
    const { rows } = await this.database.query<{ study: string }>(
      `SELECT study FROM cache_study WHERE state = 'pending' AND since < clock_timestamp() - make_interval(secs => $1)
       ORDER BY since LIMIT $2`,
      [seconds, limit],
    );
    return rows.map((row) => row.study);
  }

  /** Studies that are to go, and those that could not go some time ago; none that is pinned. */
  async toEvict(limit: number): Promise<string[]> {
    const { rows } = await this.database.query<{ study: string }>(
      `SELECT study FROM cache_study s
       WHERE (state = 'evict' OR state = 'kept' AND since < clock_timestamp() - make_interval(secs => ${KEPT_SECONDS}))
         AND EXISTS (SELECT FROM cache_pack p WHERE p.study = s.study) AND NOT EXISTS (SELECT FROM cache_pin n WHERE n.study = s.study)
       ORDER BY since LIMIT $1`,
      [limit],
    );
    return rows.map((row) => row.study);
  }

  async mayGo(study: string): Promise<boolean> {
    const { rows } = await this.database.query(
      `SELECT FROM cache_study s WHERE study = $1 AND state IN ('evict', 'kept') AND NOT EXISTS (SELECT FROM cache_pin n WHERE n.study = s.study)`,
      [study],
    );
    return rows.length > 0;
  }

  async packsOf(study: string): Promise<string[]> {
    const { rows } = await this.database.query<{ id: string }>(
      'SELECT pack_id::text AS id FROM cache_pack WHERE study = $1',
      [study],
    );
    return rows.map((row) => row.id);
  }

  /** These packs are gone; what is left of the study could not go. */
  async evicted(study: string, packs: readonly string[], kept: boolean): Promise<void> {
    await this.database.withTransaction(async (client) => {
      await client.query('DELETE FROM cache_pack WHERE pack_id = ANY($1::uuid[])', [packs]);
      if (kept)
        await client.query(
          "UPDATE cache_study SET state = 'kept', since = clock_timestamp() WHERE study = $1 AND state IN ('evict', 'kept')",
          [study],
        );
    });
  }

  /** Forgets what has no packs, some time after it was decided. @returns studies that the policy may believe to be here */
  async forget(): Promise<string[]> {
    const { rows } = await this.database.query<{ study: string; state: StudyState }>(
      `DELETE FROM cache_study s WHERE since < clock_timestamp() - make_interval(secs => ${REMEMBERED_SECONDS})
         AND NOT EXISTS (SELECT FROM cache_pack p WHERE p.study = s.study) RETURNING study, state`,
    );
    return rows.filter((row) => row.state === 'cached').map((row) => row.study);
  }

  async pins(): Promise<Set<string>> {
    const { rows } = await this.database.query<{ study: string }>('SELECT study FROM cache_pin');
    return new Set(rows.map((row) => row.study));
  }

  async pin(study: string): Promise<void> {
    await this.database.query('INSERT INTO cache_pin (study) VALUES ($1) ON CONFLICT DO NOTHING', [study]);
  }

  async unpin(study: string): Promise<void> {
    await this.database.query('DELETE FROM cache_pin WHERE study = $1', [study]);
  }

  async totals(): Promise<Totals> {
    const { rows } = await this.database.query<Totals>(
      `SELECT coalesce(sum(p.bytes), 0)::float8 AS bytes, count(DISTINCT p.study)::int AS studies,
         coalesce(sum(p.bytes) FILTER (WHERE s.state = 'kept'), 0)::float8 AS "keptBytes",
         count(DISTINCT p.study) FILTER (WHERE s.state = 'evict')::int AS leaving
       FROM cache_pack p LEFT JOIN cache_study s ON s.study = p.study`,
    );
    return rows[0]!;
  }

  async saved(): Promise<{ snapshot: string | null; lookedAt: number }> {
    const { rows } = await this.database.query<{ snapshot: string | null; lookedAt: number }>(
      'SELECT snapshot, looked_at AS "lookedAt" FROM cache_policy',
    );
    return rows[0] ?? { snapshot: null, lookedAt: 0 };
  }

  /** The policy as it is now, with all that it was told: both or neither. @throws TransientError lease lost */
  async save(lease: HeldLease, snapshot: string, lookedAt: number, done: readonly string[]): Promise<void> {
    await this.database.withTransaction(async (client) => {
      await assertLease(client, lease);
      await client.query(
        `INSERT INTO cache_policy (snapshot, looked_at) VALUES ($1, $2)
         ON CONFLICT (id) DO UPDATE SET snapshot = $1, looked_at = $2, saved_at = clock_timestamp()`,
        [snapshot, lookedAt],
      );
      await client.query('DELETE FROM cache_journal WHERE id = ANY($1::bigint[])', [done]);
    });
  }
}

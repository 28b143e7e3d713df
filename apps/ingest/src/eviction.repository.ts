import { Injectable } from '@nestjs/common';
import type { EvictedPlace } from '@archipelago/catalog-store';
import { Database, type SqlClient } from '@archipelago/platform-storage';

/** Most packs that one answer names; the rest is named when the study is asked for again. */
const MOST_PACKS = 1000;

@Injectable()
export class EvictionRepository {
  constructor(private readonly database: Database) {}

  async add(client: SqlClient, study: string, places: readonly EvictedPlace[]): Promise<void> {
    await client.query(
      `INSERT INTO pack_eviction (pack_id, store, key, bytes, study)
       SELECT k.id, k.store, k.key, k.bytes, $1 FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[]) k(id, store, key, bytes)
       ON CONFLICT (pack_id, store) DO UPDATE SET key = excluded.key, evicted_at = clock_timestamp(), deleted_at = NULL`,
      [
        study,
        places.map((place) => place.packId),
        places.map((place) => place.store),
        places.map((place) => place.key),
        places.map((place) => place.bytes),
      ],
    );
  }

  /** Of the study, with those of earlier that are not known to be deleted. */
  async undeleted(client: SqlClient, study: string): Promise<EvictedPlace[]> {
    const { rows } = await client.query<EvictedPlace>(
      `SELECT pack_id::text AS "packId", store, key, bytes::float8 AS bytes FROM pack_eviction
       WHERE study = $1 AND deleted_at IS NULL ORDER BY evicted_at, pack_id LIMIT ${MOST_PACKS}`,
      [study],
    );
    return rows;
  }

  /** Evictions from this store whose bytes are not known to be deleted. */
  async leftOver(store: string, limit: number): Promise<string[]> {
    const { rows } = await this.database.query<{ key: string }>(
      'SELECT key FROM pack_eviction WHERE store = $1 AND deleted_at IS NULL ORDER BY evicted_at, key LIMIT $2',
      [store, limit],
    );
    return rows.map((row) => row.key);
  }

  async markDeleted(store: string, keys: readonly string[]): Promise<void> {
    await this.database.query(
      'UPDATE pack_eviction SET deleted_at = clock_timestamp() WHERE store = $1 AND key = ANY($2) AND deleted_at IS NULL',
      [store, keys],
    );
  }

  async keysAmong(store: string, keys: readonly string[]): Promise<Set<string>> {
    if (keys.length === 0) return new Set();
    const { rows } = await this.database.query<{ key: string }>(
      'SELECT DISTINCT key FROM pack_eviction WHERE store = $1 AND key = ANY($2)',
      [store, keys],
    );
    return new Set(rows.map((row) => row.key));
  }

  /** A pack that was sent again while it was evicted may have got its place back: it has none. */
  async removePlaces(store: string): Promise<void> {
    await this.database.query(
      `DELETE FROM pack_location l USING pack p, pack_eviction v
       WHERE p.id = l.pack AND v.pack_id = p.pack_id AND v.store = l.store AND l.store = $1 AND v.deleted_at IS NULL`,
      [store],
    );
  }
}

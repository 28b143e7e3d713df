import type { MigrationInterface, QueryRunner } from 'typeorm';
import type { SchemaPart } from '@archipelago/platform-storage';

/** Tables that only ingest writes, beside the catalog's. */
export class IngestTables1763856000001 implements MigrationInterface {
  name = 'IngestTables1763856000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE quarantined_pack (
        pack_id    uuid PRIMARY KEY,
        edge_id    uuid NOT NULL,
        site       text NOT NULL,
        store      text NOT NULL,
        key        text NOT NULL,
        code       text NOT NULL,
        reason     text NOT NULL,
        state      text NOT NULL CHECK (state IN ('suspect', 'quarantined', 'healed')),
        failures   integer NOT NULL DEFAULT 1,
        first_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        last_at    timestamptz NOT NULL DEFAULT clock_timestamp()
      )`);
    await runner.query(`
      CREATE TABLE ingest_sweep (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        store       text NOT NULL,
        deep        boolean NOT NULL,
        started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        finished_at timestamptz,
        result      jsonb
      )`);
  }

  async down(): Promise<void> {
    throw new Error('migrations are forward-only');
  }
}

/**
 * Cached packs that were taken out of the catalog: never indexed again under their id, and their bytes deleted. The row stays
 * as long as the pack's own: an edge may announce it late.
 */
export class IngestEvictions1764201600002 implements MigrationInterface {
  name = 'IngestEvictions1764201600002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE pack_eviction (
        pack_id    uuid NOT NULL,
        store      text NOT NULL,
        key        text COLLATE "C" NOT NULL,
        bytes      bigint NOT NULL,
        study      text COLLATE "C" NOT NULL,
        evicted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        deleted_at timestamptz,
        PRIMARY KEY (pack_id, store)
      )`);
    await runner.query('CREATE INDEX pack_eviction_study ON pack_eviction (study) WHERE deleted_at IS NULL');
    await runner.query('CREATE INDEX pack_eviction_key ON pack_eviction (store, key)');
  }

  async down(): Promise<void> {
    throw new Error('migrations are forward-only');
  }
}

/**
 * What rules route and has not arrived: a row for a destination, a study and at most 100 of its instances. Written with the
 * pack that brought them, gone when the destination has taken all.
 */
export class IngestRoutes1764288000003 implements MigrationInterface {
  name = 'IngestRoutes1764288000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE route (
        id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind              text NOT NULL CHECK (kind IN ('workstation', 'archive')),
        destination       text COLLATE "C" NOT NULL,
        site              text NOT NULL,
        rule              text NOT NULL,
        study             text COLLATE "C" NOT NULL,
        instances         text[] NOT NULL,
        state             text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'failed')),
        refusals          integer NOT NULL DEFAULT 0,
        unreachable_since timestamptz,
        code              text,
        due_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
        leased_until      timestamptz,
        lease             uuid,
        created_at        timestamptz NOT NULL DEFAULT clock_timestamp()
      )`);
    await runner.query("CREATE INDEX route_due ON route (due_at, id) WHERE state = 'waiting'");
    await runner.query('CREATE INDEX route_destination ON route (kind, destination, id)');
  }

  async down(): Promise<void> {
    throw new Error('migrations are forward-only');
  }
}

export const INGEST_SCHEMA: SchemaPart = {
  name: 'ingest',
  migrations: [IngestTables1763856000001, IngestEvictions1764201600002, IngestRoutes1764288000003],
};

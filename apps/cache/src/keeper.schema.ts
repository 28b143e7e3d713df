import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What the keeper knows: the cached packs by study, what is to become of each study, the events that the last snapshot of the
 * policy does not contain, and that snapshot. Deleting a snapshot costs what was learnt, nothing else.
 */
export class CacheKeeper1764201600003 implements MigrationInterface {
  name = 'CacheKeeper1764201600003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE cache_pack (
        pack_id   uuid NOT NULL,
        study     text COLLATE "C" NOT NULL,
        bytes     bigint NOT NULL,
        stored_at timestamptz NOT NULL,
        PRIMARY KEY (study, pack_id))`);
    await runner.query('CREATE INDEX cache_pack_id ON cache_pack (pack_id)');
    await runner.query(`
      CREATE TABLE cache_study (
        study    text COLLATE "C" PRIMARY KEY,
        state    text NOT NULL CHECK (state IN ('pending', 'cached', 'evict', 'kept')),
        since    timestamptz NOT NULL DEFAULT clock_timestamp(),
        used_at  timestamptz NOT NULL,
        fetch_ms double precision NOT NULL DEFAULT 0)`);
    await runner.query(`COMMENT ON COLUMN cache_study.state IS
      'pending: not yet told to the policy; cached: to stay; evict: to go; kept: could not go, tried again later'`);
    await runner.query("CREATE INDEX cache_study_open ON cache_study (state, since) WHERE state <> 'cached'");
    await runner.query(`
      CREATE TABLE cache_pin (
        study     text COLLATE "C" PRIMARY KEY,
        pinned_at timestamptz NOT NULL DEFAULT clock_timestamp())`);
    await runner.query(`
      CREATE TABLE cache_journal (
        id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind     text NOT NULL CHECK (kind IN ('access', 'stored')),
        study    text COLLATE "C" NOT NULL,
        at       timestamptz NOT NULL,
        bytes    bigint NOT NULL,
        fetch_ms double precision)`);
    await runner.query(`
      CREATE TABLE cache_policy (
        id        boolean PRIMARY KEY DEFAULT true CHECK (id),
        snapshot  text,
        looked_at double precision NOT NULL DEFAULT 0,
        saved_at  timestamptz NOT NULL DEFAULT clock_timestamp())`);
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations are forward-only'));
  }
}

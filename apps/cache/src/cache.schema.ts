import type { SchemaPart } from '@archipelago/platform-storage';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CacheKeeper1764201600003 } from './keeper.schema';

/** Fetches under way and lately ended: one at a time for one target at one archive, whoever asks and whichever replica answers. */
export class CacheTables1764115200001 implements MigrationInterface {
  name = 'CacheTables1764115200001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE fetch_leg (
        leg_id       uuid PRIMARY KEY,
        archive      text COLLATE "C" NOT NULL,
        target       text COLLATE "C" NOT NULL,
        study        text COLLATE "C" NOT NULL,
        edge_id      uuid,
        url          text,
        grant_token  text,
        started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        ended_at     timestamptz,
        outcome      text,
        instances    integer,
        bytes        bigint,
        milliseconds double precision)`);
    await runner.query('CREATE UNIQUE INDEX fetch_leg_open ON fetch_leg (archive, target) WHERE ended_at IS NULL');
    await runner.query('CREATE INDEX fetch_leg_study ON fetch_leg (study, started_at)');
    await runner.query('CREATE INDEX fetch_leg_ended ON fetch_leg (ended_at)');
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations are forward-only'));
  }
}

export const CACHE_SCHEMA: SchemaPart = {
  name: 'cache',
  migrations: [CacheTables1764115200001, CacheKeeper1764201600003],
};

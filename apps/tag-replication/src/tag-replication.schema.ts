import type { MigrationInterface, QueryRunner } from 'typeorm';
import type { SchemaPart } from '@archipelago/platform-storage';

/**
 * The registry of archives (`archive`, `archive_status`; read by others) and what is known of their content, for the
 * harvest to go on, to see what changed and what vanished. What was said stands in packs; these tables can be lost:
 * everything is then read again.
 */
export class TagReplicationTables1764100000000 implements MigrationInterface {
  name = 'TagReplicationTables1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations are forward-only');
  }
}

const C = 'COLLATE "C"';

const STATEMENTS = [
  `CREATE TABLE archive (
     name text ${C} PRIMARY KEY,
     position integer NOT NULL,
     origin text NOT NULL CHECK (origin IN ('file', 'command')),
     site text ${C} NOT NULL,
     ae_title text NOT NULL,
     host text NOT NULL,
     port integer NOT NULL,
     tls boolean NOT NULL,
     issuer text,
     dicom_web_url text,
     depth text NOT NULL CHECK (depth IN ('none', 'study', 'series', 'image', 'full')),
     fetch_ae_title text NOT NULL,
     budget jsonb NOT NULL,
     state text NOT NULL CHECK (state IN ('active', 'paused', 'removed')),
     capabilities jsonb,
     revision bigint NOT NULL DEFAULT 1,
     file_settings jsonb,
     changed_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  `COMMENT ON COLUMN archive.position IS 'order of the configuration: the winner rule goes by it'`,
  `COMMENT ON COLUMN archive.file_settings IS 'what the site file said last; a change there takes effect, a command in between stays'`,
  `CREATE TABLE archive_status (
     name text ${C} PRIMARY KEY REFERENCES archive,
     site text ${C} NOT NULL,
     state text NOT NULL,
     depth text NOT NULL,
     reachable boolean,
     as_of timestamptz,
     complete_to text NOT NULL DEFAULT 'none',
     last_error text,
     last_error_at timestamptz,
     studies bigint NOT NULL DEFAULT 0,
     waiting jsonb NOT NULL DEFAULT '{}',
     unlistable integer NOT NULL DEFAULT 0,
     left_out jsonb NOT NULL DEFAULT '{}',
     cap integer,
     proven integer NOT NULL DEFAULT 0,
     max_seen integer NOT NULL DEFAULT 0,
     cap_checked_at timestamptz,
     wanted jsonb NOT NULL DEFAULT '{}',
     updated_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  `COMMENT ON COLUMN archive_status.as_of IS 'what the archive had then is known at study depth; null: first load under way'`,
  `COMMENT ON COLUMN archive_status.proven IS 'so many answers came to one query that was checked to be whole'`,
  `COMMENT ON COLUMN archive_status.wanted IS 'commands that wait: harvest, again, audit'`,
  `CREATE TABLE harvest_run (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     archive text ${C} NOT NULL REFERENCES archive,
     purpose text NOT NULL CHECK (purpose IN ('load', 'incremental', 'audit')),
     full_audit boolean NOT NULL DEFAULT false,
     scope_from text,
     started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
     finished_at timestamptz,
     phase text NOT NULL,
     frontier text,
     step_days integer NOT NULL DEFAULT 7,
     cursor text ${C} NOT NULL DEFAULT '',
     compared jsonb NOT NULL DEFAULT '{}',
     appeared jsonb NOT NULL DEFAULT '{}',
     changed jsonb NOT NULL DEFAULT '{}',
     vanished jsonb NOT NULL DEFAULT '{}',
     failed integer NOT NULL DEFAULT 0,
     examples jsonb NOT NULL DEFAULT '[]')`,
  'CREATE INDEX harvest_run_open ON harvest_run (archive) WHERE finished_at IS NULL',
  "CREATE INDEX harvest_run_audits ON harvest_run (started_at) WHERE purpose = 'audit'",
  `CREATE TABLE harvest_step (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     archive text ${C} NOT NULL REFERENCES archive,
     run bigint REFERENCES harvest_run,
     kind text NOT NULL CHECK (kind IN ('studies', 'series', 'images', 'full')),
     scope jsonb NOT NULL,
     state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'read', 'done', 'split', 'stuck')),
     attempts integer NOT NULL DEFAULT 0,
     next_try timestamptz NOT NULL DEFAULT clock_timestamp(),
     last_code text,
     rewrite boolean NOT NULL DEFAULT false,
     job_id uuid,
     edge_id uuid,
     answers integer NOT NULL DEFAULT 0,
     packs uuid[] NOT NULL DEFAULT '{}',
     read_at timestamptz)`,
  `CREATE INDEX harvest_step_open ON harvest_step (archive, id) WHERE state IN ('open', 'read')`,
  'CREATE INDEX harvest_step_run ON harvest_step (run)',
  `CREATE TABLE harvest_study (
     archive text ${C} NOT NULL REFERENCES archive,
     study_uid text ${C} NOT NULL,
     study_date text ${C},
     digest text NOT NULL,
     level smallint NOT NULL DEFAULT 1,
     series jsonb,
     sop_classes text[] NOT NULL DEFAULT '{}',
     instances integer,
     seen_at timestamptz NOT NULL,
     step bigint,
     batch bigint,
     failures integer NOT NULL DEFAULT 0,
     next_try timestamptz NOT NULL DEFAULT clock_timestamp(),
     last_code text,
     PRIMARY KEY (archive, study_uid))`,
  `COMMENT ON COLUMN harvest_study.level IS '1 study, 2 series, 3 image, 4 full: read so far'`,
  `COMMENT ON COLUMN harvest_study.step IS 'the step whose packs are not in the catalog yet; null: what was read is there'`,
  `COMMENT ON COLUMN harvest_study.batch IS 'the open step that is to read more of it'`,
  `COMMENT ON COLUMN harvest_study.series IS '[[series uid, digest, images said], ...]'`,
  'CREATE INDEX harvest_study_next ON harvest_study (archive, level, study_date DESC NULLS LAST) WHERE step IS NULL AND batch IS NULL',
  'CREATE INDEX harvest_study_step ON harvest_study (step) WHERE step IS NOT NULL',
  'CREATE INDEX harvest_study_batch ON harvest_study (batch) WHERE batch IS NOT NULL',
  'CREATE INDEX harvest_study_date ON harvest_study (archive, study_date)',
  `CREATE TABLE harvest_series (
     archive text ${C} NOT NULL,
     study_uid text ${C} NOT NULL,
     series_uid text ${C} NOT NULL,
     images jsonb NOT NULL,
     PRIMARY KEY (archive, study_uid, series_uid),
     FOREIGN KEY (archive, study_uid) REFERENCES harvest_study ON DELETE CASCADE)`,
  `COMMENT ON COLUMN harvest_series.images IS '[[sop instance uid, digest], ...]'`,
];

/** Studies that a command named are read before all others. */
export class AskedStudies1764190000000 implements MigrationInterface {
  name = 'AskedStudies1764190000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE harvest_step ADD COLUMN asked boolean NOT NULL DEFAULT false');
    await runner.query('ALTER TABLE harvest_study ADD COLUMN asked boolean NOT NULL DEFAULT false');
    await runner.query('CREATE INDEX harvest_study_asked ON harvest_study (archive, level) WHERE asked');
    await runner.query(
      `COMMENT ON COLUMN harvest_study.asked IS 'a command named it, and it is not read to the end yet'`,
    );
    await runner.query(
      `COMMENT ON COLUMN archive_status.wanted IS 'commands that wait: harvest, again, audit, studies'`,
    );
  }

  async down(): Promise<void> {
    throw new Error('migrations are forward-only');
  }
}

export const TAG_REPLICATION_SCHEMA: SchemaPart = {
  name: 'tag-replication',
  migrations: [TagReplicationTables1764100000000, AskedStudies1764190000000],
};

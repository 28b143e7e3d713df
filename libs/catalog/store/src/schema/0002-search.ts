import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * StudyID is a required key of the study level (PS3.4 C.6.2.1.2): it gets a column and an index like the others. Generated,
 * so that it can never differ from the attributes.
 */
const STUDY_ID = [
  `ALTER TABLE study ADD COLUMN study_id text COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce(attributes #>> '{00200010,Value,0}', '')) STORED`,
  "CREATE INDEX study_study_id ON study (study_id) WHERE study_id <> ''",
];

/** Fuzzy names look for the beginning of any word. As in the first migration: without the extension they are found by scanning. */
const WORDS = `DO $$ BEGIN
  CREATE INDEX study_words_trigrams ON study USING gin (name_words gin_trgm_ops);
EXCEPTION WHEN undefined_object THEN
  RAISE NOTICE 'pg_trgm is not available: fuzzy names are found by scanning';
END $$`;

export class CatalogSearch1763870000002 implements MigrationInterface {
  name = 'CatalogSearch1763870000002';

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of [...STUDY_ID, WORDS]) await runner.query(sql);
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations of the catalog go forward only'));
  }
}

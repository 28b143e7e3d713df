import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Rule sets, appended and never changed: the last one is in force. And what they make of the rows (docs/adr/0022): `overlay`
 * tells effective values from those that were said, null where no rule changes anything. Added without rewriting a table.
 */
const RULES = [
  `CREATE TABLE rule_set (
     id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     source text NOT NULL,
     digest text NOT NULL,
     author_version integer NOT NULL,
     rules integer NOT NULL,
     origin text NOT NULL CHECK (origin IN ('file', 'command')),
     made_by text NOT NULL,
     reason text NOT NULL,
     made_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  `COMMENT ON COLUMN rule_set.source IS 'the text as it was given; it may name patients'`,
  `CREATE TABLE rule_derivation (
     one boolean PRIMARY KEY DEFAULT true CHECK (one),
     version integer NOT NULL REFERENCES rule_set,
     after_study bigint NOT NULL DEFAULT 0,
     after_patient bigint NOT NULL DEFAULT 0,
     changed bigint NOT NULL DEFAULT 0,
     started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
     done_at timestamptz)`,
  `COMMENT ON TABLE rule_derivation IS 'how far the rows that were there have been brought to the rule set in force'`,
  ...['patient', 'study', 'series', 'instance'].map((table) => `ALTER TABLE ${table} ADD COLUMN overlay jsonb`),
];

export class CatalogRules1764180000006 implements MigrationInterface {
  name = 'CatalogRules1764180000006';

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of RULES) await runner.query(sql);
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations of the catalog go forward only'));
  }
}

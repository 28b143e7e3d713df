import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Rules on who asks (docs/adr/0030): `study.labels` has the conditions of such rules that hold for the study. A condition is
 * relied on once every row was looked at.
 */
const LABELS = [
  `CREATE TABLE rule_label (
     label text PRIMARY KEY,
     made_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  `COMMENT ON TABLE rule_label IS 'conditions of rules on who asks that every study has been tested for'`,
];

export class CatalogLabels1764230000007 implements MigrationInterface {
  name = 'CatalogLabels1764230000007';

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of LABELS) await runner.query(sql);
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations of the catalog go forward only'));
  }
}

import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What other archives say (docs/adr/0019). Columns with a constant default are added without rewriting a table; the indexes
 * cover rows of archives only, so that they cost nothing where none is configured.
 *
 * `basis` says what `attributes` of a presentation row are made of: of what is held, of what archives said, or of both (then
 * the two layers stand beside). `said`: what archives claim of it, null where no archive says that it has it.
 */
const LAYERS = `
     ADD COLUMN basis text NOT NULL DEFAULT 'held' CHECK (basis IN ('held', 'archive', 'both')),
     ADD COLUMN held_attributes jsonb,
     ADD COLUMN archive_attributes jsonb`;

const ARCHIVES = [
  'ALTER TABLE pack_entry ADD COLUMN harvest text',
  `COMMENT ON COLUMN pack_entry.same_as IS 'wire digest of the kept instance that this is a copy of; null: held back, or no object but an answer'`,
  'ALTER TABLE source_study ADD COLUMN held boolean NOT NULL DEFAULT true',
  'ALTER TABLE source_series ADD COLUMN held boolean NOT NULL DEFAULT true',
  'ALTER TABLE source_instance ADD COLUMN held boolean NOT NULL DEFAULT true, ADD COLUMN attributes jsonb',
  'CREATE INDEX source_study_patient ON source_study (patient_id, issuer) WHERE NOT held',
  'CREATE INDEX source_series_study ON source_series (study_instance_uid) WHERE NOT held',
  'CREATE INDEX source_instance_study ON source_instance (study_instance_uid) WHERE NOT held',
  `ALTER TABLE patient ${LAYERS}`,
  `ALTER TABLE study ${LAYERS}, ADD COLUMN said jsonb`,
  `ALTER TABLE series ${LAYERS}, ADD COLUMN said jsonb`,
  `CREATE INDEX difference_archives ON difference ((evidence ->> 'study')) WHERE kind = 'archives-differ' AND state = 'open'`,
  'ALTER TABLE instance ADD COLUMN held boolean NOT NULL DEFAULT true',
];

export class CatalogArchives1764100000003 implements MigrationInterface {
  name = 'CatalogArchives1764100000003';

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of ARCHIVES) await runner.query(sql);
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations of the catalog go forward only'));
  }
}

import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Members of a group are found by it. Rows that show themselves, nearly all, are in none of these indexes. */
const INDEXES = ['patient', 'study', 'series'].map(
  (table) => `CREATE INDEX ${table}_grouped ON ${table} (grouped) WHERE grouped IS NOT NULL`,
);

export class CatalogGroups1764130000005 implements MigrationInterface {
  name = 'CatalogGroups1764130000005';

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of INDEXES) await runner.query(sql);
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations of the catalog go forward only'));
  }
}

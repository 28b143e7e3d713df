import type { MigrationInterface, QueryRunner } from 'typeorm';

const C = 'COLLATE "C"';

/**
 * The same as `superId` of the catalog's model, a test compares them. 60 bits of the digest, as 12 digits of base 32
 * (Crockford's, without I, L, O and U).
 */
const SUPER_ID = `
  CREATE FUNCTION super_id(issuer text, patient_id text, scope text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 'AR' || string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((n >> (59 - 5 * i)) & 31)::int, 1), '' ORDER BY i)
    FROM generate_series(0, 11) i, (SELECT ('x' || left(encode(sha256(convert_to(issuer, 'UTF8') || '\\x00'::bytea
      || convert_to(patient_id, 'UTF8') || '\\x00'::bytea || convert_to(scope, 'UTF8')), 'hex'), 16))::bit(64)::bigint AS n) d
  $$`;

/**
 * Persons (docs/adr/0019): each local identity and each study has one, by default of its own. Rows of one person that are
 * shown as one are hidden (\`grouped\`) behind a row that is made for them (\`is_group\`), and not changed otherwise.
 */
const PERSONS = [
  SUPER_ID,
  `ALTER TABLE patient ADD COLUMN person text ${C}, ADD COLUMN grouped bigint, ADD COLUMN is_group boolean NOT NULL DEFAULT false`,
  'UPDATE patient SET person = super_id(issuer, patient_id, scope)',
  'ALTER TABLE patient ALTER COLUMN person SET NOT NULL',
  `ALTER TABLE study ADD COLUMN person text ${C}, ADD COLUMN linked boolean NOT NULL DEFAULT false, ADD COLUMN grouped bigint,
     ADD COLUMN is_group boolean NOT NULL DEFAULT false`,
  'UPDATE study s SET person = p.person FROM patient p WHERE p.id = s.patient',
  'ALTER TABLE study ALTER COLUMN person SET NOT NULL',
  'ALTER TABLE series ADD COLUMN grouped bigint, ADD COLUMN is_group boolean NOT NULL DEFAULT false',
  'CREATE INDEX patient_person ON patient (person)',
  'CREATE INDEX study_person ON study (person)',
  'CREATE INDEX series_shown_in ON series ((coalesce(grouped, id)))',
  `CREATE TABLE identity_assignment (
     patient bigint PRIMARY KEY,
     person text ${C} NOT NULL,
     revision bigint NOT NULL)`,
  `CREATE TABLE identity_study_assignment (
     study bigint PRIMARY KEY,
     person text ${C} NOT NULL,
     revision bigint NOT NULL)`,
  "COMMENT ON TABLE identity_assignment IS 'written by identity-resolution only; read by ingest, which brings it into patient.person'",
  "COMMENT ON TABLE identity_study_assignment IS 'written by identity-resolution only; a study''s own assignment goes before its patient''s'",
];

export class CatalogPersons1764120000004 implements MigrationInterface {
  name = 'CatalogPersons1764120000004';

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of PERSONS) await runner.query(sql);
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations of the catalog go forward only'));
  }
}

import type { MigrationInterface, QueryRunner } from 'typeorm';

const C = 'COLLATE "C"';

/**
 * Modalities, workstations, servers and users under the names that sites and archives give them. Assertions are appended and
 * never changed, as those about persons are; `actor_assignment` follows from them.
 */
export class ActorTables1764180000000 implements MigrationInterface {
  name = 'ActorTables1764180000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const sql of [
      `CREATE TABLE actor (
         kind text NOT NULL CHECK (kind IN ('modality', 'workstation', 'server', 'user')),
         place text ${C} NOT NULL,
         name text ${C} NOT NULL,
         equipment jsonb NOT NULL DEFAULT '[]',
         marks text[] ${C} NOT NULL DEFAULT '{}',
         first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
         last_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
         PRIMARY KEY (kind, place, name))`,
      'CREATE INDEX actor_marks ON actor USING gin (marks)',
      `CREATE TABLE actor_assertion (
         id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         what text NOT NULL CHECK (what IN ('link', 'apart', 'name', 'retract')),
         kind text NOT NULL,
         a_place text ${C} NOT NULL, a_name text ${C} NOT NULL,
         b_place text ${C}, b_name text ${C},
         label text,
         retracts bigint REFERENCES actor_assertion,
         source text NOT NULL CHECK (source IN ('person', 'rule')),
         made_by text NOT NULL,
         reason text NOT NULL,
         made_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
      'CREATE INDEX actor_assertion_a ON actor_assertion (kind, a_place, a_name)',
      'CREATE INDEX actor_assertion_b ON actor_assertion (kind, b_place, b_name)',
      'CREATE UNIQUE INDEX actor_assertion_retracts ON actor_assertion (retracts)',
      `CREATE TABLE actor_assignment (
         kind text NOT NULL,
         place text ${C} NOT NULL,
         name text ${C} NOT NULL,
         super_id text ${C} NOT NULL,
         label text,
         PRIMARY KEY (kind, place, name))`,
      'CREATE INDEX actor_assignment_label ON actor_assignment (kind, label) WHERE label IS NOT NULL',
      `COMMENT ON TABLE actor_assignment IS 'derived from actor_assertion; who is in no row is a super-identity of its own'`,
    ])
      await runner.query(sql);
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations are forward-only'));
  }
}

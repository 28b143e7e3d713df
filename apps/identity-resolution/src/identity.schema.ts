import type { SchemaPart } from '@archipelago/platform-storage';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { ActorTables1764180000000 } from './actors/actor.schema';

const C = 'COLLATE "C"';

/**
 * What is asserted about persons. Rows of `identity_assertion` are appended and never changed: taking one back is a row of its
 * own. They name local identities by what they are (issuer, id, scope), never by a row of the catalog, which may be made anew.
 */
export class IdentityTables1764130000001 implements MigrationInterface {
  name = 'IdentityTables1764130000001';

  async up(runner: QueryRunner): Promise<void> {
    const identity = (prefix: string, nullable = ''): string =>
      `${prefix}_issuer text ${C} ${nullable}, ${prefix}_id text ${C} ${nullable}, ${prefix}_scope text ${C} ${nullable}`;
    for (const sql of [
      `CREATE TABLE identity_assertion (
         id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         kind text NOT NULL CHECK (kind IN ('link', 'apart', 'study', 'retract')),
         ${identity('a', 'NOT NULL')}, ${identity('b')},
         study text ${C},
         retracts bigint REFERENCES identity_assertion,
         source text NOT NULL CHECK (source IN ('person', 'rule', 'score')),
         made_by text NOT NULL,
         reason text NOT NULL,
         evidence jsonb,
         made_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
      'CREATE INDEX identity_assertion_a ON identity_assertion (a_issuer, a_id, a_scope)',
      'CREATE INDEX identity_assertion_b ON identity_assertion (b_issuer, b_id, b_scope)',
      'CREATE UNIQUE INDEX identity_assertion_retracts ON identity_assertion (retracts)',
      `CREATE TABLE identity_record (
         ${identity('r', 'NOT NULL')},
         record jsonb NOT NULL,
         keys text[] NOT NULL,
         seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
         PRIMARY KEY (r_issuer, r_id, r_scope))`,
      'CREATE INDEX identity_record_keys ON identity_record USING gin (keys)',
      `CREATE TABLE identity_review (
         id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         ${identity('a', 'NOT NULL')}, ${identity('b', 'NOT NULL')},
         probability double precision NOT NULL,
         why text NOT NULL,
         evidence jsonb NOT NULL,
         state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'linked', 'apart')),
         raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
         decided_by text,
         decided_at timestamptz,
         UNIQUE (a_issuer, a_id, a_scope, b_issuer, b_id, b_scope))`,
      "CREATE INDEX identity_review_open ON identity_review (id) WHERE state = 'open'",
      `CREATE TABLE identity_model (
         id integer PRIMARY KEY CHECK (id = 1),
         records integer NOT NULL,
         model jsonb NOT NULL,
         learnt_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
      'CREATE SEQUENCE identity_revision AS bigint',
    ])
      await runner.query(sql);
  }

  async down(): Promise<void> {
    return Promise.reject(new Error('migrations are forward-only'));
  }
}

export const IDENTITY_SCHEMA: SchemaPart = {
  name: 'identity',
  migrations: [IdentityTables1764130000001, ActorTables1764180000000],
};

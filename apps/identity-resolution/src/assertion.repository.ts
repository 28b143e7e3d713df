import { Injectable } from '@nestjs/common';
import type { SqlClient } from '@archipelago/platform-storage';
import { identityKey, identityOf } from './identity-key';
import { holding, type Assertion } from './persons';

export interface StoredAssertion extends Assertion {
  madeBy: string;
  reason: string;
}

export interface NewAssertion {
  kind: Assertion['kind'];
  a: string;
  b?: string;
  study?: string;
  retracts?: string;
  source: Assertion['source'];
  by: string;
  reason: string;
  evidence?: unknown;
}

interface Row {
  id: string;
  kind: Assertion['kind'];
  a: [string, string, string];
  b: [string, string | null, string];
  study: string | null;
  retracts: string | null;
  source: Assertion['source'];
  madeBy: string;
  reason: string;
  madeAt: Date;
}

const COLUMNS = `id::text, kind, jsonb_build_array(a_issuer, a_id, a_scope) AS a, jsonb_build_array(b_issuer, b_id, b_scope) AS b,
  study, retracts::text, source, made_by AS "madeBy", reason, made_at AS "madeAt"`;

/** No person has so many identities that are linked; beyond it something is wrong, and nothing more is joined. */
const MOST_CONNECTED = 1000;

/** Assertions: appended, never changed. */
@Injectable()
export class AssertionRepository {
  /** One at a time writes assertions and what follows from them. Held until the transaction ends. */
  async lock(client: SqlClient): Promise<void> {
    await client.query("SELECT pg_advisory_xact_lock(hashtext('identity-assertions'))");
  }

  async append(client: SqlClient, assertion: NewAssertion): Promise<string> {
    const [a, b] = [identityOf(assertion.a), assertion.b === undefined ? undefined : identityOf(assertion.b)];
    const { rows } = await client.query<{ id: string }>(
      `INSERT INTO identity_assertion (kind, a_issuer, a_id, a_scope, b_issuer, b_id, b_scope, study, retracts, source, made_by, reason, evidence)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id::text`,
      [
        assertion.kind,
        a.issuer,
        a.patientId,
        a.scope,
        b?.issuer ?? null,
        b?.patientId ?? null,
        b?.scope ?? null,
        assertion.study ?? null,
        assertion.retracts ?? null,
        assertion.source,
        assertion.by,
        assertion.reason,
        assertion.evidence === undefined ? null : JSON.stringify(assertion.evidence),
      ],
    );
    return rows[0]!.id;
  }

  /** All assertions about these identities and about all whom links that hold (at that time) connect them with. */
  async around(client: SqlClient, identities: readonly string[], at?: Date): Promise<StoredAssertion[]> {
    const found = new Map<string, StoredAssertion>();
    const asked = new Set<string>();
    let frontier = [...new Set(identities)];
    while (frontier.length > 0 && asked.size < MOST_CONNECTED) {
      for (const identity of frontier) asked.add(identity);
      for (const one of await this.about(client, frontier)) found.set(one.id, one);
      const links = holding([...found.values()], at).filter((one) => one.kind === 'link');
      frontier = [...new Set(links.flatMap(({ a, b }) => (b === null ? [a] : [a, b])))].filter(
        (key) => !asked.has(key),
      );
    }
    return [...found.values()].sort((x, y) => Number(x.id) - Number(y.id));
  }

  private async about(client: SqlClient, identities: readonly string[]): Promise<StoredAssertion[]> {
    const refs = identities.map(identityOf);
    const { rows } = await client.query<Row>(
      `WITH k AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) k(issuer, id, scope))
       SELECT ${COLUMNS} FROM identity_assertion
         WHERE (a_issuer, a_id, a_scope) IN (SELECT issuer, k.id, scope FROM k)
       UNION
       SELECT ${COLUMNS} FROM identity_assertion
         WHERE (b_issuer, b_id, b_scope) IN (SELECT issuer, k.id, scope FROM k)`,
      [refs.map((r) => r.issuer), refs.map((r) => r.patientId), refs.map((r) => r.scope)],
    );
    return rows.map((row) => ({
      ...row,
      a: keyOf(row.a),
      b: row.b[1] === null ? null : keyOf(row.b as [string, string, string]),
    }));
  }
}

function keyOf([issuer, patientId, scope]: [string, string, string]): string {
  return identityKey({ issuer, patientId, scope });
}

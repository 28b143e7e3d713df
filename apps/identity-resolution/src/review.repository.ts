import { Injectable } from '@nestjs/common';
import type { ReviewV1 } from '@archipelago/contracts';
import type { SqlClient } from '@archipelago/platform-storage';
import { identityOf, ordered } from './identity-key';

export interface Doubt {
  a: string;
  b: string;
  probability: number;
  why: string;
  evidence: ReviewV1['evidence'];
}

interface Row {
  id: string;
  a: [string, string, string];
  b: [string, string, string];
  probability: number;
  why: string;
  evidence: ReviewV1['evidence'];
  state: ReviewV1['state'];
  raisedAt: Date;
  decidedBy: string | null;
}

const COLUMNS = `id::text, json_build_array(a_issuer, a_id, a_scope) AS a, json_build_array(b_issuer, b_id, b_scope) AS b, probability, why,
  evidence, state, raised_at AS "raisedAt", decided_by AS "decidedBy"`;

/** The queue of pairs that a person decides about. One row for each pair, for ever. */
@Injectable()
export class ReviewRepository {
  /** Raised again only while nobody has decided. @returns whether it is new */
  async raise(client: SqlClient, doubt: Doubt): Promise<boolean> {
    const [a, b] = ordered(doubt.a, doubt.b).map(identityOf) as [
      ReturnType<typeof identityOf>,
      ReturnType<typeof identityOf>,
    ];
    const { rows } = await client.query<{ fresh: boolean }>(
      `INSERT INTO identity_review (a_issuer, a_id, a_scope, b_issuer, b_id, b_scope, probability, why, evidence)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       ON CONFLICT (a_issuer, a_id, a_scope, b_issuer, b_id, b_scope) DO UPDATE
         SET probability = excluded.probability, why = excluded.why, evidence = excluded.evidence WHERE identity_review.state = 'open'
       RETURNING xmax = 0 AS fresh`,
      [
        a.issuer,
        a.patientId,
        a.scope,
        b.issuer,
        b.patientId,
        b.scope,
        doubt.probability,
        doubt.why,
        JSON.stringify(doubt.evidence),
      ],
    );
    return rows[0]?.fresh ?? false;
  }

  async list(client: SqlClient, state: string, after: string, limit: number): Promise<ReviewV1[]> {
    const { rows } = await client.query<Row>(
      `SELECT ${COLUMNS} FROM identity_review WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3`,
      [state, after, limit],
    );
    return rows.map(reviewOf);
  }

  async get(client: SqlClient, id: string): Promise<ReviewV1 | undefined> {
    const { rows } = await client.query<Row>(`SELECT ${COLUMNS} FROM identity_review WHERE id = $1 FOR UPDATE`, [id]);
    return rows[0] && reviewOf(rows[0]);
  }

  /** A decision about the pair, however it was made, is one about its row. */
  async decide(client: SqlClient, one: string, other: string, state: 'linked' | 'apart', by: string): Promise<void> {
    const [a, b] = ordered(one, other).map(identityOf) as [
      ReturnType<typeof identityOf>,
      ReturnType<typeof identityOf>,
    ];
    await client.query(
      `UPDATE identity_review SET state = $7, decided_by = $8, decided_at = clock_timestamp()
       WHERE (a_issuer, a_id, a_scope, b_issuer, b_id, b_scope) = ($1, $2, $3, $4, $5, $6)`,
      [a.issuer, a.patientId, a.scope, b.issuer, b.patientId, b.scope, state, by],
    );
  }

  async open(client: SqlClient): Promise<number> {
    const { rows } = await client.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM identity_review WHERE state = 'open'",
    );
    return rows[0]?.n ?? 0;
  }
}

function reviewOf({ a, b, raisedAt, decidedBy, ...rest }: Row): ReviewV1 {
  const ref = ([issuer, patientId, scope]: [string, string, string]) => ({ issuer, patientId, scope });
  return {
    ...rest,
    a: ref(a),
    b: ref(b),
    raisedAt: raisedAt.toISOString(),
    ...(decidedBy === null ? {} : { decidedBy }),
  };
}

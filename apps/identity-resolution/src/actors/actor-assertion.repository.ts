import { Injectable } from '@nestjs/common';
import type { ActorKind } from '@archipelago/contracts';
import type { SqlClient } from '@archipelago/platform-storage';
import { actorKey, actorOf } from './actor-key';
import { holdingActors, type ActorAssertion } from './actor-links';

export interface NewActorAssertion {
  what: ActorAssertion['what'];
  a: string;
  b?: string | null;
  label?: string;
  retracts?: string;
  source: ActorAssertion['source'];
  by: string;
  reason: string;
}

interface Row {
  id: string;
  what: ActorAssertion['what'];
  kind: ActorKind;
  aPlace: string;
  aName: string;
  bPlace: string | null;
  bName: string | null;
  label: string | null;
  retracts: string | null;
  source: ActorAssertion['source'];
  madeAt: Date;
  madeBy: string;
  reason: string;
}

const COLUMNS = `id::text, what, kind, a_place AS "aPlace", a_name AS "aName", b_place AS "bPlace", b_name AS "bName", label,
  retracts::text, source, made_at AS "madeAt", made_by AS "madeBy", reason`;

/** No device has so many names; beyond it something is wrong, and nothing more is joined. */
const MOST_CONNECTED = 1000;

/** Assertions about actors: appended, never changed. */
@Injectable()
export class ActorAssertionRepository {
  /** One at a time writes assertions and what follows from them. Held until the transaction ends. */
  async lock(client: SqlClient): Promise<void> {
    await client.query("SELECT pg_advisory_xact_lock(hashtext('actor-assertions'))");
  }

  async append(client: SqlClient, one: NewActorAssertion): Promise<void> {
    const a = actorOf(one.a);
    const b = one.b == null ? undefined : actorOf(one.b);
    await client.query(
      `INSERT INTO actor_assertion (what, kind, a_place, a_name, b_place, b_name, label, retracts, source, made_by, reason)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
      [
        ...[one.what, a.kind, a.place, a.name, b?.place ?? null, b?.name ?? null, one.label ?? null],
        ...[one.retracts ?? null, one.source, one.by, one.reason],
      ],
    );
  }

  /** All assertions about these actors and about all whom links connect them with, whether or not these hold still. */
  async around(client: SqlClient, keys: readonly string[]): Promise<ActorAssertion[]> {
    const found = new Map<string, ActorAssertion>();
    const asked = new Set<string>();
    let frontier = [...new Set(keys)];
    while (frontier.length > 0 && asked.size < MOST_CONNECTED) {
      for (const key of frontier) asked.add(key);
      for (const one of await this.about(client, frontier)) found.set(one.id, one);
      const links = holdingActors([...found.values()]).filter((one) => one.what === 'link');
      const linked = links.flatMap(({ a, b }) => (b === null ? [a] : [a, b]));
      frontier = [...new Set(linked)].filter((key) => !asked.has(key));
    }
    return [...found.values()].sort((x, y) => Number(x.id) - Number(y.id));
  }

  private async about(client: SqlClient, keys: readonly string[]): Promise<ActorAssertion[]> {
    const refs = keys.map(actorOf);
    const { rows } = await client.query<Row>(
      `WITH k AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) k(kind, place, name))
       SELECT ${COLUMNS} FROM actor_assertion WHERE (kind, a_place, a_name) IN (SELECT kind, place, name FROM k)
       UNION SELECT ${COLUMNS} FROM actor_assertion WHERE (kind, b_place, b_name) IN (SELECT kind, place, name FROM k)`,
      [refs.map((r) => r.kind), refs.map((r) => r.place), refs.map((r) => r.name)],
    );
    return rows.map(({ kind, aPlace, aName, bPlace, bName, ...row }) => ({
      ...row,
      a: actorKey({ kind, place: aPlace, name: aName }),
      b: bPlace === null || bName === null ? null : actorKey({ kind, place: bPlace, name: bName }),
    }));
  }
}

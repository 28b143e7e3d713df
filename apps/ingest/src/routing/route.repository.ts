import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { RouteV1 } from '@archipelago/contracts';
import { Database, type SqlClient } from '@archipelago/platform-storage';

export interface NewRoute {
  kind: RouteV1['kind'];
  destination: string;
  site: string;
  rule: string;
  study: string;
  instances: readonly string[];
}

/** A row that one worker has until its lease is over. */
export interface LeasedRoute {
  id: string;
  lease: string;
  kind: RouteV1['kind'];
  destination: string;
  site: string;
  study: string;
  instances: string[];
  refusals: number;
  /** Seconds since the destination could not be reached for the first time; null: it could, the last time. */
  unreachableSeconds: number | null;
}

/** What becomes of a row of which something is left. */
export interface RouteRest {
  instances: readonly string[];
  state: RouteV1['state'];
  code: string;
  refusals: number;
  unreachable: boolean;
  /** Seconds until the next try. */
  after: number;
}

export interface RouteCount {
  destination: string;
  state: string;
  instances: number;
  oldestSeconds: number;
}

@Injectable()
export class RouteRepository {
  constructor(private readonly database: Database) {}

  /** They are due at once; where the destination is away, with what waits for it already. */
  async add(client: SqlClient, routes: readonly NewRoute[]): Promise<void> {
    for (const { kind, destination, site, rule, study, instances } of routes)
      await client.query(
        `INSERT INTO route (kind, destination, site, rule, study, instances, due_at)
         VALUES ($1, $2, $3, $4, $5, $6, coalesce((SELECT due_at FROM route
           WHERE kind = $1 AND destination = $2 AND state = 'waiting' AND unreachable_since IS NOT NULL ORDER BY id LIMIT 1), clock_timestamp()))`,
        [kind, destination, site, rule, study, instances],
      );
  }

  /** The row that is due for the longest time, of a destination that nobody is sending to. */
  async lease(seconds: number): Promise<LeasedRoute | null> {
    const { rows } = await this.database.query<LeasedRoute>(
      `UPDATE route SET leased_until = clock_timestamp() + make_interval(secs => $1), lease = $2
       WHERE id = (SELECT r.id FROM route r
         WHERE r.state = 'waiting' AND r.due_at <= clock_timestamp() AND (r.leased_until IS NULL OR r.leased_until < clock_timestamp())
           AND NOT EXISTS (SELECT FROM route o WHERE o.kind = r.kind AND o.destination = r.destination AND o.leased_until > clock_timestamp())
         ORDER BY r.due_at, r.id LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING id::text, lease::text, kind, destination, site, study, instances, refusals,
         extract(epoch FROM clock_timestamp() - unreachable_since)::float8 AS "unreachableSeconds"`,
      [seconds, randomUUID()],
    );
    return rows[0] ?? null;
  }

  /** All of it has arrived, or is not to. */
  async done({ id, lease }: LeasedRoute): Promise<void> {
    await this.database.query('DELETE FROM route WHERE id = $1 AND lease = $2', [id, lease]);
  }

  async rest({ id, lease }: LeasedRoute, rest: RouteRest): Promise<void> {
    const { instances, state, code, refusals, unreachable, after } = rest;
    await this.database.query(
      `UPDATE route SET instances = $3, state = $4, code = $5, refusals = $6, leased_until = NULL, lease = NULL,
         unreachable_since = CASE WHEN $7 THEN coalesce(unreachable_since, clock_timestamp()) END,
         due_at = clock_timestamp() + make_interval(secs => $8)
       WHERE id = $1 AND lease = $2`,
      [id, lease, instances, state, code, refusals, unreachable, after],
    );
  }

  /** Nothing was tried: as if it had not been taken. */
  async giveBack({ id, lease }: LeasedRoute, code: string, after: number): Promise<void> {
    await this.database.query(
      `UPDATE route SET leased_until = NULL, lease = NULL, code = $3, due_at = clock_timestamp() + make_interval(secs => $4)
       WHERE id = $1 AND lease = $2`,
      [id, lease, code, after],
    );
  }

  /**
   * What keeps one row from its destination keeps the others: none of them is tried before. One try in each pause, however
   * many wait.
   */
  async othersWait({ id, kind, destination }: LeasedRoute, after: number, unreachable: boolean): Promise<void> {
    await this.database.query(
      `UPDATE route SET due_at = greatest(due_at, clock_timestamp() + make_interval(secs => $4)),
         unreachable_since = CASE WHEN $5 THEN coalesce(unreachable_since, clock_timestamp()) ELSE unreachable_since END
       WHERE kind = $1 AND destination = $2 AND id <> $3 AND state = 'waiting' AND (leased_until IS NULL OR leased_until < clock_timestamp())`,
      [kind, destination, id, after, unreachable],
    );
  }

  /** Gives up what has been waiting for an unreachable destination for so long. @returns the number of instances */
  async giveUpOthers({ kind, destination }: LeasedRoute, seconds: number): Promise<number> {
    const { rows } = await this.database.query<{ n: number }>(
      `WITH up AS (UPDATE route SET state = 'failed', code = 'unreachable'
         WHERE kind = $1 AND destination = $2 AND state = 'waiting' AND (leased_until IS NULL OR leased_until < clock_timestamp())
           AND unreachable_since < clock_timestamp() - make_interval(secs => $3) RETURNING cardinality(instances) AS n)
       SELECT coalesce(sum(n), 0)::int AS n FROM up`,
      [kind, destination, seconds],
    );
    return rows[0]?.n ?? 0;
  }

  async list(query: { failed: boolean; destination?: string; after: string; limit: number }): Promise<RouteV1[]> {
    const { rows } = await this.database.query<
      Omit<RouteV1, 'createdAt' | 'dueAt' | 'code'> & { code: string | null; createdAt: Date; dueAt: Date }
    >(
      `SELECT id::text, kind, destination, study AS "studyInstanceUid", cardinality(instances) AS instances, rule, state, code,
         created_at AS "createdAt", due_at AS "dueAt"
       FROM route WHERE id > $1 AND (NOT $2 OR state = 'failed') AND ($3::text IS NULL OR destination = $3) ORDER BY id LIMIT $4`,
      [query.after, query.failed, query.destination ?? null, query.limit],
    );
    return rows.map(({ code, createdAt, dueAt, ...row }) => ({
      ...row,
      ...(code === null ? {} : { code }),
      createdAt: createdAt.toISOString(),
      dueAt: dueAt.toISOString(),
    }));
  }

  async retry({ ids, destination }: { ids?: readonly string[]; destination?: string }): Promise<number> {
    const { rowCount } = await this.database.query(
      `UPDATE route SET state = 'waiting', refusals = 0, unreachable_since = NULL, due_at = clock_timestamp()
       WHERE (id = ANY($1::bigint[]) OR destination = $2) AND (leased_until IS NULL OR leased_until < clock_timestamp())`,
      [ids ?? [], destination ?? null],
    );
    return rowCount ?? 0;
  }

  async drop(ids: readonly string[]): Promise<number> {
    const { rowCount } = await this.database.query(
      "DELETE FROM route WHERE id = ANY($1::bigint[]) AND state = 'failed'",
      [ids],
    );
    return rowCount ?? 0;
  }

  async counts(): Promise<RouteCount[]> {
    const { rows } = await this.database.query<RouteCount>(
      `SELECT destination, state, sum(cardinality(instances))::float8 AS instances,
         extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS "oldestSeconds"
       FROM route GROUP BY destination, state`,
    );
    return rows;
  }
}

import { Injectable } from '@nestjs/common';
import { SourceVanished } from '@archipelago/contracts';
import { assertLease, type HeldLease, outboxEvent, writeOutbox } from '@archipelago/platform-bus';
import { Database, type SqlClient } from '@archipelago/platform-storage';
import type { Changes, RunRow, StatusRow, StepKind, StepRow, StepScope } from './rows';

const STEP_COLUMNS = 'id, archive, run, kind, scope, state, attempts, rewrite, asked, job_id, edge_id';
/** UIDs in one command to ingest. */
const VANISHED_AT_ONCE = 1_000;
const EXAMPLES = 20;

/** Runs, steps and what is written with them. Every change is made under the archive's lease. */
@Injectable()
export class HarvestRepository {
  constructor(private readonly database: Database) {}

  /** One transaction of the lease's holder. @throws TransientError `lease-lost` */
  guarded<T>(lease: HeldLease, work: (client: SqlClient) => Promise<T>): Promise<T> {
    return this.database.withTransaction(async (client) => {
      await assertLease(client, lease);
      return work(client);
    });
  }

  query<R extends object>(text: string, values?: readonly unknown[]): Promise<{ rows: R[]; rowCount: number | null }> {
    return this.database.query<R>(text, values);
  }

  async status(archive: string): Promise<StatusRow> {
    const { rows } = await this.database.query<StatusRow>(
      'SELECT as_of, complete_to, cap, proven, max_seen, cap_checked_at, wanted FROM archive_status WHERE name = $1',
      [archive],
    );
    return rows[0] as StatusRow;
  }

  async openRuns(archive: string): Promise<RunRow[]> {
    const { rows } = await this.database.query<RunRow>(
      'SELECT * FROM harvest_run WHERE archive = $1 AND finished_at IS NULL ORDER BY id',
      [archive],
    );
    return rows;
  }

  async lastRun(archive: string, purpose: RunRow['purpose']): Promise<RunRow | undefined> {
    const { rows } = await this.database.query<RunRow>(
      'SELECT * FROM harvest_run WHERE archive = $1 AND purpose = $2 AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1',
      [archive, purpose],
    );
    return rows[0];
  }

  async addRun(
    client: SqlClient,
    run: Pick<RunRow, 'archive' | 'purpose' | 'phase'> &
      Partial<Pick<RunRow, 'full_audit' | 'scope_from' | 'frontier'>>,
  ): Promise<RunRow> {
    const { rows } = await client.query<RunRow>(
      `INSERT INTO harvest_run (archive, purpose, phase, full_audit, scope_from, frontier)
       VALUES ($1, $2, $3, $4, $5, $6) RETURNING *`,
      [run.archive, run.purpose, run.phase, run.full_audit ?? false, run.scope_from ?? null, run.frontier ?? null],
    );
    return rows[0] as RunRow;
  }

  async addStep(
    client: SqlClient,
    step: { archive: string; run: string | null; kind: StepKind; scope: StepScope; rewrite?: boolean; asked?: boolean },
  ): Promise<string> {
    const { rows } = await client.query<{ id: string }>(
      'INSERT INTO harvest_step (archive, run, kind, scope, rewrite, asked) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id',
      [step.archive, step.run, step.kind, JSON.stringify(step.scope), step.rewrite ?? false, step.asked ?? false],
    );
    return rows[0]!.id;
  }

  /** Steps that may be done now; what was asked for or is new goes before what is old, less deep before deeper. */
  async openSteps(archive: string, without: readonly string[], limit: number): Promise<StepRow[]> {
    const { rows } = await this.database.query<StepRow>(
      `SELECT ${STEP_COLUMNS.split(', ')
        .map((c) => `s.${c}`)
        .join(', ')}
         FROM harvest_step s LEFT JOIN harvest_run r ON r.id = s.run
        WHERE s.archive = $1 AND s.state = 'open' AND s.next_try <= clock_timestamp() AND NOT s.id = ANY ($2::bigint[])
        ORDER BY s.asked DESC, r.purpose IS DISTINCT FROM 'incremental',
                 array_position(ARRAY['studies', 'series', 'images', 'full'], s.kind), s.id
        LIMIT $3`,
      [archive, without, limit],
    );
    return rows;
  }

  async begun(lease: HeldLease, step: StepRow, jobId: string, edgeId: string): Promise<void> {
    await this.guarded(lease, (client) =>
      client.query('UPDATE harvest_step SET job_id = $2, edge_id = $3 WHERE id = $1', [step.id, jobId, edgeId]),
    );
  }

  /** Not done: again later, with a pause that doubles (5 s to 10 min). The work is begun anew. */
  async putOff(lease: HeldLease, step: StepRow, code: string): Promise<void> {
    await this.guarded(lease, (client) =>
      client.query(
        `UPDATE harvest_step SET attempts = attempts + 1, last_code = $2, job_id = NULL, edge_id = NULL,
                next_try = clock_timestamp() + make_interval(secs => least(600, 5 * 2 ^ least(attempts, 10)))
          WHERE id = $1`,
        [step.id, code],
      ),
    );
  }

  /** What was read is with the edge; it counts when its packs are in the catalog. */
  async read(client: SqlClient, step: StepRow, packs: readonly string[], answers: number): Promise<void> {
    await client.query(
      `UPDATE harvest_step SET state = $2, packs = $3, answers = $4, read_at = clock_timestamp(), job_id = NULL WHERE id = $1`,
      [step.id, packs.length > 0 ? 'read' : 'done', packs, answers],
    );
    if (packs.length === 0)
      await client.query('UPDATE harvest_study SET step = NULL WHERE step = $1 AND archive = $2', [
        step.id,
        step.archive,
      ]);
  }

  async end(client: SqlClient, step: StepRow, state: 'split' | 'stuck', answers: number, code?: string): Promise<void> {
    await client.query(
      'UPDATE harvest_step SET state = $2, answers = $3, last_code = $4, job_id = NULL WHERE id = $1',
      [step.id, state, answers, code ?? null],
    );
  }

  /**
   * Steps whose packs are all in the catalog are done. Those whose packs were refused, or have not come for an hour, are
   * read again and written anew: their edge may be lost.
   */
  async settle(lease: HeldLease, archive: string): Promise<{ done: number; lost: number; waiting: number }> {
    return this.guarded(lease, async (client) => {
      const done = await client.query<{ id: string }>(
        `UPDATE harvest_step s SET state = 'done'
          WHERE s.archive = $1 AND s.state = 'read'
            AND NOT EXISTS (SELECT FROM unnest(s.packs) AS p (pack_id)
                             WHERE NOT EXISTS (SELECT FROM pack WHERE pack.pack_id = p.pack_id))
          RETURNING s.id`,
        [archive],
      );
      const ids = done.rows.map((row) => row.id);
      if (ids.length > 0)
        await client.query('UPDATE harvest_study SET step = NULL WHERE archive = $1 AND step = ANY ($2::bigint[])', [
          archive,
          ids,
        ]);
      const { rows: there } = await client.query<{ there: boolean }>(
        `SELECT to_regclass('quarantined_pack') IS NOT NULL AS there`,
      );
      const refused = there[0]?.there
        ? `OR EXISTS (SELECT FROM quarantined_pack q WHERE q.pack_id = ANY (s.packs) AND q.state = 'quarantined')`
        : '';
      const lost = await client.query(
        `UPDATE harvest_step s SET state = 'open', rewrite = true, attempts = attempts + 1, last_code = 'packs-lost',
                next_try = clock_timestamp() + make_interval(secs => least(3600, 60 * 2 ^ least(attempts, 10)))
          WHERE s.archive = $1 AND s.state = 'read'
            AND (s.read_at < clock_timestamp() - interval '1 hour' ${refused})`,
        [archive],
      );
      const { rows } = await client.query<{ n: string }>(
        `SELECT count(*) AS n FROM harvest_step WHERE archive = $1 AND state = 'read'`,
        [archive],
      );
      return { done: ids.length, lost: lost.rowCount ?? 0, waiting: Number(rows[0]?.n ?? 0) };
    });
  }

  /** Tells ingest what an archive has no more. */
  async vanished(
    client: SqlClient,
    where: { archive: string; site: string; asOf: Date },
    level: 'STUDY' | 'SERIES' | 'IMAGE',
    uids: readonly string[],
  ): Promise<void> {
    const { archive, site, asOf } = where;
    for (let at = 0; at < uids.length; at += VANISHED_AT_ONCE) {
      const payload = { archive, level, uids: uids.slice(at, at + VANISHED_AT_ONCE), asOf: asOf.toISOString() };
      await writeOutbox(client, [outboxEvent({ contract: SourceVanished, payload, site })]);
    }
  }

  /** Adds to the report of a run. */
  async report(client: SqlClient, run: string, changes: Changes): Promise<void> {
    const { level, compared, appeared, changed, vanished } = changes;
    const sum = (column: string, parameter: string): string =>
      `${column} = ${column} || jsonb_build_object($2::text, coalesce((${column} ->> $2)::int, 0) + ${parameter}::int)`;
    const examples = (['appeared', 'changed', 'vanished'] as const).flatMap((what) =>
      changes[what].slice(0, EXAMPLES).map((uid) => ({ what, level, uid })),
    );
    await client.query(
      `UPDATE harvest_run SET ${sum('compared', '$3')}, ${sum('appeared', '$4')}, ${sum('changed', '$5')},
              ${sum('vanished', '$6')},
              examples = CASE WHEN jsonb_array_length(examples) < 120 THEN examples || $7::jsonb ELSE examples END
        WHERE id = $1`,
      [run, level, compared, appeared.length, changed.length, vanished.length, JSON.stringify(examples)],
    );
  }
}

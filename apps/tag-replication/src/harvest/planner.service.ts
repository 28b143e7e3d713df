import { Inject, Injectable } from '@nestjs/common';
import type { ArchiveV1, HarvestDepth } from '@archipelago/contracts';
import type { HeldLease } from '@archipelago/platform-bus';
import type { SqlClient } from '@archipelago/platform-storage';
import { tagReplicationConfig, type TagReplicationConfig } from '../tag-replication.config';
import { HarvestRepository } from './harvest.repository';
import type { RunRow, StatusRow, StepKind } from './rows';
import { addDays, nextWindow, toDay } from './scope';

const LEVELS: Record<HarvestDepth, number> = { none: 0, study: 1, series: 2, image: 3, full: 4 };
/** Studies of one deeper step, and images that it may be about. */
const BATCH: Record<Exclude<StepKind, 'studies'>, number> = { series: 50, images: 50, full: 10 };
const BATCH_IMAGES = 4_000;
/** What a daily audit looks at. */
const SAMPLE_DAYS = 20;
const SAMPLE_STUDIES = 100;
const VERIFY_AT_ONCE = 50;

/** How deep an archive can be read: `full` needs a way to get headers without moving images to us. */
export function reachableDepth({ depth, capabilities }: Pick<ArchiveV1, 'depth' | 'capabilities'>): HarvestDepth {
  if (depth !== 'full') return depth;
  const can = capabilities && (capabilities.dicomWeb || capabilities.getWithoutBulkData || capabilities.get);
  return can ? 'full' : 'image';
}

/** Decides what is to be read next. Plans are rows: a crash loses none, and none is made twice. */
@Injectable()
export class PlannerService {
  constructor(
    private readonly repository: HarvestRepository,
    @Inject(tagReplicationConfig.KEY) private readonly config: TagReplicationConfig,
  ) {}

  /** Begins runs that are due. */
  async runs(lease: HeldLease, archive: ArchiveV1, status: StatusRow): Promise<void> {
    const { name } = archive;
    if (status.wanted.studies) await this.askedFor(lease, name);
    const open = await this.repository.openRuns(name);
    const load = open.find((run) => run.purpose === 'load');
    const loaded = await this.repository.lastRun(name, 'load');
    if (!load && (!loaded || status.wanted.again)) return this.beginLoad(lease, name, status.wanted.again === true);
    if (!loaded) return;
    if (!open.some((run) => run.purpose === 'incremental')) {
      const last = await this.repository.lastRun(name, 'incremental');
      const age = Date.now() - (last ?? loaded).started_at.getTime();
      if (status.wanted.harvest || age >= this.config.intervalSeconds * 1000) await this.beginIncremental(lease, name);
    }
    if (open.some((run) => run.purpose === 'audit') || load) return;
    const audit = await this.repository.lastRun(name, 'audit');
    const age = Date.now() - (audit ?? loaded).started_at.getTime();
    const due = this.config.auditHours > 0 && age >= this.config.auditHours * 3_600_000;
    if (status.wanted.audit || due) await this.beginAudit(lease, archive, status.wanted.audit === 'full');
  }

  private async beginLoad(lease: HeldLease, archive: string, again: boolean): Promise<void> {
    await this.repository.guarded(lease, async (client) => {
      if (again) {
        await client.query(`UPDATE harvest_study SET level = 1, digest = '', failures = 0 WHERE archive = $1`, [
          archive,
        ]);
        await this.unwant(client, archive, 'again');
      }
      const run = await this.repository.addRun(client, {
        archive,
        purpose: 'load',
        phase: 'windows',
        frontier: toDay(Date.now()),
      });
      // the newest first, and what is dated in the future is newer still
      await this.repository.addStep(client, {
        archive,
        run: run.id,
        kind: 'studies',
        scope: { from: addDays(toDay(Date.now()), 1) },
      });
    });
  }

  private async beginIncremental(lease: HeldLease, archive: string): Promise<void> {
    await this.repository.guarded(lease, async (client) => {
      const from = addDays(toDay(Date.now()), -this.config.overlapDays);
      const run = await this.repository.addRun(client, {
        archive,
        purpose: 'incremental',
        phase: 'end',
        scope_from: from,
      });
      await this.repository.addStep(client, { archive, run: run.id, kind: 'studies', scope: { from } });
      await this.unwant(client, archive, 'harvest');
    });
  }

  private async beginAudit(lease: HeldLease, archive: ArchiveV1, full: boolean): Promise<void> {
    const { name } = archive;
    await this.repository.guarded(lease, async (client) => {
      await this.unwant(client, name, 'audit');
      const frontier = toDay(Date.now());
      const run = await this.repository.addRun(client, {
        archive: name,
        purpose: 'audit',
        full_audit: full,
        phase: full ? 'windows' : 'end',
        frontier,
      });
      const add = (kind: StepKind, scope: object): Promise<string> =>
        this.repository.addStep(client, { archive: name, run: run.id, kind, scope });
      if (full) return add('studies', { from: addDays(frontier, 1) });
      await add('studies', { undated: true });
      const { rows: days } = await client.query<{ day: string }>(
        `SELECT study_date AS day FROM (SELECT DISTINCT study_date FROM harvest_study
          WHERE archive = $1 AND study_date IS NOT NULL) AS d ORDER BY random() LIMIT $2`,
        [name, SAMPLE_DAYS],
      );
      for (const { day } of days) await add('studies', { from: day, to: day });
      const { rows: studies } = await client.query<{ uid: string; level: number }>(
        `SELECT study_uid AS uid, level FROM harvest_study WHERE archive = $1 AND level >= 2 AND step IS NULL
          ORDER BY random() LIMIT $2`,
        [name, SAMPLE_STUDIES],
      );
      for (let at = 0; at < studies.length; at += BATCH.series) {
        const some = studies.slice(at, at + BATCH.series);
        await add('series', { studies: some.map((each) => each.uid) });
        const deep = some.filter((each) => each.level >= 3).map((each) => each.uid);
        if (deep.length > 0) await add('images', { studies: deep });
      }
      return undefined;
    });
  }

  /** Studies that a command named: read anew from the study down, whatever was known of them. */
  private async askedFor(lease: HeldLease, archive: string): Promise<void> {
    await this.repository.guarded(lease, async (client) => {
      const { rows } = await client.query<{ uid: string }>(
        `SELECT DISTINCT uid FROM archive_status, jsonb_array_elements_text(wanted -> 'studies') AS uid WHERE name = $1 ORDER BY uid`,
        [archive],
      );
      await this.unwant(client, archive, 'studies');
      const uids = rows.map((row) => row.uid);
      await client.query(
        `UPDATE harvest_study SET level = 1, digest = '', failures = 0, next_try = clock_timestamp()
          WHERE archive = $1 AND study_uid = ANY ($2::text[])`,
        [archive, uids],
      );
      for (let at = 0; at < uids.length; at += VERIFY_AT_ONCE) {
        const scope = { uids: uids.slice(at, at + VERIFY_AT_ONCE) };
        await this.repository.addStep(client, { archive, run: null, kind: 'studies', scope, asked: true });
      }
    });
  }

  private async unwant(client: SqlClient, archive: string, key: string): Promise<void> {
    await client.query('UPDATE archive_status SET wanted = wanted - $2 WHERE name = $1', [archive, key]);
  }

  /** Adds steps until `missing` more are there, or nothing is left to plan. Answers with their number. */
  async steps(lease: HeldLease, archive: ArchiveV1, missing: number): Promise<number> {
    let added = (await this.anyAsked(archive.name)) ? await this.allDeeper(lease, archive, missing, true) : 0;
    for (const run of await this.repository.openRuns(archive.name)) {
      while (added < missing) {
        const more = await this.ofRun(lease, archive, run);
        if (more === 0) break;
        added += more;
      }
      // studies go before what is below them; an audit is never in the way of a load
      if (run.purpose === 'load' && run.phase !== 'end' && run.phase !== 'verify') return added;
    }
    return added + (await this.allDeeper(lease, archive, missing - added, false));
  }

  /** Mostly none: one look instead of a transaction for each depth. */
  private async anyAsked(archive: string): Promise<boolean> {
    const { rows } = await this.repository.query('SELECT FROM harvest_study WHERE archive = $1 AND asked LIMIT 1', [
      archive,
    ]);
    return rows.length > 0;
  }

  private async allDeeper(lease: HeldLease, archive: ArchiveV1, missing: number, asked: boolean): Promise<number> {
    const depth = LEVELS[reachableDepth(archive)];
    let added = 0;
    for (const kind of ['series', 'images', 'full'] as const) {
      while (added < missing && LEVEL_OF[kind] <= depth) {
        if (!(await this.deeper(lease, archive.name, kind, asked, LEVEL_OF[kind] === depth))) break;
        added++;
      }
    }
    return added;
  }

  /** The next steps of a run's phase; 0: the phase has no more, and the run is in the next one. */
  private async ofRun(lease: HeldLease, archive: ArchiveV1, run: RunRow): Promise<number> {
    const { name } = archive;
    return this.repository.guarded(lease, async (client) => {
      const add = (kind: StepKind, scope: object): Promise<string> =>
        this.repository.addStep(client, { archive: name, run: run.id, kind, scope });
      const { rows } = await client.query<RunRow>('SELECT * FROM harvest_run WHERE id = $1 FOR UPDATE', [run.id]);
      Object.assign(run, rows[0]);
      if (run.phase === 'windows') {
        const window = nextWindow(run.frontier as string, run.step_days);
        await add('studies', window?.scope ?? { to: '18991231' });
        await client.query(
          'UPDATE harvest_run SET frontier = coalesce($2, frontier), phase = CASE WHEN $2::text IS NULL THEN $3 ELSE phase END WHERE id = $1',
          [run.id, window?.frontier ?? null, 'undated'],
        );
        return 1;
      }
      if (run.phase === 'undated') {
        await add('studies', { undated: true });
        await this.phase(client, run, run.purpose === 'audit' ? 'series' : 'end');
        return 1;
      }
      if (run.phase === 'series' || run.phase === 'images') return this.auditDeeper(client, archive, run, add);
      return 0;
    });
  }

  /** A full audit goes through all studies, by their UIDs. */
  private async auditDeeper(
    client: SqlClient,
    archive: ArchiveV1,
    run: RunRow,
    add: (kind: StepKind, scope: object) => Promise<string>,
  ): Promise<number> {
    const kind = run.phase as 'series' | 'images';
    // its own studies first: what appeared is read by the usual way
    if (await this.unfinished(client, run)) return 0;
    const depth = LEVELS[archive.depth];
    const { rows } =
      LEVEL_OF[kind] > depth
        ? { rows: [] }
        : await client.query<{ uid: string; instances: number | null }>(
            `SELECT study_uid AS uid, instances FROM harvest_study
              WHERE archive = $1 AND study_uid > $2 AND level >= $3 ORDER BY study_uid LIMIT $4`,
            [archive.name, run.cursor, LEVEL_OF[kind], BATCH[kind]],
          );
    if (rows.length === 0) {
      await this.phase(client, run, kind === 'series' ? 'images' : 'end');
      await client.query(`UPDATE harvest_run SET cursor = '' WHERE id = $1`, [run.id]);
      return 0;
    }
    const studies = withinImages(rows, kind);
    await add(kind, { studies });
    await client.query('UPDATE harvest_run SET cursor = $2 WHERE id = $1', [run.id, studies.at(-1)]);
    return 1;
  }

  private async unfinished(client: SqlClient, run: RunRow): Promise<boolean> {
    const { rows } = await client.query<{ n: string }>(
      `SELECT count(*) AS n FROM harvest_step WHERE run = $1 AND state IN ('open', 'read') AND kind = 'studies'`,
      [run.id],
    );
    return Number(rows[0]?.n) > 0;
  }

  private async phase(client: SqlClient, run: RunRow, phase: string): Promise<void> {
    await client.query('UPDATE harvest_run SET phase = $2 WHERE id = $1', [run.id, phase]);
    run.phase = phase;
  }

  /** The newest studies that wait for this depth, as one step; `asked`: of those that a command named. */
  private async deeper(
    lease: HeldLease,
    archive: string,
    kind: Exclude<StepKind, 'studies'>,
    asked: boolean,
    deepest: boolean,
  ): Promise<boolean> {
    return this.repository.guarded(lease, async (client) => {
      const { rows } = await client.query<{ uid: string; instances: number | null }>(
        `SELECT study_uid AS uid, instances FROM harvest_study
          WHERE archive = $1 AND level = $2 AND step IS NULL AND batch IS NULL AND next_try <= clock_timestamp()${asked ? ' AND asked' : ''}
          ORDER BY study_date DESC NULLS LAST, study_uid LIMIT $3`,
        [archive, LEVEL_OF[kind] - 1, BATCH[kind]],
      );
      const chosen = withinImages(rows, kind);
      if (chosen.length === 0) return false;
      const id = await this.repository.addStep(client, {
        archive,
        run: null,
        kind,
        scope: { studies: chosen },
        asked,
      });
      await client.query(
        'UPDATE harvest_study SET batch = $3, asked = asked AND NOT $4 WHERE archive = $1 AND study_uid = ANY ($2::text[])',
        [archive, chosen, id, deepest],
      );
      return true;
    });
  }

  /**
   * Ends runs whose steps are all done. What a run should have met and did not is asked for by its UID first: only
   * what the archive then does not have has vanished.
   */
  async finish(lease: HeldLease, archive: ArchiveV1): Promise<{ finished: number; heldBack: number }> {
    let finished = 0;
    let heldBack = 0;
    for (const run of await this.repository.openRuns(archive.name)) {
      if (run.phase !== 'end' && run.phase !== 'verify') continue;
      const ended = await this.repository.guarded(lease, async (client) => {
        const { rows } = await client.query<{ open: string; stuck: string }>(
          `SELECT count(*) FILTER (WHERE state IN ('open', 'read')) AS open, count(*) FILTER (WHERE state = 'stuck') AS stuck
             FROM harvest_step WHERE run = $1`,
          [run.id],
        );
        if (Number(rows[0]?.open) > 0) return false;
        // what it found to be changed is read by the usual way, and belongs to its report
        if (run.full_audit && run.phase === 'end' && (await this.waiting(client, archive))) return false;
        let missing = Number(rows[0]?.stuck) > 0 ? [] : await this.missing(client, run);
        if (run.phase === 'verify' && !run.full_audit && (await this.tooMany(client, run, missing.length))) {
          heldBack += missing.length;
          missing = [];
        }
        if (run.phase === 'end') {
          for (let at = 0; at < missing.length; at += VERIFY_AT_ONCE) {
            const uids = missing.slice(at, at + VERIFY_AT_ONCE);
            await this.repository.addStep(client, {
              archive: archive.name,
              run: run.id,
              kind: 'studies',
              scope: { uids },
            });
          }
          await this.phase(client, run, 'verify');
          return false;
        }
        await this.close(client, archive, run, missing, Number(rows[0]?.stuck));
        return true;
      });
      if (ended) finished++;
    }
    return { finished, heldBack };
  }

  /**
   * An archive whose database is being rebuilt answers "nothing" to every question. What nobody believes is not carried
   * out: only a full audit, which somebody asks for, lets so much vanish.
   */
  private async tooMany(client: SqlClient, run: RunRow, missing: number): Promise<boolean> {
    if (missing < 50) return false;
    const { rows } = await client.query<{ n: string }>(
      'SELECT count(*) AS n FROM harvest_study WHERE archive = $1 AND ($2::text IS NULL OR study_date >= $2)',
      [run.archive, run.scope_from],
    );
    return missing > Number(rows[0]?.n) / 5;
  }

  /** Studies that are to be read deeper, and did not fail. */
  private async waiting(client: SqlClient, archive: ArchiveV1): Promise<boolean> {
    const { rows } = await client.query<{ waiting: boolean }>(
      `SELECT EXISTS (SELECT FROM harvest_study WHERE archive = $1 AND level < $2 AND failures = 0) AS waiting`,
      [archive.name, Math.min(LEVELS.image, LEVELS[reachableDepth(archive)])],
    );
    return rows[0]?.waiting === true;
  }

  /** Studies that the run should have met. */
  private async missing(client: SqlClient, run: RunRow): Promise<string[]> {
    const sample = run.purpose === 'audit' && !run.full_audit;
    const { rows } = await client.query<{ uid: string }>(
      `SELECT h.study_uid AS uid FROM harvest_study h
        WHERE h.archive = $1 AND h.seen_at < $2
          AND ($3::text IS NULL OR h.study_date >= $3)
          AND (NOT $4 OR EXISTS (SELECT FROM harvest_step s WHERE s.run = $5 AND s.state = 'done' AND s.kind = 'studies'
                                    AND s.scope ->> 'from' = h.study_date AND s.scope ->> 'to' = h.study_date
                                    AND NOT s.scope ?| ARRAY['timeFrom', 'timeTo', 'patientId', 'patientName', 'modality']))`,
      [run.archive, run.started_at, run.scope_from, sample, run.id],
    );
    return rows.map((row) => row.uid);
  }

  private async close(
    client: SqlClient,
    archive: ArchiveV1,
    run: RunRow,
    vanished: string[],
    stuck: number,
  ): Promise<void> {
    if (vanished.length > 0) {
      const where = { archive: archive.name, site: archive.site, asOf: run.started_at };
      await this.repository.vanished(client, where, 'STUDY', vanished);
      await client.query('DELETE FROM harvest_study WHERE archive = $1 AND study_uid = ANY ($2::text[])', [
        archive.name,
        vanished,
      ]);
      await this.repository.report(client, run.id, {
        level: 'study',
        compared: 0,
        appeared: [],
        changed: [],
        vanished,
      });
    }
    await client.query('UPDATE harvest_run SET finished_at = clock_timestamp(), failed = failed + $2 WHERE id = $1', [
      run.id,
      stuck,
    ]);
    if (run.purpose === 'audit' && !run.full_audit) return;
    await client.query(
      `UPDATE archive_status SET as_of = greatest(as_of, $2), unlistable = CASE WHEN $4 THEN $3 ELSE unlistable END WHERE name = $1`,
      [archive.name, run.started_at, stuck, run.purpose !== 'incremental'],
    );
  }
}

const LEVEL_OF: Record<Exclude<StepKind, 'studies'>, number> = { series: 2, images: 3, full: 4 };

/** As many of these studies as one step may be about: at least one. */
function withinImages(rows: readonly { uid: string; instances: number | null }[], kind: StepKind): string[] {
  const chosen: string[] = [];
  let images = 0;
  for (const { uid, instances } of rows) {
    images += kind === 'series' ? 0 : (instances ?? 100);
    if (chosen.length > 0 && images > BATCH_IMAGES) break;
    chosen.push(uid);
  }
  return chosen;
}

/** Harvest of one archive, for as long as this process holds its lease. */
import type {
  AnswerItem,
  AnswerPart,
  ArchiveTaskOrder,
  ArchiveTaskResult,
  ArchiveV1,
  StudyScopeV1,
} from '@archipelago/contracts';
import type { HeldLease } from '@archipelago/platform-bus';
import { classifyError, type Logger } from '@archipelago/platform-service';
import type { EdgeClient } from '../edge-client';
import type { RegistryService } from '../registry/registry.service';
import type { RegistryRepository } from '../registry/registry.repository';
import type { TagReplicationConfig } from '../tag-replication.config';
import type { TagReplicationMetrics } from '../tag-replication.metrics';
import type { ApplyService } from './apply.service';
import { LIMIT, probeCap } from './cap-probe';
import type { HarvestRepository } from './harvest.repository';
import type { PlannerService } from './planner.service';
import { probeArchive } from './probe-archive';
import type { Changes, StepRow, StudyRow } from './rows';
import { maybeCapped, nextDays, splitScope, toDay } from './scope';
import type { StatusService } from './status.service';

/** Longest time of one query; an archive that needs longer is asked for less at once, at last for as long as it takes. */
const QUERY_MS = 60_000;
const LONGEST_QUERY_MS = 600_000;
const BATCH_MS = 300_000;
/** Digests that go with one order: with the longest UIDs well below the bus's largest message. Others are written again. */
const MOST_KNOWN = 6_000;
/** Answers that a window should bring: well below what we or the archive take at once. */
const WANTED = 500;

export interface WorkerParts {
  repository: HarvestRepository;
  registry: RegistryService;
  contacts: RegistryRepository;
  planner: PlannerService;
  apply: ApplyService;
  edge: EdgeClient;
  status: StatusService;
  metrics: TagReplicationMetrics;
  config: TagReplicationConfig;
  logger: Logger;
}

export class ArchiveWorker {
  private readonly running = new Map<string, Promise<void>>();
  private nextStatus = 0;

  constructor(
    private readonly parts: WorkerParts,
    private archive: ArchiveV1,
    private readonly lease: HeldLease,
    private readonly signal: AbortSignal,
  ) {}

  /** Until the archive is paused, the lease lost, or the process stops. */
  async run(): Promise<void> {
    while (!this.signal.aborted) {
      const [archive] = await this.parts.registry.list(this.archive.name);
      if (!archive) return;
      this.archive = archive;
      if (archive.state === 'removed') return this.drain();
      if (archive.state !== 'active' || archive.depth === 'none') break;
      const idle = await this.tick();
      await this.pause(idle ? 1_000 : 20);
    }
    await Promise.allSettled(this.running.values());
  }

  /** @returns whether there was nothing to do */
  private async tick(): Promise<boolean> {
    const { repository, planner, status, logger } = this.parts;
    const { name } = this.archive;
    const settled = await repository.settle(this.lease, name);
    if (settled.lost > 0)
      logger.warn('packs of a harvest are lost, read again', { archive: name, count: settled.lost });
    const { finished, heldBack } = await planner.finish(this.lease, this.archive);
    if (heldBack > 0) logger.warn('too much of an archive seems to have vanished', { archive: name, count: heldBack });
    if (Date.now() >= this.nextStatus || finished > 0) {
      await status.update(this.lease, this.archive);
      this.nextStatus = Date.now() + 2_000;
    }
    if (!this.inHours()) return true;
    if (await this.probeDue()) await this.probe();
    if (this.archive.capabilities?.reachable !== true) return true;
    const state = await repository.status(name);
    if (!state.cap_checked_at) await this.checkCap();
    await planner.runs(this.lease, this.archive, state);
    return this.fill();
  }

  /** As many steps at work as the budget leaves to the harvest. */
  private async fill(): Promise<boolean> {
    const { repository, planner } = this.parts;
    const most = Math.max(1, Math.min(4, this.archive.budget.associations - 1));
    if (this.running.size >= most) {
      await this.someEnd();
      return false;
    }
    const wanted = most - this.running.size;
    const open = (): Promise<StepRow[]> => repository.openSteps(this.archive.name, [...this.running.keys()], wanted);
    let steps = await open();
    if (steps.length < wanted && (await planner.steps(this.lease, this.archive, wanted - steps.length)) > 0)
      steps = await open();
    for (const step of steps) {
      const work = this.step(step).finally(() => this.running.delete(step.id));
      this.running.set(step.id, work);
    }
    if (this.running.size === 0) return true;
    await this.someEnd();
    return false;
  }

  private async someEnd(): Promise<void> {
    const waiting = this.wait(1_000);
    await Promise.race([...this.running.values(), waiting.over]);
    waiting.end();
  }

  private pause(ms: number): Promise<void> {
    return this.wait(ms).over;
  }

  /** Ends after the time, when told to, or when the lease is lost; leaves nothing behind. */
  private wait(ms: number): { over: Promise<void>; end: () => void } {
    let end!: () => void;
    const over = new Promise<void>((resolve) => {
      end = () => {
        clearTimeout(timer);
        this.signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.signal.addEventListener('abort', end, { once: true });
    });
    return { over, end };
  }

  private inHours(): boolean {
    const hours = this.archive.budget.harvestHours;
    return hours.length === 0 || hours.includes(new Date().getHours());
  }

  private async probeDue(): Promise<boolean> {
    const { capabilities } = this.archive;
    if (!capabilities) return true;
    const age = Date.now() - Date.parse(capabilities.probedAt);
    if (age > this.parts.config.probeHours * 3_600_000) return true;
    if (capabilities.reachable) return false;
    const { rows } = await this.parts.repository.query<{ due: boolean }>(
      `SELECT coalesce(last_error_at < clock_timestamp() - interval '15 s', true) AS due FROM archive_status WHERE name = $1`,
      [this.archive.name],
    );
    return rows[0]?.due ?? true;
  }

  private async probe(): Promise<void> {
    try {
      this.archive = await probeArchive(this.parts.edge, this.parts.registry, this.archive, this.signal);
    } catch (error) {
      await this.contact(classifyError(error).code);
      await this.pause(5_000);
    }
  }

  private async contact(error: string | undefined): Promise<void> {
    if (error !== undefined) this.parts.metrics.failed(this.archive.name, error);
    await this.parts.repository.guarded(this.lease, (client) =>
      this.parts.contacts.contact(client, this.archive.name, error),
    );
  }

  private async checkCap(): Promise<void> {
    const { edge, repository } = this.parts;
    const ask = async (scope: StudyScopeV1): Promise<AnswerPart> => {
      const order: ArchiveTaskOrder = {
        kind: 'studies',
        scope,
        write: false,
        known: [],
        limit: LIMIT,
        deadlineMs: QUERY_MS,
      };
      const result = await edge.run(this.archive, order, edge.newJob(), { signal: this.signal });
      return result.parts[0] as AnswerPart;
    };
    try {
      const { cap, proven, maxSeen } = await probeCap(ask);
      await repository.guarded(this.lease, (client) =>
        client.query(
          'UPDATE archive_status SET cap = $2, proven = $3, max_seen = $4, cap_checked_at = clock_timestamp() WHERE name = $1',
          [this.archive.name, cap, proven, maxSeen],
        ),
      );
    } catch (error) {
      // the windows find out by themselves; tried again with the next round
      await this.contact(classifyError(error).code);
    }
  }

  private async step(step: StepRow): Promise<void> {
    const { edge, repository, logger } = this.parts;
    const { name } = this.archive;
    try {
      const askedAt = await this.now();
      const { order, known } = await this.order(step);
      const job = step.job_id ? { jobId: step.job_id, edgeId: step.edge_id ?? undefined } : edge.newJob();
      const result = await edge.run(this.archive, order, job, {
        signal: this.signal,
        begun: (edgeId) => repository.begun(this.lease, step, job.jobId, edgeId),
      });
      await this.ended(step, result, known, askedAt);
    } catch (thrown) {
      if (this.signal.aborted) return;
      const error = classifyError(thrown);
      if (error.kind !== 'transient')
        logger.error('step of a harvest failed', { archive: name, code: error.code, err: thrown });
      await this.failed(step, error.code).catch(() => undefined);
    }
  }

  private async failed(step: StepRow, code: string): Promise<void> {
    await this.parts.repository.putOff(this.lease, step, code);
    await this.contact(code);
  }

  /** By the database's clock: compared with what it writes. */
  private async now(): Promise<Date> {
    const { rows } = await this.parts.repository.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    return rows[0]!.now;
  }

  private async order(step: StepRow): Promise<{ order: ArchiveTaskOrder; known: Map<string, string> }> {
    const { scope, kind } = step;
    const studies = scope.studies ?? [];
    if (kind === 'studies') {
      const known = step.rewrite ? new Map<string, string>() : await this.knownStudies(scope);
      const slow = step.attempts > 0 ? LONGEST_QUERY_MS : QUERY_MS;
      return { known, order: { kind, scope, write: true, known: [...known], limit: LIMIT, deadlineMs: slow } };
    }
    const rows = await this.studyRows(studies);
    if (kind === 'full') {
      const { capabilities } = this.archive;
      const method = capabilities?.dicomWeb ? 'wado' : capabilities?.getWithoutBulkData ? 'get-without-bulk' : 'get';
      const wanted = rows.map((row) => ({ study: row.study_uid, sopClasses: row.sop_classes.slice(0, 120) }));
      return { known: new Map(), order: { kind, method, studies: wanted, deadlineMs: BATCH_MS } };
    }
    const known = new Map<string, string>();
    const fresh = (row: StudyRow): boolean => !step.rewrite && (row.step === null || row.step === step.id);
    if (kind === 'series') {
      for (const row of rows) if (fresh(row)) for (const [uid, digest] of row.series ?? []) known.set(uid, digest);
      return {
        known,
        order: {
          kind,
          studies: rows.map((row) => row.study_uid),
          known: [...known].slice(0, MOST_KNOWN),
          deadlineMs: BATCH_MS,
        },
      };
    }
    const relational = this.archive.capabilities?.find.relational === true;
    const { rows: series } = await this.parts.repository.query<{ study_uid: string; images: [string, string][] }>(
      'SELECT study_uid, images FROM harvest_series WHERE archive = $1 AND study_uid = ANY ($2::text[])',
      [this.archive.name, studies],
    );
    const usable = new Set(rows.filter(fresh).map((row) => row.study_uid));
    for (const each of series)
      if (usable.has(each.study_uid)) for (const [uid, digest] of each.images) known.set(uid, digest);
    const wanted = rows.map((row) => ({
      study: row.study_uid,
      series: relational ? [] : (row.series ?? []).map(([uid]) => uid).slice(0, 10_000),
    }));
    return {
      known,
      order: { kind: 'images', studies: wanted, known: [...known].slice(0, MOST_KNOWN), deadlineMs: BATCH_MS },
    };
  }

  private async studyRows(uids: readonly string[]): Promise<StudyRow[]> {
    const { rows } = await this.parts.repository.query<StudyRow>(
      `SELECT study_uid, study_date, digest, level, series, sop_classes, instances, step, batch FROM harvest_study
        WHERE archive = $1 AND study_uid = ANY ($2::text[]) ORDER BY study_date DESC NULLS LAST, study_uid`,
      [this.archive.name, uids],
    );
    return rows;
  }

  private async knownStudies(scope: StudyScopeV1): Promise<Map<string, string>> {
    const { rows } = await this.parts.repository.query<{ study_uid: string; digest: string }>(
      `SELECT study_uid, digest FROM harvest_study
        WHERE archive = $1 AND step IS NULL AND length(digest) = 12
          AND ($2::text IS NULL OR study_date >= $2) AND ($3::text IS NULL OR study_date <= $3)
          AND ($4::text[] IS NULL OR study_uid = ANY ($4)) AND (NOT $5 OR study_date IS NULL)
        ORDER BY study_date DESC NULLS LAST LIMIT 4000`,
      [this.archive.name, scope.from ?? null, scope.to ?? null, scope.uids ?? null, scope.undated ?? false],
    );
    return new Map(rows.map((row) => [row.study_uid, row.digest]));
  }

  private async ended(
    step: StepRow,
    result: ArchiveTaskResult,
    known: Map<string, string>,
    askedAt: Date,
  ): Promise<void> {
    this.parts.status.leftOut(this.archive.name, result.parts);
    if (step.kind === 'studies') return this.studiesEnded(step, result, known, askedAt);
    const { repository, apply } = this.parts;
    const failure = result.parts.find((part) => part.end === 'failed');
    await repository.guarded(this.lease, async (client) => {
      let changes: Changes | undefined;
      if (step.kind === 'series') changes = await apply.series(client, step, this.archive, result.parts, askedAt);
      else if (step.kind === 'images') changes = await apply.images(client, step, this.archive, result.parts, askedAt);
      else await apply.full(client, step, result.parts);
      const run = step.run ?? (await this.openAudit());
      if (changes && run !== null) await repository.report(client, run, changes);
      if (step.run !== null) {
        const failed = result.parts.filter((part) => part.end !== 'complete').length;
        await client.query('UPDATE harvest_run SET failed = failed + $2 WHERE id = $1', [step.run, failed]);
      }
      // studies that it did not come to wait for the next one
      await client.query('UPDATE harvest_study SET batch = NULL WHERE archive = $1 AND batch = $2', [
        this.archive.name,
        step.id,
      ]);
      await repository.read(
        client,
        step,
        result.packs,
        result.parts.reduce((n, part) => n + part.answers, 0),
      );
    });
    await this.contact(failure?.code);
  }

  /** While a full audit runs, what others find belongs to its report too. */
  private async openAudit(): Promise<string | null> {
    const runs = await this.parts.repository.openRuns(this.archive.name);
    return runs.find((run) => run.full_audit)?.id ?? null;
  }

  private async studiesEnded(
    step: StepRow,
    result: ArchiveTaskResult,
    known: Map<string, string>,
    askedAt: Date,
  ): Promise<void> {
    const items = result.parts.flatMap((part) => part.items);
    const bad = result.parts.find((part) => part.end !== 'complete');
    const answers = result.parts.reduce((n, part) => n + part.answers, 0);
    // one by one there is nothing to divide: all of them were asked for, or the step is done again
    if (step.scope.uids) {
      const missed = result.parts.length < step.scope.uids.length;
      if (bad || missed) return this.failed(step, bad?.code ?? 'incomplete');
      return this.keep(step, result, items, known, askedAt, answers);
    }
    const part = result.parts[0] as AnswerPart;
    const status = await this.parts.repository.status(this.archive.name);
    await this.noteMost(part);
    const knowledge = { cap: status.cap, proven: status.proven, maxSeen: status.max_seen };
    const doubted = part.end !== 'complete' || maybeCapped(part.answers, knowledge);
    if (!doubted) {
      await this.keep(step, result, items, known, askedAt, answers);
      return this.contact(undefined);
    }
    if (part.end === 'failed' && (part.answers === 0 || step.attempts === 0))
      return this.failed(step, part.code ?? 'archive-failed');
    if (part.end === 'status' && part.answers === 0 && step.attempts < 3)
      return this.failed(step, `status-${(part.status ?? 0).toString(16)}`);
    // slow: first it gets more time where dividing is of no use
    return this.divide(step, part, result, known, askedAt);
  }

  private async divide(
    step: StepRow,
    part: AnswerPart,
    result: ArchiveTaskResult,
    known: Map<string, string>,
    askedAt: Date,
  ): Promise<void> {
    const { repository, logger } = this.parts;
    const scopes = splitScope(step.scope, part.items, toDay(Date.now()));
    await this.shorter(step, part);
    if (scopes) {
      await repository.guarded(this.lease, async (client) => {
        for (const scope of scopes)
          await repository.addStep(client, {
            archive: step.archive,
            run: step.run,
            kind: 'studies',
            scope,
            rewrite: step.rewrite,
            asked: step.asked,
          });
        await repository.end(client, step, 'split', part.answers);
      });
      return;
    }
    if (part.end === 'deadline' && step.attempts === 0) return this.failed(step, 'slow');
    // never silently taken for all: what came is kept, the run says that it is not complete
    logger.warn('part of an archive cannot be listed', { archive: step.archive, count: part.answers });
    await this.keep(step, result, part.items, known, askedAt, part.answers, part.code ?? part.end);
  }

  private async keep(
    step: StepRow,
    result: ArchiveTaskResult,
    items: readonly AnswerItem[],
    known: Map<string, string>,
    askedAt: Date,
    answers: number,
    stuck?: string,
  ): Promise<void> {
    const { repository, apply } = this.parts;
    await repository.guarded(this.lease, async (client) => {
      const changes = await apply.studies(client, step, items, known, askedAt);
      if (step.run !== null) await repository.report(client, step.run, changes);
      if (stuck !== undefined) {
        await repository.end(client, step, 'stuck', answers, stuck);
        await client.query('UPDATE harvest_study SET step = NULL WHERE archive = $1 AND step = $2', [
          step.archive,
          step.id,
        ]);
        return;
      }
      await repository.read(client, step, result.packs, answers);
      if (step.run !== null && step.scope.to !== undefined)
        await client.query(
          'UPDATE harvest_run SET step_days = $2 WHERE id = $1 AND step_days = $3',
          await this.days(step, answers),
        );
    });
  }

  /** The next windows' length from what this one brought. */
  private async days(step: StepRow, answers: number): Promise<[string, number, number]> {
    const runs = await this.parts.repository.openRuns(step.archive);
    const days = runs.find((run) => run.id === step.run)?.step_days ?? 7;
    const { cap } = await this.parts.repository.status(step.archive);
    const wanted = cap === null ? WANTED : Math.max(1, Math.min(WANTED, Math.floor(cap / 2)));
    return [step.run as string, nextDays(days, answers, wanted), days];
  }

  private async shorter(step: StepRow, part: AnswerPart): Promise<void> {
    const slow = part.end === 'deadline' ? 8 : 2;
    await this.parts.repository.query('UPDATE harvest_run SET step_days = greatest(1, step_days / $2) WHERE id = $1', [
      step.run,
      slow,
    ]);
  }

  private async noteMost(part: AnswerPart): Promise<void> {
    if (part.end !== 'complete') return;
    await this.parts.repository.query('UPDATE archive_status SET max_seen = greatest(max_seen, $2) WHERE name = $1', [
      this.archive.name,
      part.answers,
    ]);
  }

  /** Removed: its sources vanish, step by step; nothing that is held is touched. */
  private async drain(): Promise<void> {
    const { repository } = this.parts;
    const { name, site } = this.archive;
    await Promise.allSettled(this.running.values());
    // what is on its way would be present again after it had vanished
    const end = Date.now() + 60_000;
    while (!this.signal.aborted && Date.now() < end) {
      if ((await repository.settle(this.lease, name)).waiting === 0) break;
      await this.pause(500);
    }
    for (let more = true; more && !this.signal.aborted;) {
      more = await repository.guarded(this.lease, async (client) => {
        const { rows } = await client.query<{ uid: string }>(
          'DELETE FROM harvest_study WHERE ctid IN (SELECT ctid FROM harvest_study WHERE archive = $1 LIMIT 1000) RETURNING study_uid AS uid',
          [name],
        );
        const { rows: now } = await client.query<{ now: Date }>('SELECT clock_timestamp() AS now');
        const uids = rows.map((row) => row.uid);
        await repository.vanished(client, { archive: name, site, asOf: now[0]!.now }, 'STUDY', uids);
        return uids.length > 0;
      });
    }
    if (this.signal.aborted) return;
    await repository.guarded(this.lease, async (client) => {
      await client.query('DELETE FROM harvest_step WHERE archive = $1', [name]);
      await client.query(`DELETE FROM harvest_run WHERE archive = $1 AND purpose <> 'audit'`, [name]);
      await client.query(
        'UPDATE harvest_run SET finished_at = clock_timestamp() WHERE archive = $1 AND finished_at IS NULL',
        [name],
      );
      await client.query(
        `UPDATE archive_status SET as_of = NULL, complete_to = 'none', studies = 0, waiting = '{}', unlistable = 0, left_out = '{}',
                cap = NULL, proven = 0, max_seen = 0, cap_checked_at = NULL, wanted = '{}', reachable = NULL WHERE name = $1`,
        [name],
      );
    });
  }
}

import { Injectable } from '@nestjs/common';
import type { AnswerPart, ArchiveStatusV1, ArchiveV1, DriftReportV1, HarvestDepth } from '@archipelago/contracts';
import type { HeldLease } from '@archipelago/platform-bus';
import { archiveOf, type ArchiveRow } from '../registry/registry.repository';
import { TagReplicationMetrics } from '../tag-replication.metrics';
import { HarvestRepository } from './harvest.repository';
import { reachableDepth } from './planner.service';

const DEPTHS: HarvestDepth[] = ['none', 'study', 'series', 'image', 'full'];

/** How far each archive is: `archive_status`, the metrics, and what the command line shows. */
@Injectable()
export class StatusService {
  private readonly left = new Map<string, Record<string, number>>();

  constructor(
    private readonly repository: HarvestRepository,
    private readonly metrics: TagReplicationMetrics,
  ) {}

  /** Answers that were left out, written with the next update. */
  leftOut(archive: string, parts: readonly AnswerPart[]): void {
    const sums = this.left.get(archive) ?? {};
    this.left.set(archive, sums);
    for (const part of parts) {
      for (const [reason, n] of Object.entries(part.leftOut)) {
        // those were asked for apart
        if (reason !== 'dated' && reason !== 'undated') sums[reason] = (sums[reason] ?? 0) + n;
      }
    }
  }

  async update(lease: HeldLease, archive: ArchiveV1): Promise<void> {
    const { name } = archive;
    const depth = reachableDepth(archive);
    const left = this.left.get(name) ?? {};
    this.left.delete(name);
    await this.repository.guarded(lease, async (client) => {
      const { rows } = await client.query<{ level: number; n: string; old: Date | null }>(
        `SELECT level, count(*) AS n, min(seen_at) AS old FROM harvest_study WHERE archive = $1 GROUP BY level`,
        [name],
      );
      const studies = rows.reduce((sum, row) => sum + Number(row.n), 0);
      const waiting: Record<string, number> = {};
      for (let level = 2; level <= DEPTHS.indexOf(depth); level++) {
        const n = rows.filter((row) => row.level < level).reduce((sum, row) => sum + Number(row.n), 0);
        if (n > 0) waiting[DEPTHS[level] as string] = n;
      }
      const least = rows.length === 0 ? DEPTHS.indexOf(depth) : Math.min(...rows.map((row) => row.level));
      const { rows: steps } = await client.query<{
        as_of: Date | null;
        unlistable: number;
        reachable: boolean | null;
        left_out: Record<string, number>;
      }>('SELECT as_of, unlistable, reachable, left_out FROM archive_status WHERE name = $1 FOR UPDATE', [name]);
      const now = steps[0];
      const complete = now?.as_of ? DEPTHS[Math.min(least, DEPTHS.indexOf(depth))] : 'none';
      const sums = { ...now?.left_out };
      for (const [reason, n] of Object.entries(left)) sums[reason] = (sums[reason] ?? 0) + n;
      await client.query(
        `UPDATE archive_status SET studies = $2, waiting = $3, complete_to = $4, left_out = $5, updated_at = clock_timestamp()
          WHERE name = $1`,
        [name, studies, JSON.stringify(waiting), complete, JSON.stringify(sums)],
      );
      this.metrics.archive(name, {
        asOf: now?.as_of ?? null,
        reachable: now?.reachable ?? null,
        studies,
        waiting,
        unlistable: now?.unlistable ?? 0,
      });
    });
  }

  async list(name?: string): Promise<ArchiveStatusV1[]> {
    const { rows } = await this.repository.query<ArchiveRow & StatusColumns>(
      `SELECT a.*, s.reachable, s.as_of, s.complete_to, s.last_error, s.last_error_at, s.studies, s.waiting, s.unlistable, s.left_out,
              s.cap
         FROM archive a JOIN archive_status s USING (name)
        WHERE ($1::text IS NULL AND a.state <> 'removed') OR a.name = $1 ORDER BY a.position, a.name`,
      [name ?? null],
    );
    return rows.map((row) => ({
      archive: archiveOf(row),
      reachable: row.reachable ?? undefined,
      asOf: row.as_of?.toISOString(),
      completeTo: row.complete_to,
      lastError: row.last_error === null ? undefined : { code: row.last_error, at: row.last_error_at!.toISOString() },
      studies: Number(row.studies),
      waiting: row.waiting,
      unlistable: row.unlistable,
      leftOut: row.left_out,
      cap: row.cap ?? undefined,
    }));
  }

  async drift(archive: string | undefined, limit: number): Promise<DriftReportV1[]> {
    const { rows } = await this.repository.query<DriftRow>(
      `SELECT * FROM harvest_run WHERE purpose = 'audit' AND ($1::text IS NULL OR archive = $1) ORDER BY id DESC LIMIT $2`,
      [archive ?? null, limit],
    );
    return rows.map((row) => ({
      id: row.id,
      archive: row.archive,
      full: row.full_audit,
      startedAt: row.started_at.toISOString(),
      finishedAt: row.finished_at?.toISOString(),
      compared: row.compared,
      appeared: row.appeared,
      changed: row.changed,
      vanished: row.vanished,
      failed: row.failed,
      examples: row.examples,
    }));
  }
}

interface StatusColumns {
  reachable: boolean | null;
  as_of: Date | null;
  complete_to: HarvestDepth;
  last_error: string | null;
  last_error_at: Date | null;
  studies: string;
  waiting: Record<string, number>;
  unlistable: number;
  left_out: Record<string, number>;
  cap: number | null;
}

interface DriftRow extends Omit<DriftReportV1, 'startedAt' | 'finishedAt' | 'full'> {
  full_audit: boolean;
  started_at: Date;
  finished_at: Date | null;
}

import { Injectable } from '@nestjs/common';
import type { AnswerItem, AnswerPart, ArchiveV1 } from '@archipelago/contracts';
import type { SqlClient } from '@archipelago/platform-storage';
import { HarvestRepository } from './harvest.repository';
import type { Changes, StepRow, StudyRow } from './rows';

/** What a step's answers are compared with and leave behind; all within the transaction that ends the step. */
@Injectable()
export class ApplyService {
  constructor(private readonly repository: HarvestRepository) {}

  /** Studies: a new or changed one is read again at every deeper level. */
  async studies(
    client: SqlClient,
    step: StepRow,
    items: readonly AnswerItem[],
    known: ReadonlyMap<string, string>,
    askedAt: Date,
  ): Promise<Changes> {
    const uids = items.map((item) => item.uid);
    const { rows } = await client.query<Pick<StudyRow, 'study_uid' | 'digest'>>(
      'SELECT study_uid, digest FROM harvest_study WHERE archive = $1 AND study_uid = ANY ($2::text[]) FOR UPDATE',
      [step.archive, uids],
    );
    const before = new Map(rows.map((row) => [row.study_uid, row.digest]));
    // what the edge left unwritten because it was known is not in this step's packs
    const written = items.map((item) => known.get(item.uid) !== item.digest);
    await client.query(
      `INSERT INTO harvest_study (archive, study_uid, study_date, digest, instances, seen_at, step, asked)
       SELECT $1, n.uid, n.date, n.digest, n.instances, $7, CASE WHEN n.written THEN $8::bigint END, $9
         FROM unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::boolean[]) AS n (uid, date, digest, instances, written)
       ON CONFLICT (archive, study_uid) DO UPDATE SET
         study_date = excluded.study_date, digest = excluded.digest, instances = excluded.instances,
         seen_at = excluded.seen_at, asked = excluded.asked OR harvest_study.asked, step = coalesce(excluded.step, harvest_study.step),
         level = CASE WHEN harvest_study.digest = excluded.digest THEN harvest_study.level ELSE 1 END,
         failures = CASE WHEN harvest_study.digest = excluded.digest THEN harvest_study.failures ELSE 0 END,
         next_try = CASE WHEN harvest_study.digest = excluded.digest THEN harvest_study.next_try ELSE clock_timestamp() END`,
      [
        step.archive,
        uids,
        items.map((item) => item.date ?? null),
        items.map((item) => item.digest),
        items.map((item) => item.instances ?? null),
        written,
        askedAt,
        step.id,
        step.asked,
      ],
    );
    return {
      level: 'study',
      compared: items.length,
      appeared: uids.filter((uid) => !before.has(uid)),
      changed: items.filter((item) => (before.get(item.uid) ?? item.digest) !== item.digest).map((item) => item.uid),
      vanished: [],
    };
  }

  /** Series of whole studies. */
  async series(
    client: SqlClient,
    step: StepRow,
    archive: ArchiveV1,
    parts: readonly AnswerPart[],
    askedAt: Date,
  ): Promise<Changes> {
    const changes: Changes = { level: 'series', compared: 0, appeared: [], changed: [], vanished: [] };
    const studies = await this.lock(client, step, parts);
    for (const part of parts) {
      const row = studies.get(part.study ?? '');
      if (!row) continue;
      if (!isWhole(part)) {
        await this.failed(client, step, part);
        continue;
      }
      const now = part.items.map((item): [string, string, number | null] => [
        item.uid,
        item.digest,
        item.instances ?? null,
      ]);
      const found = compare(
        row.series?.map(([uid, digest]) => [uid, digest]) ?? null,
        now.map(([uid, digest]) => [uid, digest]),
      );
      add(changes, found, now.length);
      if (found.vanished.length > 0)
        await client.query(
          'DELETE FROM harvest_series WHERE archive = $1 AND study_uid = $2 AND series_uid = ANY ($3::text[])',
          [step.archive, row.study_uid, found.vanished],
        );
      const same = row.series !== null && found.appeared.length + found.changed.length + found.vanished.length === 0;
      await this.raise(client, step, row, same ? Math.max(2, row.level) : 2, { series: JSON.stringify(now) });
    }
    await this.repository.vanished(
      client,
      { archive: archive.name, site: archive.site, asOf: askedAt },
      'SERIES',
      changes.vanished,
    );
    return changes;
  }

  /** Images of whole studies. */
  async images(
    client: SqlClient,
    step: StepRow,
    archive: ArchiveV1,
    parts: readonly AnswerPart[],
    askedAt: Date,
  ): Promise<Changes> {
    const changes: Changes = { level: 'image', compared: 0, appeared: [], changed: [], vanished: [] };
    const studies = await this.lock(client, step, parts);
    for (const part of parts) {
      const row = studies.get(part.study ?? '');
      if (!row) continue;
      if (!isWhole(part)) {
        await this.failed(client, step, part);
        continue;
      }
      const { rows: known } = await client.query<{ series_uid: string; images: [string, string][] }>(
        'SELECT series_uid, images FROM harvest_series WHERE archive = $1 AND study_uid = $2',
        [step.archive, row.study_uid],
      );
      const before = row.level >= 3 || known.length > 0 ? known.flatMap((each) => each.images) : null;
      const found = compare(
        before,
        part.items.map((item) => [item.uid, item.digest]),
      );
      add(changes, found, part.items.length);
      await this.keepImages(client, step, row.study_uid, part.items);
      const same = before !== null && found.appeared.length + found.changed.length + found.vanished.length === 0;
      const classes = [...new Set(part.items.flatMap((item) => (item.sopClass === undefined ? [] : [item.sopClass])))];
      await this.raise(client, step, row, same ? Math.max(3, row.level) : 3, { sop_classes: classes });
    }
    await this.repository.vanished(
      client,
      { archive: archive.name, site: archive.site, asOf: askedAt },
      'IMAGE',
      changes.vanished,
    );
    return changes;
  }

  /** Whole headers: a study is read when all the images that are known of it came. */
  async full(client: SqlClient, step: StepRow, parts: readonly AnswerPart[]): Promise<void> {
    const studies = await this.lock(client, step, parts);
    for (const part of parts) {
      const row = studies.get(part.study ?? '');
      if (!row) continue;
      const { rows } = await client.query<{ uid: string }>(
        `SELECT image ->> 0 AS uid FROM harvest_series, jsonb_array_elements(images) AS image
          WHERE archive = $1 AND study_uid = $2`,
        [step.archive, row.study_uid],
      );
      const came = new Set(part.items.map((item) => item.uid));
      const missing = rows.filter(({ uid }) => !came.has(uid)).length;
      if (missing > 0 || (part.end !== 'complete' && part.end !== 'status')) {
        await this.failed(
          client,
          step,
          part.end === 'complete' ? { ...part, end: 'failed', code: 'incomplete' } : part,
        );
      } else await this.raise(client, step, row, 4, {});
    }
  }

  private async lock(client: SqlClient, step: StepRow, parts: readonly AnswerPart[]): Promise<Map<string, StudyRow>> {
    const { rows } = await client.query<StudyRow>(
      `SELECT study_uid, study_date, digest, level, series, sop_classes, instances, step, batch FROM harvest_study
        WHERE archive = $1 AND study_uid = ANY ($2::text[]) ORDER BY study_uid FOR UPDATE`,
      [step.archive, parts.flatMap((part) => (part.study === undefined ? [] : [part.study]))],
    );
    return new Map(rows.map((row) => [row.study_uid, row]));
  }

  private async raise(
    client: SqlClient,
    step: StepRow,
    row: StudyRow,
    level: number,
    more: { series?: string; sop_classes?: string[] },
  ): Promise<void> {
    // said anew while this was read: what was read may be older, and is read again
    const reached = row.step !== null && row.step !== step.id ? Math.min(level, row.level) : level;
    await client.query(
      `UPDATE harvest_study SET level = $3, step = coalesce($4::bigint, step), batch = NULL, failures = 0, last_code = NULL,
              series = coalesce($5::jsonb, series), sop_classes = coalesce($6::text[], sop_classes), seen_at = greatest(seen_at, clock_timestamp())
        WHERE archive = $1 AND study_uid = $2`,
      [step.archive, row.study_uid, reached, step.id, more.series ?? null, more.sop_classes ?? null],
    );
  }

  private async failed(client: SqlClient, step: StepRow, part: AnswerPart): Promise<void> {
    const said = part.status ? `status-${part.status.toString(16)}` : part.end;
    const code = part.code ?? (part.end === 'complete' ? 'empty' : said);
    await client.query(
      `UPDATE harvest_study SET batch = NULL, failures = failures + 1, last_code = $3,
              next_try = clock_timestamp() + make_interval(secs => least(86400, 15 * 2 ^ least(failures, 12)))
        WHERE archive = $1 AND study_uid = $2`,
      [step.archive, part.study, code],
    );
  }

  private async keepImages(
    client: SqlClient,
    step: StepRow,
    study: string,
    items: readonly AnswerItem[],
  ): Promise<void> {
    const bySeries = new Map<string, [string, string][]>();
    for (const item of items) {
      const list = bySeries.get(item.parent ?? '') ?? [];
      bySeries.set(item.parent ?? '', list);
      list.push([item.uid, item.digest]);
    }
    await client.query('DELETE FROM harvest_series WHERE archive = $1 AND study_uid = $2', [step.archive, study]);
    await client.query(
      `INSERT INTO harvest_series (archive, study_uid, series_uid, images)
       SELECT $1, $2, n.uid, n.images::jsonb FROM unnest($3::text[], $4::text[]) AS n (uid, images)`,
      [step.archive, study, [...bySeries.keys()], [...bySeries.values()].map((images) => JSON.stringify(images))],
    );
  }
}

/**
 * A study may be taken for what was answered of it. Nothing at all is no study: it may have vanished, which a query for
 * itself decides (end of a run), not the absence of what is below it.
 */
function isWhole(part: AnswerPart): boolean {
  return part.end === 'complete' && part.items.length > 0;
}

/** `before` null: read for the first time, nothing is news. */
export function compare(
  before: readonly (readonly [string, string])[] | null,
  now: readonly (readonly [string, string])[],
): { appeared: string[]; changed: string[]; vanished: string[] } {
  if (before === null) return { appeared: [], changed: [], vanished: [] };
  const old = new Map(before);
  const fresh = new Map(now);
  return {
    appeared: [...fresh.keys()].filter((uid) => !old.has(uid)),
    changed: [...fresh].filter(([uid, digest]) => (old.get(uid) ?? digest) !== digest).map(([uid]) => uid),
    vanished: [...old.keys()].filter((uid) => !fresh.has(uid)),
  };
}

function add(changes: Changes, found: ReturnType<typeof compare>, compared: number): void {
  changes.compared += compared;
  changes.appeared.push(...found.appeared);
  changes.changed.push(...found.changed);
  changes.vanished.push(...found.vanished);
}

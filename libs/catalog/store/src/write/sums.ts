import type { SqlClient } from '@archipelago/platform-storage';
import { shown } from '../shown';
import { seriesKey } from './batch';
import type { Locked } from './levels';
import type { Verdict } from './instances';

interface Gain {
  instances: number;
  bytes: number;
  classes: Set<string>;
}

function gains(locked: Locked, verdicts: readonly Verdict[]): Map<string, Gain> {
  const bySeries = new Map<string, Gain>();
  for (const { one, outcome } of verdicts) {
    const series = locked.series.get(seriesKey(one) ?? '')?.id;
    if (outcome !== 'answer' || series === undefined) continue;
    const gain = bySeries.get(series) ?? { instances: 0, bytes: 0, classes: new Set<string>() };
    gain.instances += 1;
    gain.bytes += one.entry.datasetLength;
    gain.classes.add(one.entry.sopClassUid);
    bySeries.set(series, gain);
  }
  return bySeries;
}

/** Sums of series add only what the INSERT returned; where an answer was replaced they are counted anew. */
const ADD_TO_SERIES = `
  UPDATE series t SET instances = t.instances + k.instances, bytes = t.bytes + k.bytes, revision = t.revision + 1, changed_at = now(),
    sop_classes = CASE WHEN t.sop_classes @> k.classes THEN t.sop_classes
                  ELSE ARRAY(SELECT DISTINCT c COLLATE "C" FROM unnest(t.sop_classes || k.classes) c ORDER BY 1) END
  FROM (SELECT u.id, u.instances, u.bytes, string_to_array(u.classes, '\\') AS classes
        FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::text[]) u(id, instances, bytes, classes)) k
  WHERE t.id = k.id RETURNING t.study::text`;

/** Of the union of what is known, and at least what an archive claims that was asked no deeper. */
export const COUNT_SERIES = `
  SELECT x.id, greatest(count(i.is_answer), (x.said ->> 'instances')::int)::int AS instances, coalesce(sum(i.bytes), 0)::bigint AS bytes,
         coalesce(array_agg(DISTINCT i.sop_class_uid ORDER BY i.sop_class_uid) FILTER (WHERE i.is_answer), '{}') AS classes
  FROM series x LEFT JOIN instance i ON i.series = x.id AND i.is_answer WHERE x.id = ANY($1) GROUP BY x.id`;

const RECOUNT_SERIES = `
  UPDATE series t SET instances = k.instances, bytes = k.bytes, sop_classes = k.classes, revision = t.revision + 1, changed_at = now()
  FROM (${COUNT_SERIES}) k WHERE t.id = k.id RETURNING t.study::text`;

/** A study's sums follow from its series rows, all of which its lock protects. */
export const SUM_STUDIES = `
  SELECT s.id, greatest(count(x.id), (s.said ->> 'series')::int)::int AS series,
    greatest(coalesce(sum(x.instances), 0), (s.said ->> 'instances')::int)::int AS instances, coalesce(sum(x.bytes), 0)::bigint AS bytes,
    ARRAY(SELECT y.modality FROM series y WHERE y.study = s.id AND ${shown('y')} AND y.modality <> ''
          UNION SELECT m COLLATE "C" FROM jsonb_array_elements_text(s.said -> 'modalities') m ORDER BY 1) AS modalities,
    ARRAY(SELECT c COLLATE "C" FROM series y, unnest(y.sop_classes) c WHERE y.study = s.id AND ${shown('y')}
          UNION SELECT c COLLATE "C" FROM jsonb_array_elements_text(s.said -> 'classes') c ORDER BY 1) AS classes
  FROM study s LEFT JOIN series x ON x.study = s.id AND ${shown('x')} WHERE s.id = ANY($1) GROUP BY s.id`;

export const UPDATE_STUDIES = `
  UPDATE study t SET series = k.series, instances = k.instances, bytes = k.bytes, modalities = k.modalities, sop_classes = k.classes,
    revision = t.revision + 1, changed_at = now(), changed_xid = pg_current_xact_id()
  FROM (${SUM_STUDIES}) k WHERE t.id = k.id
  RETURNING t.id::text, t.patient::text, t.series, t.instances, ${shown('t')} AS shown, t.revision::int`;

const ADD_TO_PATIENTS = `
  UPDATE patient t SET studies = t.studies + k.studies, series = t.series + k.series, instances = t.instances + k.instances
  FROM unnest($1::bigint[], $2::int[], $3::int[], $4::int[]) k(id, studies, series, instances) WHERE t.id = k.id`;

export interface UpdatedStudy {
  id: string;
  patient: string;
  series: number;
  instances: number;
  shown: boolean;
  revision: number;
}

export interface StudyBefore {
  id: string;
  series: number;
  instances: number;
  shown: boolean;
}

async function updateSeriesSums(client: SqlClient, locked: Locked, verdicts: readonly Verdict[]): Promise<string[]> {
  const bySeries = gains(locked, verdicts);
  const recount = new Set<string>();
  for (const { one, outcome, replaced, arrived } of verdicts) {
    const before = replaced ?? arrived;
    const series = locked.series.get(seriesKey(one) ?? '');
    if (before?.series) recount.add(before.series);
    if (series && (before || (outcome === 'answer' && series.said !== null))) recount.add(series.id);
  }
  const added = [...bySeries].filter(([id]) => !recount.has(id)).sort(([a], [b]) => Number(a) - Number(b));
  const studies: string[] = [];
  if (added.length > 0) {
    const { rows } = await client.query<{ study: string }>(ADD_TO_SERIES, [
      added.map(([id]) => id),
      added.map(([, gain]) => gain.instances),
      added.map(([, gain]) => gain.bytes),
      added.map(([, gain]) => [...gain.classes].sort().join('\\')),
    ]);
    studies.push(...rows.map((row) => row.study));
  }
  if (recount.size > 0) {
    const { rows } = await client.query<{ study: string }>(RECOUNT_SERIES, [[...recount]]);
    studies.push(...rows.map((row) => row.study));
  }
  return [...new Set(studies)];
}

/** Adds to the patients what their studies gained; returns the patients whose sums changed. */
async function updatePatientSums(
  client: SqlClient,
  before: Map<string, StudyBefore>,
  after: UpdatedStudy[],
): Promise<string[]> {
  const deltas = new Map<string, { studies: number; series: number; instances: number }>();
  for (const study of after) {
    const old = before.get(study.id) ?? { series: 0, instances: 0, shown: false };
    const delta = deltas.get(study.patient) ?? { studies: 0, series: 0, instances: 0 };
    delta.studies += Number(study.shown) - Number(old.shown);
    delta.series += study.series - old.series;
    delta.instances += study.instances - old.instances;
    deltas.set(study.patient, delta);
  }
  const changed = [...deltas].filter(([, d]) => d.studies !== 0 || d.series !== 0 || d.instances !== 0);
  if (changed.length === 0) return [];
  await client.query(ADD_TO_PATIENTS, [
    changed.map(([id]) => id),
    changed.map(([, d]) => d.studies),
    changed.map(([, d]) => d.series),
    changed.map(([, d]) => d.instances),
  ]);
  return changed.map(([id]) => id);
}

const READ_STUDIES = `SELECT id::text, series, instances, ${shown('study')} AS shown FROM study WHERE id = ANY($1) ORDER BY id FOR UPDATE`;

/** Counts these series anew, then studies and patients; what archives claim of them was `before` as given. */
export async function recountSums(
  client: SqlClient,
  series: readonly string[],
  before: readonly StudyBefore[],
): Promise<UpdatedStudy[]> {
  if (series.length > 0) await client.query(RECOUNT_SERIES, [series]);
  if (before.length === 0) return [];
  const { rows: after } = await client.query<UpdatedStudy>(UPDATE_STUDIES, [before.map((row) => row.id)]);
  await updatePatientSums(client, new Map(before.map((row) => [row.id, row])), after);
  return after;
}

/** Brings the sums of series, studies and patients up to date; returns the studies that changed, with their new revision. */
export async function updateSums(
  client: SqlClient,
  locked: Locked,
  verdicts: readonly Verdict[],
): Promise<UpdatedStudy[]> {
  return sumStudies(client, await updateSeriesSums(client, locked, verdicts));
}

/** Counts these series anew, and with them their studies and patients; returns the studies, with their new revision. */
export async function recountSeries(client: SqlClient, series: readonly string[]): Promise<UpdatedStudy[]> {
  if (series.length === 0) return [];
  const { rows } = await client.query<{ study: string }>(RECOUNT_SERIES, [series]);
  return sumStudies(client, [...new Set(rows.map((row) => row.study))]);
}

async function sumStudies(client: SqlClient, studies: readonly string[]): Promise<UpdatedStudy[]> {
  if (studies.length === 0) return [];
  const { rows: before } = await client.query<StudyBefore>(READ_STUDIES, [studies]);
  const { rows: after } = await client.query<UpdatedStudy>(UPDATE_STUDIES, [studies]);
  await updatePatientSums(client, new Map(before.map((row) => [row.id, row])), after);
  return after;
}

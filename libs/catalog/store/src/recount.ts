import type { SqlClient } from '@archipelago/platform-storage';
import { shown } from './shown';
import { COUNT_SERIES, SUM_STUDIES } from './write/sums';

/** Where a stored sum differs from what counting the instances gives. */
export interface WrongSum {
  level: 'series' | 'study' | 'patient';
  id: string;
  stored: Record<string, unknown>;
  counted: Record<string, unknown>;
}

const SERIES = `
  SELECT t.id::text, to_jsonb(ARRAY[t.instances::text, t.bytes::text, t.sop_classes::text]) AS stored,
         to_jsonb(ARRAY[k.instances::text, k.bytes::text, k.classes::text]) AS counted
  FROM series t JOIN (${COUNT_SERIES}) k ON k.id = t.id
  WHERE (t.instances, t.bytes, t.sop_classes) IS DISTINCT FROM (k.instances, k.bytes, k.classes)`;
const STUDY = `
  SELECT t.id::text, to_jsonb(ARRAY[t.series::text, t.instances::text, t.bytes::text, t.modalities::text, t.sop_classes::text]) AS stored,
         to_jsonb(ARRAY[k.series::text, k.instances::text, k.bytes::text, k.modalities::text, k.classes::text]) AS counted
  FROM study t JOIN (${SUM_STUDIES}) k ON k.id = t.id
  WHERE (t.series, t.instances, t.bytes, t.modalities, t.sop_classes) IS DISTINCT FROM (k.series, k.instances, k.bytes, k.modalities, k.classes)`;
const PATIENT = `
  SELECT t.id::text, to_jsonb(ARRAY[t.studies, t.series, t.instances]) AS stored,
         to_jsonb(ARRAY[k.studies, k.series, k.instances]) AS counted
  FROM patient t JOIN (
    SELECT p.id, count(s.id)::int AS studies, coalesce(sum(s.series), 0)::int AS series, coalesce(sum(s.instances), 0)::int AS instances
    FROM patient p LEFT JOIN study s ON s.patient = p.id AND ${shown('s')} WHERE p.id = ANY($1) GROUP BY p.id) k ON k.id = t.id
  WHERE (t.studies, t.series, t.instances) IS DISTINCT FROM (k.studies, k.series, k.instances)`;

/** Counts a study anew, with its series and its patient (all studies when no id is given): empty when all sums are right. */
export async function recount(client: SqlClient, studyId?: string): Promise<WrongSum[]> {
  const { rows } = await client.query<{ study: string; patient: string }>(
    `SELECT id::text AS study, patient::text FROM study WHERE ($1::bigint IS NULL OR id = $1) AND NOT is_group`,
    [studyId ?? null],
  );
  const studies = rows.map((row) => row.study);
  const patients = [...new Set(rows.map((row) => row.patient))];
  const { rows: series } = await client.query<{ id: string }>('SELECT id::text FROM series WHERE study = ANY($1)', [
    studies,
  ]);
  const wrong: WrongSum[] = [];
  const check = async (level: WrongSum['level'], sql: string, ids: string[]): Promise<void> => {
    const found = await client.query<Omit<WrongSum, 'level'>>(sql, [ids]);
    wrong.push(...found.rows.map((row) => ({ level, ...row })));
  };
  await check(
    'series',
    SERIES,
    series.map((row) => row.id),
  );
  await check('study', STUDY, studies);
  await check('patient', PATIENT, patients);
  return wrong;
}

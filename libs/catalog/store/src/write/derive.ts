/** Brings what archives answered into the presentation: derived anew from the source rows, written where it differs. */
import {
  DEFAULT_ATTRIBUTES,
  DEFAULT_IDENTITY_RULES,
  localIdentity,
  type AttributeSet,
} from '@archipelago/catalog-model';
import type { KeptAttributes, LocalIdentity } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import { keyBelow, keyOfPatient, sortByKey, type LevelKeys } from './batch';
import { flagAnswerDifferences } from './derive-differences';
import { placeAnswered } from './derive-instances';
import { byWinner, fillAll, planAnswers, type Plan, type PlanRules } from './derive-plan';
import { readAnswers, readPatientAnswers } from './derive-read';
import { layeredRow, layersOf, sameKept } from './layers';
import { lockLevels, touchedPatients, type Locked, type LockedRow } from './levels';
import { updateLayers, type ChangedRow } from './merge';
import { regroupLocked } from './regroup';
import { ranksOf, readSources, type DeriveOptions } from './ranks';
import { recountSums, type UpdatedStudy } from './sums';

export interface Derived {
  /** Studies that changed. */
  studies: UpdatedStudy[];
  /** Ids of patients that are new, or whose attributes or studies changed. */
  patients: string[];
  differences: number;
}

async function rulesOf(client: SqlClient, options: DeriveOptions): Promise<PlanRules & { names: Map<number, string> }> {
  const { rows } = await readSources(client);
  const ranks = ranksOf(rows, options);
  const identity = options.identity ?? DEFAULT_IDENTITY_RULES;
  return {
    names: new Map(rows.map(({ id, name }) => [id, name])),
    rank: (source) => ranks.get(source) ?? ranks.size,
    identity: (patientId, issuer, uid) => localIdentity(issuer, patientId, uid, identity),
  };
}

interface KnownRow extends LocalIdentity {
  uid: string;
  series: string | null;
}

/** Rows of these studies, and of their series, that archives have a part in now. */
async function readKnownRows(client: SqlClient, studyUids: readonly string[]): Promise<KnownRow[]> {
  const { rows } = await client.query<KnownRow>(
    `SELECT s.study_instance_uid AS uid, p.patient_id AS "patientId", p.issuer, p.scope, x.series_instance_uid AS series
     FROM study s JOIN patient p ON p.id = s.patient
     LEFT JOIN series x ON x.study = s.id AND (x.said IS NOT NULL OR x.basis <> 'held')
     WHERE s.study_instance_uid = ANY($1) AND NOT s.is_group AND (s.said IS NOT NULL OR s.basis <> 'held')`,
    [studyUids],
  );
  return rows;
}

/** The planned rows and those that were there: all are locked, for what is not planned any more must go. */
function keysOf(plan: Plan, known: readonly KnownRow[]): LevelKeys {
  const keys: LevelKeys = {
    patients: new Map([...plan.patients].map(([key, { identity }]) => [key, identity])),
    studies: new Map([...plan.studies].map(([key, { uid, above }]) => [key, { uid, above }])),
    series: new Map([...plan.series].map(([key, { uid, above }]) => [key, { uid, above }])),
  };
  for (const { uid, series, patientId, issuer, scope } of known) {
    const patient = keyOfPatient({ patientId, issuer, scope });
    const study = keyBelow(uid, patient);
    if (!keys.patients.has(patient)) keys.patients.set(patient, { patientId, issuer, scope });
    if (!keys.studies.has(study)) keys.studies.set(study, { uid, above: patient });
    if (series !== null && !keys.series.has(keyBelow(series, study)))
      keys.series.set(keyBelow(series, study), { uid: series, above: study });
  }
  return { patients: sortByKey(keys.patients), studies: sortByKey(keys.studies), series: sortByKey(keys.series) };
}

/** Rows whose archives' layer is another one now. */
function changedLayers(
  locked: ReadonlyMap<string, LockedRow>,
  layer: (key: string) => KeptAttributes | null,
): ChangedRow[] {
  return [...locked].flatMap(([key, row]): ChangedRow[] => {
    const { held, archive } = layersOf(row);
    const now = layer(key);
    return sameKept(now, archive) ? [] : [[row.id, layeredRow({ held, archive: now })]];
  });
}

async function patientLayers(
  client: SqlClient,
  keys: LevelKeys,
  rules: PlanRules,
  attributes: AttributeSet,
): Promise<Map<string, KeptAttributes>> {
  const ofPatient = new Set(attributes.ofLevel('PATIENT').map((one) => one.key));
  const patients = [...keys.patients];
  const rows = await readPatientAnswers(
    client,
    patients.map(([, identity]) => identity),
  );
  const layers = new Map<string, KeptAttributes>();
  const byPatient = new Map<number, typeof rows>();
  for (const row of rows) byPatient.set(row.n, [...(byPatient.get(row.n) ?? []), row]);
  for (const [n, answers] of byPatient) {
    const filled = fillAll(answers.sort(byWinner(rules)));
    const kept = Object.fromEntries(Object.entries(filled).filter(([key]) => ofPatient.has(key)));
    layers.set(patients[n - 1]?.[0] as string, kept);
  }
  return layers;
}

interface SaidRow {
  id: string;
  said: object | null;
}

async function updateSaid(client: SqlClient, table: 'study' | 'series', rows: SaidRow[]): Promise<void> {
  if (rows.length === 0) return;
  await client.query(
    `UPDATE ${table} t SET said = k.said::jsonb FROM unnest($1::bigint[], $2::text[]) k(id, said) WHERE t.id = k.id`,
    [rows.map((row) => row.id), rows.map((row) => (row.said === null ? null : JSON.stringify(row.said)))],
  );
}

/** What archives claim by now, by id of the row. */
function saidOf(
  locked: ReadonlyMap<string, { id: string }>,
  planned: ReadonlyMap<string, { said: object }>,
): Map<string, object | null> {
  return new Map([...locked].map(([key, row]) => [row.id, planned.get(key)?.said ?? null]));
}

function without(rows: readonly SaidRow[], written: readonly ChangedRow[]): SaidRow[] {
  const ids = new Set(written.map(([id]) => id));
  return rows.filter((row) => !ids.has(row.id));
}

function changedSaid(
  locked: ReadonlyMap<string, { id: string; said: object | null }>,
  planned: ReadonlyMap<string, { said: object }>,
): SaidRow[] {
  return [...locked].flatMap(([key, row]) => {
    const said = planned.get(key)?.said ?? null;
    return sameKept(said, row.said) ? [] : [{ id: row.id, said }];
  });
}

async function updateLevels(
  client: SqlClient,
  locked: Locked,
  plan: Plan,
  patients: Map<string, KeptAttributes>,
): Promise<{
  patients: string[];
  studies: Set<string>;
  series: Set<string>;
}> {
  const changed = {
    patient: changedLayers(locked.patients, (key) => patients.get(key) ?? null),
    study: changedLayers(locked.studies, (key) => plan.studies.get(key)?.attributes ?? null),
    series: changedLayers(locked.series, (key) => plan.series.get(key)?.attributes ?? null),
  };
  await updateLayers(client, 'patient', changed.patient);
  const studySaid = changedSaid(locked.studies, plan.studies);
  const seriesSaid = changedSaid(locked.series, plan.series);
  await updateLayers(client, 'study', changed.study, saidOf(locked.studies, plan.studies));
  await updateLayers(client, 'series', changed.series, saidOf(locked.series, plan.series));
  // a row is written once: the indexes of a study are many
  await updateSaid(client, 'study', without(studySaid, changed.study));
  await updateSaid(client, 'series', without(seriesSaid, changed.series));
  const ids = (layers: ChangedRow[], said: SaidRow[]): Set<string> =>
    new Set([...layers.map(([id]) => id), ...said.map((row) => row.id)]);
  return {
    patients: changed.patient.map(([id]) => id),
    studies: ids(changed.study, studySaid),
    series: ids(changed.series, seriesSaid),
  };
}

/**
 * Derives what is shown of answers of archives for these studies, in the caller's transaction, which holds the locks of
 * the studies. What is held is not touched. The result is a function of the source rows and of what is held: the order in
 * which answers came does not matter, and doing it again changes nothing.
 */
export async function deriveAnswers(
  client: SqlClient,
  studyUids: readonly string[],
  options: DeriveOptions = {},
): Promise<Derived> {
  if (studyUids.length === 0) return { studies: [], patients: [], differences: 0 };
  const rules = await rulesOf(client, options);
  const answers = await readAnswers(client, studyUids);
  const plan = planAnswers(answers, rules);
  const keys = keysOf(plan, await readKnownRows(client, studyUids));
  const locked = await lockLevels(client, keys);
  const patients = await patientLayers(client, keys, rules, options.attributes ?? DEFAULT_ATTRIBUTES);
  const changed = await updateLevels(client, locked, plan, patients);
  const placed = await placeAnswered(client, locked, plan);
  const series = new Set([...changed.series, ...placed.series]);
  const below = [...keys.series].flatMap(([key, { above }]) =>
    series.has(locked.series.get(key)?.id ?? '') ? [locked.studies.get(above)?.id ?? ''] : [],
  );
  const touched = new Set([...changed.studies, ...placed.studies, ...below]);
  const studies = [...locked.studies.values()]
    .filter((row) => touched.has(row.id))
    .map((row) => ({
      id: row.id,
      series: row.series,
      instances: row.instances,
      shown: row.instances > 0 || row.said !== null,
    }));
  const updated = await recountSums(client, [...series].sort(), studies);
  const differences = await flagAnswerDifferences(client, { plan, answers, locked, names: rules.names, studyUids });
  const grouped = await regroupLocked(client, locked, options);
  return {
    studies: [...updated, ...grouped.studies],
    patients: touchedPatients(
      locked,
      changed.patients,
      studies.map((row) => row.id),
    ),
    differences,
  };
}

/** Studies of which archives have said anything. For deriving all anew. */
export async function answeredStudies(client: SqlClient, after: string, limit: number): Promise<string[]> {
  const { rows } = await client.query<{ uid: string }>(
    `SELECT uid FROM (
       SELECT DISTINCT study_instance_uid AS uid FROM source_study WHERE NOT held AND study_instance_uid > $1
       UNION SELECT DISTINCT study_instance_uid FROM source_series WHERE NOT held AND study_instance_uid > $1
       UNION SELECT DISTINCT study_instance_uid FROM source_instance WHERE NOT held AND study_instance_uid > $1) u
     ORDER BY uid COLLATE "C" LIMIT $2`,
    [after, limit],
  );
  return rows.map((row) => row.uid);
}

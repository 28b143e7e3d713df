import { withoutOverlay } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import type { SeriesSaid, StudySaid } from '../entities';
import { STUDY_LOCK_BUCKETS, studyLockBucket, type LevelKeys } from './batch';
import type { LayeredRow } from './layers';

/** A locked row, as before this batch. */
export interface LockedRow extends LayeredRow {
  id: string;
  inserted: boolean;
  /** Patients: what was known before each pack of the batch; set by mergeAttributes. */
  before: Map<number, LayeredRow & { inserted: boolean }>;
}
export interface LockedSeries extends LockedRow {
  said: SeriesSaid | null;
  instances: number;
}
export interface LockedPatient extends LockedRow {
  person: string;
  /** Row that shows the person, where it has several identities. */
  grouped: string | null;
}
export interface LockedStudy extends LockedRow {
  uid: string;
  person: string;
  linked: boolean;
  patient: string;
  said: StudySaid | null;
  series: number;
  instances: number;
  revision: number;
}
export interface Locked {
  patients: Map<string, LockedPatient>;
  studies: Map<string, LockedStudy>;
  series: Map<string, LockedSeries>;
}

/** "catalog" in ASCII hex, below 2^31: first half of the two-part key of the study locks. */
const STUDY_LOCKS = 0x63617461;

/**
 * Serialises those who write the same study, before any row is touched: so that a study of two patients is noticed
 * whoever comes first, and inserting rows never waits in a circle. Buckets in ascending order, everywhere.
 */
export async function lockStudies(client: SqlClient, studyUids: Iterable<string>): Promise<void> {
  const buckets = [...new Set([...new Set(studyUids)].map(studyLockBucket))].sort((a, b) => a - b);
  if (buckets.length > STUDY_LOCK_BUCKETS / 2) {
    await client.query('SELECT pg_advisory_xact_lock($1, b) FROM generate_series(0, $2 - 1) b', [
      STUDY_LOCKS,
      STUDY_LOCK_BUCKETS,
    ]);
    return;
  }
  await client.query('SELECT pg_advisory_xact_lock($1, b) FROM unnest($2::int[]) WITH ORDINALITY u(b, n) ORDER BY n', [
    STUDY_LOCKS,
    buckets,
  ]);
}

function need<K, V>(map: Map<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new Error('a row of the batch was not locked');
  return value;
}

type Numbered<R> = R & { n: number };

/** Columns that a locked row is made of, of the table's alias. */
const layers = (alias: string): string =>
  `${alias}.id::text, ${alias}.attributes, ${alias}.basis, ${alias}.held_attributes AS held, ${alias}.archive_attributes AS archive, ${alias}.overlay`;

async function lockPatients(client: SqlClient, keys: LevelKeys): Promise<Map<string, LockedPatient>> {
  const identities = [...keys.patients.values()];
  const values = [identities.map((i) => i.patientId), identities.map((i) => i.issuer), identities.map((i) => i.scope)];
  const { rows: inserted } = await client.query<{ id: string }>(
    `INSERT INTO patient (patient_id, issuer, scope, person)
     SELECT k.patient_id, k.issuer, k.scope, super_id(k.issuer, k.patient_id, k.scope)
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY k(patient_id, issuer, scope, n) ORDER BY k.n
     ON CONFLICT DO NOTHING RETURNING id`,
    values,
  );
  const { rows } = await client.query<Numbered<LockedPatient>>(
    `SELECT k.n::int, ${layers('p')}, p.person, p.grouped::text
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY k(patient_id, issuer, scope, n)
     JOIN patient p ON p.patient_id = k.patient_id AND p.issuer = k.issuer AND p.scope = k.scope
     ORDER BY k.n FOR UPDATE OF p`,
    values,
  );
  return byKey([...keys.patients.keys()], rows, inserted);
}

async function lockStudyRows(
  client: SqlClient,
  keys: LevelKeys,
  patients: Map<string, LockedPatient>,
): Promise<Map<string, LockedStudy>> {
  const studies = [...keys.studies.values()];
  const identities = studies.map((one) => need(keys.patients, one.above));
  const values = [
    studies.map((one) => one.uid),
    studies.map((one) => need(patients, one.above).id),
    identities.map((identity) => identity.patientId),
    identities.map((identity) => identity.issuer),
  ];
  const { rows: inserted } = await client.query<{ id: string }>(
    `INSERT INTO study (study_instance_uid, patient, patient_id, issuer, person)
     SELECT k.uid, k.patient, k.patient_id, k.issuer, p.person
     FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY k(uid, patient, patient_id, issuer, n)
     JOIN patient p ON p.id = k.patient
     ORDER BY k.n ON CONFLICT DO NOTHING RETURNING id`,
    values,
  );
  const { rows } = await client.query<Numbered<LockedStudy>>(
    `SELECT k.n::int, ${layers('s')}, s.said, s.person, s.linked, s.study_instance_uid AS uid, s.patient::text, s.series, s.instances, s.revision::int
     FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY k(uid, patient, n)
     JOIN study s ON s.study_instance_uid = k.uid AND s.patient = k.patient
     ORDER BY k.n FOR UPDATE OF s`,
    values.slice(0, 2),
  );
  return byKey([...keys.studies.keys()], rows, inserted);
}

async function lockSeriesRows(
  client: SqlClient,
  keys: LevelKeys,
  studies: Map<string, LockedStudy>,
): Promise<Map<string, LockedSeries>> {
  const series = [...keys.series.values()];
  const values = [series.map((one) => one.uid), series.map((one) => need(studies, one.above).id)];
  const { rows: inserted } = await client.query<{ id: string }>(
    `INSERT INTO series (series_instance_uid, study)
     SELECT k.uid, k.study FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY k(uid, study, n)
     ORDER BY k.n ON CONFLICT DO NOTHING RETURNING id`,
    values,
  );
  const { rows } = await client.query<Numbered<LockedSeries>>(
    `SELECT k.n::int, ${layers('x')}, x.said, x.instances
     FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY k(uid, study, n)
     JOIN series x ON x.series_instance_uid = k.uid AND x.study = k.study
     ORDER BY k.n FOR UPDATE OF x`,
    values,
  );
  return byKey([...keys.series.keys()], rows, inserted);
}

function byKey<R extends LockedRow & { n: number }>(
  keys: string[],
  rows: R[],
  inserted: { id: string }[],
): Map<string, R> {
  const fresh = new Set(inserted.map((row) => String(row.id)));
  return new Map(
    rows.map((row) => {
      // who writes layers sees what was said, not what rules make of it
      const attributes = withoutOverlay(row.attributes, row.overlay ?? null);
      const locked = { ...row, attributes, overlay: null, inserted: fresh.has(row.id), before: new Map() };
      return [keys[row.n - 1] as string, locked];
    }),
  );
}

/** Inserts what is missing and locks all rows in the order patient, study, series, each by key. */
export async function lockLevels(client: SqlClient, keys: LevelKeys): Promise<Locked> {
  if (keys.patients.size === 0) return { patients: new Map(), studies: new Map(), series: new Map() };
  const patients = await lockPatients(client, keys);
  const studies = await lockStudyRows(client, keys, patients);
  const series = await lockSeriesRows(client, keys, studies);
  return { patients, studies, series };
}

/** Ids of patients that are new, that are among the changed, or of which a study is new or among the changed. */
export function touchedPatients(
  { patients, studies }: Locked,
  changed: readonly string[],
  changedStudies: readonly string[],
): string[] {
  const ids = new Set(changed);
  const touched = new Set(changedStudies);
  for (const row of patients.values()) if (row.inserted) ids.add(row.id);
  for (const row of studies.values()) if (row.inserted || touched.has(row.id)) ids.add(row.patient);
  return [...ids].sort();
}

import type { SqlClient } from '@archipelago/platform-storage';
import type { KeptAttributes } from '@archipelago/catalog-model';
import { patientKey, studyKey, STUDY_LOCK_BUCKETS, studyLockBucket, type BatchEntry, type Keyed } from './batch';

/** A locked row; `attributes` as before this batch. */
export interface LockedRow {
  id: string;
  attributes: KeptAttributes;
  inserted: boolean;
}
export interface LockedStudy extends LockedRow {
  patient: string;
  series: number;
  instances: number;
  revision: number;
}
export interface Locked {
  patients: Map<string, LockedRow>;
  studies: Map<string, LockedStudy>;
  series: Map<string, LockedRow>;
}

/** "catalog" in ASCII hex, below 2^31: first half of the two-part key of the study locks. */
const STUDY_LOCKS = 0x63617461;

/**
 * Serialises those who write the same study, before any row is touched: so that a study of two patients is noticed
 * whoever comes first, and inserting rows never waits in a circle. Buckets in ascending order, everywhere.
 */
export async function lockStudies(client: SqlClient, entries: readonly BatchEntry[]): Promise<void> {
  const uids = new Set(entries.map((one) => one.projection.study?.studyInstanceUid ?? ''));
  const buckets = [...new Set([...uids].map(studyLockBucket))].sort((a, b) => a - b);
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

function firsts(map: Map<string, BatchEntry[]>): BatchEntry[] {
  return [...map.values()].map((list) => list[0] as BatchEntry);
}

function need<K, V>(map: Map<K, V>, key: K | null): V {
  const value = key === null ? undefined : map.get(key);
  if (value === undefined) throw new Error('a row of the batch was not locked');
  return value;
}

interface PatientRow extends LockedRow {
  n: number;
}

async function lockPatients(client: SqlClient, keyed: Keyed): Promise<Map<string, LockedRow>> {
  const identities = firsts(keyed.patients).map((one) => one.projection.patient?.identity);
  const keys = [identities.map((i) => i?.patientId), identities.map((i) => i?.issuer), identities.map((i) => i?.scope)];
  const { rows: inserted } = await client.query<{ id: string }>(
    `INSERT INTO patient (patient_id, issuer, scope)
     SELECT k.patient_id, k.issuer, k.scope
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY k(patient_id, issuer, scope, n) ORDER BY k.n
     ON CONFLICT DO NOTHING RETURNING id`,
    keys,
  );
  const { rows } = await client.query<PatientRow>(
    `SELECT k.n::int, p.id::text, p.attributes
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY k(patient_id, issuer, scope, n)
     JOIN patient p ON p.patient_id = k.patient_id AND p.issuer = k.issuer AND p.scope = k.scope
     ORDER BY k.n FOR UPDATE OF p`,
    keys,
  );
  return byKey([...keyed.patients.keys()], rows, inserted);
}

async function lockStudyRows(
  client: SqlClient,
  keyed: Keyed,
  patients: Map<string, LockedRow>,
): Promise<Map<string, LockedStudy>> {
  const entries = firsts(keyed.studies);
  const keys = [
    entries.map((one) => one.projection.study?.studyInstanceUid),
    entries.map((one) => need(patients, patientKey(one)).id),
    entries.map((one) => one.projection.patient?.identity.patientId),
    entries.map((one) => one.projection.patient?.identity.issuer),
  ];
  const { rows: inserted } = await client.query<{ id: string }>(
    `INSERT INTO study (study_instance_uid, patient, patient_id, issuer)
     SELECT k.uid, k.patient, k.patient_id, k.issuer
     FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY k(uid, patient, patient_id, issuer, n)
     ORDER BY k.n ON CONFLICT DO NOTHING RETURNING id`,
    keys,
  );
  const { rows } = await client.query<LockedStudy & { n: number }>(
    `SELECT k.n::int, s.id::text, s.patient::text, s.attributes, s.series, s.instances, s.revision::int
     FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY k(uid, patient, n)
     JOIN study s ON s.study_instance_uid = k.uid AND s.patient = k.patient
     ORDER BY k.n FOR UPDATE OF s`,
    keys.slice(0, 2),
  );
  return byKey([...keyed.studies.keys()], rows, inserted);
}

async function lockSeriesRows(
  client: SqlClient,
  keyed: Keyed,
  studies: Map<string, LockedStudy>,
): Promise<Map<string, LockedRow>> {
  const entries = firsts(keyed.series);
  const keys = [
    entries.map((one) => one.projection.series?.seriesInstanceUid),
    entries.map((one) => need(studies, studyKey(one)).id),
  ];
  const { rows: inserted } = await client.query<{ id: string }>(
    `INSERT INTO series (series_instance_uid, study)
     SELECT k.uid, k.study FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY k(uid, study, n)
     ORDER BY k.n ON CONFLICT DO NOTHING RETURNING id`,
    keys,
  );
  const { rows } = await client.query<PatientRow>(
    `SELECT k.n::int, x.id::text, x.attributes
     FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY k(uid, study, n)
     JOIN series x ON x.series_instance_uid = k.uid AND x.study = k.study
     ORDER BY k.n FOR UPDATE OF x`,
    keys,
  );
  return byKey([...keyed.series.keys()], rows, inserted);
}

function byKey<R extends LockedRow & { n: number }>(
  keys: string[],
  rows: R[],
  inserted: { id: string }[],
): Map<string, R> {
  const fresh = new Set(inserted.map((row) => String(row.id)));
  return new Map(rows.map((row) => [keys[row.n - 1] as string, { ...row, inserted: fresh.has(row.id) }]));
}

/** Inserts what is missing and locks all rows in the order patient, study, series, each by key. */
export async function lockLevels(client: SqlClient, keyed: Keyed): Promise<Locked> {
  if (keyed.patients.size === 0) return { patients: new Map(), studies: new Map(), series: new Map() };
  const patients = await lockPatients(client, keyed);
  const studies = await lockStudyRows(client, keyed, patients);
  const series = await lockSeriesRows(client, keyed, studies);
  return { patients, studies, series };
}

/** Which person local identities and studies belong to: copied from what identity-resolution decided (docs/adr/0019). */
import type { AssignmentChangedV1 } from '@archipelago/contracts';
import type { SqlClient } from '@archipelago/platform-storage';
import { applyRules } from '../rules/apply-rules';
import { lockStudies } from './levels';
import type { DeriveOptions } from './ranks';
import { regroup, type Regrouped } from './regroup';

/** Patients and studies whose person is another one than the tables say now, with both. */
const CHANGED_PATIENTS = `
  SELECT p.id::text, p.person AS before, coalesce(a.person, super_id(p.issuer, p.patient_id, p.scope)) AS after
  FROM patient p LEFT JOIN identity_assignment a ON a.patient = p.id WHERE p.id = ANY($1::bigint[]) AND NOT p.is_group`;
const CHANGED_STUDIES = `
  SELECT s.id::text, s.person AS before, coalesce(o.person, a.person, super_id(p.issuer, p.patient_id, p.scope)) AS after
  FROM study s JOIN patient p ON p.id = s.patient LEFT JOIN identity_assignment a ON a.patient = p.id
  LEFT JOIN identity_study_assignment o ON o.study = s.id
  WHERE (s.id = ANY($2::bigint[]) OR s.patient = ANY($1::bigint[])) AND NOT s.is_group`;

interface Change {
  id: string;
  before: string;
  after: string;
}

async function readChanges(
  client: SqlClient,
  { patientIds, studyIds }: Pick<AssignmentChangedV1, 'patientIds' | 'studyIds'>,
): Promise<{ patients: Change[]; studies: Change[] }> {
  const { rows: patients } = await client.query<Change>(CHANGED_PATIENTS, [patientIds]);
  const { rows: studies } = await client.query<Change>(CHANGED_STUDIES, [patientIds, studyIds]);
  const changed = (rows: Change[]): Change[] => rows.filter((row) => row.before !== row.after);
  return { patients: changed(patients), studies: changed(studies) };
}

async function lockPersons(client: SqlClient, persons: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ uid: string }>(
    'SELECT DISTINCT study_instance_uid AS uid FROM study WHERE person = ANY($1)',
    [persons],
  );
  await lockStudies(
    client,
    rows.map((row) => row.uid),
  );
  // patients before studies, each by key: as everywhere
  await client.query(
    'SELECT id FROM patient WHERE person = ANY($1) AND NOT is_group ORDER BY patient_id, issuer, scope FOR UPDATE',
    [persons],
  );
  await client.query(
    `SELECT s.id FROM study s JOIN patient p ON p.id = s.patient WHERE s.person = ANY($1) AND NOT s.is_group
     ORDER BY s.study_instance_uid, p.patient_id, p.issuer, p.scope FOR UPDATE OF s`,
    [persons],
  );
}

async function setPersons(client: SqlClient, table: 'patient' | 'study', changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return;
  await client.query(
    `UPDATE ${table} t SET person = k.person FROM unnest($1::bigint[], $2::text[]) k(id, person) WHERE t.id = k.id`,
    [changes.map((row) => row.id), changes.map((row) => row.after)],
  );
}

/**
 * Brings the assignments of these patients and studies, as they are in the tables now, into what is shown. Rows of local
 * identities are never merged: taking an assignment back gives what was before. Doing it again changes nothing.
 */
export async function applyAssignments(
  client: SqlClient,
  changed: Pick<AssignmentChangedV1, 'patientIds' | 'studyIds'>,
  options: DeriveOptions = {},
): Promise<Regrouped> {
  const persons = ({ patients, studies }: { patients: Change[]; studies: Change[] }): string[] =>
    [...new Set([...patients, ...studies].flatMap((row) => [row.before, row.after]))].sort();
  await lockPersons(client, persons(await readChanges(client, changed)));
  // again, for what somebody else did before the locks were ours
  const changes = await readChanges(client, changed);
  await setPersons(client, 'patient', changes.patients);
  await setPersons(client, 'study', changes.studies);
  const touched = { patients: changes.patients.map(({ id }) => id), studies: changes.studies.map(({ id }) => id) };
  await applyRules(client, touched, options);
  return regroup(client, { persons: persons(changes), changedStudies: changes.studies.map((row) => row.id) }, options);
}

/** All persons that an assignment made, for grouping anew after a rebuild. */
export async function assignedPersons(client: SqlClient): Promise<string[]> {
  const { rows } = await client.query<{ person: string }>(
    'SELECT person FROM identity_assignment UNION SELECT person FROM identity_study_assignment ORDER BY 1',
  );
  const { rows: own } = await client.query<{ person: string }>(
    `SELECT DISTINCT super_id(p.issuer, p.patient_id, p.scope) AS person FROM patient p
     WHERE NOT p.is_group AND (EXISTS (SELECT 1 FROM identity_assignment a WHERE a.patient = p.id)
       OR EXISTS (SELECT 1 FROM study s JOIN identity_study_assignment o ON o.study = s.id WHERE s.patient = p.id))`,
  );
  return [...new Set([...rows, ...own].map((row) => row.person))].sort();
}

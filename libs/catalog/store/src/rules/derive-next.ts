/** Brings rows that were there to the rule set in force, batch by batch: each a transaction, with its place kept in it. */
import type { SqlClient } from '@archipelago/platform-storage';
import { lockStudies } from '../write/levels';
import type { DeriveOptions } from '../write/ranks';
import { updateStudies } from '../write/regroup';
import type { UpdatedStudy } from '../write/sums';
import { applyRules } from './apply-rules';
import { labelsOf } from './restrictive-rules';
import { relyOnLabels } from './rule-sets';

export interface DerivedBatch {
  studies: UpdatedStudy[];
  patients: string[];
  /** Nothing is left to do. */
  done: boolean;
}

interface Place {
  afterStudy: string;
  afterPatient: string;
}

const PLACE = `
  SELECT after_study::text AS "afterStudy", after_patient::text AS "afterPatient" FROM rule_derivation
  WHERE version = $1 AND done_at IS NULL FOR UPDATE`;
const STUDIES = `
  SELECT id::text, study_instance_uid AS uid FROM study WHERE id > $1 AND NOT is_group ORDER BY id LIMIT $2`;
const PATIENTS = 'SELECT id::text FROM patient WHERE id > $1 AND NOT is_group ORDER BY id LIMIT $2';
/** As everywhere: patients before studies before series, each by key. */
const LOCKS = [
  `SELECT p.id FROM patient p WHERE p.id = ANY($2::bigint[]) OR p.id IN (SELECT patient FROM study WHERE id = ANY($1::bigint[]))
   ORDER BY p.patient_id, p.issuer, p.scope FOR UPDATE`,
  `SELECT s.id FROM study s JOIN patient p ON p.id = s.patient WHERE s.id = ANY($1::bigint[]) AND $2::bigint[] IS NOT NULL
   ORDER BY s.study_instance_uid, p.patient_id, p.issuer, p.scope FOR UPDATE OF s`,
  `SELECT x.id FROM series x JOIN study s ON s.id = x.study JOIN patient p ON p.id = s.patient
   WHERE s.id = ANY($1::bigint[]) AND $2::bigint[] IS NOT NULL
   ORDER BY x.series_instance_uid, s.study_instance_uid, p.patient_id, p.issuer, p.scope FOR UPDATE OF x`,
];

/**
 * The next rows after those that are done; inside the caller's transaction, which also reads the rules in force. A process
 * that ends goes on where the last commit was.
 */
export async function deriveNext(client: SqlClient, options: DeriveOptions, limit: number): Promise<DerivedBatch> {
  const { rules } = options;
  if (rules === undefined) return { studies: [], patients: [], done: true };
  const { rows: places } = await client.query<Place>(PLACE, [rules.version]);
  const place = places[0];
  if (!place) return { studies: [], patients: [], done: true };
  const { rows: studies } = await client.query<{ id: string; uid: string }>(STUDIES, [place.afterStudy, limit]);
  const { rows: patients } = await client.query<{ id: string }>(PATIENTS, [place.afterPatient, limit]);
  await lockStudies(
    client,
    studies.map((row) => row.uid),
  );
  const ids = { studies: studies.map((row) => row.id), patients: patients.map((row) => row.id) };
  for (const sql of LOCKS) await client.query(sql, [ids.studies, ids.patients]);
  const changed = await applyRules(client, ids, options);
  const updated = await updateStudies(client, changed.studies);
  const done = studies.length < limit && patients.length < limit;
  await client.query(
    `UPDATE rule_derivation SET after_study = $1, after_patient = $2, changed = changed + $3,
       done_at = CASE WHEN $4 THEN clock_timestamp() END`,
    [
      studies.at(-1)?.id ?? place.afterStudy,
      patients.at(-1)?.id ?? place.afterPatient,
      changed.studies.length + changed.patients.length,
      done,
    ],
  );
  if (done) await relyOnLabels(client, labelsOf(rules.compiled.ruleSet));
  return { studies: updated, patients: changed.patients, done };
}

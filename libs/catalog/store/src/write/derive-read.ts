/** What each source says now: of the versions of an answer the latest, at each depth, without what has vanished. */
import type { KeptAttributes } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';

export interface StudyAnswer {
  uid: string;
  source: number;
  depth: 'study' | 'full';
  patientId: string;
  issuer: string;
  attributes: KeptAttributes;
}
export interface SeriesAnswer {
  uid: string;
  study: string;
  source: number;
  depth: 'series' | 'full';
  patientId: string;
  issuer: string;
  attributes: KeptAttributes;
}
export interface InstanceAnswer {
  uid: string;
  series: string;
  study: string;
  sopClassUid: string;
  source: number;
  depth: 'image' | 'full';
  patientId: string;
  issuer: string;
  attributes: KeptAttributes;
  asOf: Date;
}
export interface SourceAnswers {
  studies: StudyAnswer[];
  series: SeriesAnswer[];
  instances: InstanceAnswer[];
  /** Sources that were asked deeper than a study, and have nothing of that any more. */
  emptied: { source: number; study: string }[];
}

/** Headers of one study may name two patients, which are told apart; a query's answer has one. */
const BY_PATIENT = (t: string): string =>
  `CASE WHEN ${t}.depth = 'full' THEN ${t}.patient_id END, CASE WHEN ${t}.depth = 'full' THEN ${t}.issuer END`;

const STUDIES = `
  SELECT DISTINCT ON (t.study_instance_uid, t.source, t.depth, ${BY_PATIENT('t')})
    t.study_instance_uid AS uid, t.source, t.depth, t.patient_id AS "patientId", t.issuer, t.attributes
  FROM source_study t WHERE t.study_instance_uid = ANY($1) AND NOT t.held AND t.state = 'present'
  ORDER BY t.study_instance_uid, t.source, t.depth, ${BY_PATIENT('t')}, t.as_of DESC, t.version DESC`;

/** A source that files a series or an instance in another study by now says it of that one alone. */
const latest = (table: string, uid: string): string =>
  `NOT EXISTS (SELECT 1 FROM ${table} o WHERE o.${uid} = t.${uid} AND o.source = t.source AND o.depth = t.depth AND NOT o.held
     AND o.study_instance_uid <> t.study_instance_uid AND (o.as_of, o.study_instance_uid) > (t.as_of, t.study_instance_uid))`;

const SERIES = `
  SELECT DISTINCT ON (t.series_instance_uid, t.study_instance_uid, t.source, t.depth, ${BY_PATIENT('t')})
    t.series_instance_uid AS uid, t.study_instance_uid AS study, t.source, t.depth, t.patient_id AS "patientId", t.issuer, t.attributes
  FROM source_series t WHERE t.study_instance_uid = ANY($1) AND NOT t.held AND t.state = 'present'
    AND ${latest('source_series', 'series_instance_uid')}
  ORDER BY t.series_instance_uid, t.study_instance_uid, t.source, t.depth, ${BY_PATIENT('t')}, t.as_of DESC, t.version DESC`;

const INSTANCES = `
  SELECT DISTINCT ON (t.sop_instance_uid, t.study_instance_uid, t.source, t.depth)
    t.sop_instance_uid AS uid, t.series_instance_uid AS series, t.study_instance_uid AS study, t.sop_class_uid AS "sopClassUid",
    t.source, t.depth, t.patient_id AS "patientId", t.issuer, t.attributes, t.as_of AS "asOf"
  FROM source_instance t WHERE t.study_instance_uid = ANY($1) AND NOT t.held AND t.state = 'present'
    AND ${latest('source_instance', 'sop_instance_uid')}
  ORDER BY t.sop_instance_uid, t.study_instance_uid, t.source, t.depth, t.as_of DESC, t.version DESC`;

const EMPTIED = `
  SELECT source, study_instance_uid AS study FROM source_series WHERE study_instance_uid = ANY($1) AND NOT held AND state = 'vanished'
  UNION SELECT source, study_instance_uid FROM source_instance WHERE study_instance_uid = ANY($1) AND NOT held AND state = 'vanished'`;

/** What archives say of these studies. */
export async function readAnswers(client: SqlClient, studyUids: readonly string[]): Promise<SourceAnswers> {
  const { rows: studies } = await client.query<StudyAnswer>(STUDIES, [studyUids]);
  const { rows: series } = await client.query<SeriesAnswer>(SERIES, [studyUids]);
  const { rows: instances } = await client.query<InstanceAnswer>(INSTANCES, [studyUids]);
  const { rows: emptied } = await client.query<{ source: number; study: string }>(EMPTIED, [studyUids]);
  return { studies, series, instances, emptied };
}

export interface PatientAnswer {
  /** Position of the identity that was asked for, from 1. */
  n: number;
  source: number;
  depth: 'study' | 'full';
  attributes: KeptAttributes;
}

/**
 * What archives say of patients in all their studies, per source and depth that of the newest study (by StudyDate, then
 * by UID): it does not depend on the order in which the answers came.
 */
export async function readPatientAnswers(
  client: SqlClient,
  identities: readonly { patientId: string; issuer: string; scope: string }[],
): Promise<PatientAnswer[]> {
  const { rows } = await client.query<PatientAnswer>(
    `SELECT DISTINCT ON (k.n, t.source, t.depth) k.n::int, t.source, t.depth, t.attributes
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY k(patient_id, issuer, scope, n)
     JOIN source_study t ON t.patient_id = k.patient_id AND t.issuer = k.issuer AND NOT t.held AND t.state = 'present'
       AND (k.scope = '' OR t.study_instance_uid = k.scope)
     WHERE t.depth = 'full' OR NOT EXISTS (SELECT 1 FROM source_study o WHERE o.study_instance_uid = t.study_instance_uid AND o.source = t.source
       AND o.depth = t.depth AND NOT o.held AND (o.as_of, o.version) > (t.as_of, t.version))
     ORDER BY k.n, t.source, t.depth, t.attributes #>> '{00080020,Value,0}' DESC NULLS LAST, t.study_instance_uid, t.as_of DESC, t.version DESC`,
    [identities.map((one) => one.patientId), identities.map((one) => one.issuer), identities.map((one) => one.scope)],
  );
  return rows;
}

/** Further studies in which series or instances of the batch were before. */
export async function formerStudies(
  client: SqlClient,
  seriesUids: readonly string[],
  instanceUids: readonly string[],
): Promise<string[]> {
  if (seriesUids.length === 0 && instanceUids.length === 0) return [];
  const { rows } = await client.query<{ uid: string }>(
    `SELECT study_instance_uid AS uid FROM source_series WHERE series_instance_uid = ANY($1) AND NOT held
     UNION SELECT study_instance_uid FROM source_instance WHERE sop_instance_uid = ANY($2) AND NOT held`,
    [seriesUids, instanceUids],
  );
  return rows.map((row) => row.uid);
}

/** Rows as rules see them: what was said of them, and where that came from. */
import type { KeptAttributes, RowOverlay } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import type { LayeredRow } from '../write/layers';

export interface RuleRow extends LayeredRow {
  id: string;
  overlay: RowOverlay | null;
  /** What was said above it, effective values included; series and instances only. */
  above: { attributes: KeptAttributes; overlay: RowOverlay | null }[];
  source: string | null;
  origin: string | null;
  person: string | null;
  modality: string | null;
}

/**
 * The source whose word counts, by the winner rule (docs/adr/0019, 3): held first, then the deepest, then the order of the
 * archives, then the first.
 */
const winner = (table: string, condition: string): string => `
  LEFT JOIN LATERAL (
    SELECT n.name AS source, e.origin FROM ${table} t JOIN source n ON n.id = t.source
      LEFT JOIN pack_entry e ON e.pack = t.pack AND e.ordinal = t.ordinal
    WHERE ${condition} AND t.state = 'present'
    ORDER BY t.held DESC, (t.depth = 'full') DESC, coalesce(array_position($2::text[], n.name), 32767), t.version, t.source LIMIT 1) w ON true`;

/** A study is of its one modality, where it has one beside what is made of its images. */
const DERIVED = "'{SR,KO,PR,SEG,REG,RWV,FID,DOC,AU,PLAN,RTDOSE,RTSTRUCT,RTPLAN,RTRECORD}'::text[]";
const STUDY_MODALITY = `(SELECT CASE WHEN count(*) = 1 THEN min(m) END FROM unnest(s.modalities) m WHERE m <> ALL(${DERIVED}))`;

/** A row's columns as the layers have them. */
const layers = (alias: string): string =>
  `${alias}.id::text, ${alias}.attributes, ${alias}.overlay, ${alias}.basis, ${alias}.held_attributes AS held, ${alias}.archive_attributes AS archive`;

const STUDIES = `
  SELECT ${layers('s')}, '[]'::jsonb AS above, w.source, w.origin, s.person, ${STUDY_MODALITY} AS modality
  FROM study s JOIN patient p ON p.id = s.patient
  ${winner('source_study', 't.study_instance_uid = s.study_instance_uid AND t.patient_id = p.patient_id AND t.issuer = p.issuer')}
  WHERE s.id = ANY($1::bigint[]) AND NOT s.is_group`;

const ABOVE = `jsonb_build_array(jsonb_build_object('attributes', s.attributes, 'overlay', s.overlay))`;

const SERIES = `
  SELECT ${layers('x')}, ${ABOVE} AS above, w.source, w.origin, s.person, nullif(x.modality, '') AS modality
  FROM series x JOIN study s ON s.id = x.study
  ${winner('source_series', 't.series_instance_uid = x.series_instance_uid AND t.study_instance_uid = s.study_instance_uid')}
  WHERE x.study = ANY($1::bigint[]) AND NOT x.is_group`;

/** A patient's source is that of the first of its studies. */
const PATIENTS = `
  SELECT ${layers('p')}, '[]'::jsonb AS above, w.source, w.origin, p.person, NULL AS modality
  FROM patient p
  LEFT JOIN LATERAL (SELECT f.study_instance_uid FROM study f WHERE f.patient = p.id AND NOT f.is_group ORDER BY f.id LIMIT 1) s ON true
  ${winner('source_study', 't.study_instance_uid = s.study_instance_uid AND t.patient_id = p.patient_id AND t.issuer = p.issuer')}
  WHERE p.id = ANY($1::bigint[]) AND NOT p.is_group`;

const INSTANCES = `
  SELECT i.sop_instance_uid || ' ' || encode(i.wire_digest, 'hex') AS id, i.attributes, i.overlay, 'held' AS basis, NULL AS held, NULL AS archive,
    jsonb_build_array(jsonb_build_object('attributes', s.attributes, 'overlay', s.overlay),
                      jsonb_build_object('attributes', x.attributes, 'overlay', x.overlay)) AS above,
    n.name AS source, i.origin, s.person, nullif(x.modality, '') AS modality
  FROM study s JOIN series x ON x.study = s.id JOIN instance i ON i.series = x.id AND i.is_answer JOIN source n ON n.id = i.source
  WHERE s.id = ANY($1::bigint[]) AND ($2::text[] IS NULL OR i.sop_instance_uid = ANY($2))`;

async function read(client: SqlClient, sql: string, ids: readonly string[], second: unknown): Promise<RuleRow[]> {
  if (ids.length === 0) return [];
  return (await client.query<RuleRow>(sql, [ids, second])).rows;
}

export const studyRows = (client: SqlClient, studies: readonly string[], archives: readonly string[]) =>
  read(client, STUDIES, studies, archives);
/** Of these studies. */
export const seriesRows = (client: SqlClient, studies: readonly string[], archives: readonly string[]) =>
  read(client, SERIES, studies, archives);
export const patientRows = (client: SqlClient, patients: readonly string[], archives: readonly string[]) =>
  read(client, PATIENTS, patients, archives);
/** Of these studies, all or those of these UIDs; `id` is UID and wire digest. */
export const instanceRows = (client: SqlClient, studies: readonly string[], uids?: readonly string[]) =>
  read(client, INSTANCES, studies, uids ?? null);

/** Names of devices as rules know them, by `place station`; none where nobody resolves them. */
export async function deviceNames(
  client: SqlClient,
  devices: readonly { place: string; station: string }[],
): Promise<Map<string, string>> {
  if (devices.length === 0) return new Map();
  const { rows: there } = await client.query<{ is: boolean }>(
    "SELECT to_regclass('actor_assignment') IS NOT NULL AS is",
  );
  if (there[0]?.is !== true) return new Map();
  const { rows } = await client.query<{ place: string; station: string; label: string }>(
    `SELECT DISTINCT k.place, k.station, a.label FROM unnest($1::text[], $2::text[]) k(place, station)
     JOIN actor_assignment a ON a.kind = 'modality' AND a.place = k.place AND a.name = 'station:' || k.station
     WHERE a.label IS NOT NULL`,
    [devices.map((one) => one.place), devices.map((one) => one.station)],
  );
  return new Map(rows.map(({ place, station, label }) => [`${place} ${station}`, label]));
}

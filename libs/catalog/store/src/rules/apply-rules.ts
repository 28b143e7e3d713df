import { withOverlay, type CatalogLevel, type KeptAttributes, type RowOverlay } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import type { LayeredRow } from '../write/layers';
import { updateLayers, type Level } from '../write/merge';
import type { DeriveOptions } from '../write/ranks';
import { regroup } from '../write/regroup';
import { overlayOf, writtenAt, type ActiveRules } from './active-rules';
import { contextOf, saidOf, stationOf } from './rule-context';
import { deviceNames, instanceRows, patientRows, seriesRows, studyRows, type RuleRow } from './rule-rows';
import { showInstanceOverlays } from './show-instances';
import { labelStudies } from './study-labels';

export interface RuledRows {
  /** Ids of rows of local identities that were touched. */
  patients: readonly string[];
  studies: readonly string[];
  /** UIDs of instances, where only some of the studies' were touched; all when not given. */
  instances?: readonly string[];
}

export interface Ruled {
  patients: string[];
  /** Studies of which something is shown otherwise now. */
  studies: string[];
}

function sameOverlay(a: RowOverlay | null, b: RowOverlay | null): boolean {
  // the version alone is no change: who set a value is told by the rule that still does
  const plain = (one: RowOverlay | null): unknown => one && [one.set, one.was, one.by].map((part) => sorted(part));
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, inner]) => [key, sorted(inner)]);
}

export interface OverlaidRow extends LayeredRow {
  id: string;
  overlay: RowOverlay | null;
}

/** Rows whose overlay is another one than they have. */
function changedRows(
  level: CatalogLevel,
  rows: readonly RuleRow[],
  rules: ActiveRules,
  devices: ReadonlyMap<string, string>,
): OverlaidRow[] {
  const written = writtenAt(level, rules);
  return rows.flatMap((row) => {
    const own = saidOf(row);
    const above = Object.assign({}, ...row.above.map(saidOf)) as KeptAttributes;
    // Modality is the series'; a study has it where all its images are of one
    const modality: KeptAttributes = row.modality === null ? {} : { '00080060': { vr: 'CS', Value: [row.modality] } };
    const ctx = contextOf(row, rules, devices.get(`${row.source} ${stationOf(row)}`));
    const overlay = written.length === 0 ? null : overlayOf(rules, written, own, { ...above, ...modality }, ctx);
    if (sameOverlay(overlay, row.overlay)) return [];
    const { id, basis, held, archive } = row;
    return [{ id, basis, held, archive, attributes: overlay ? withOverlay(own, overlay) : own, overlay }];
  });
}

/**
 * Brings these rows to the rules in force, in the caller's transaction, which holds their locks: effective values into what
 * is shown and sought by, what was said beside them. Rules that are gone leave exactly what was. Doing it again changes
 * nothing.
 */
export async function applyRules(client: SqlClient, touched: RuledRows, options: DeriveOptions): Promise<Ruled> {
  const { rules } = options;
  if (rules === undefined) return { patients: [], studies: [] };
  const archives = options.archives ?? [];
  const nobody = new Map<string, string>();
  const change = async (level: Level, name: CatalogLevel, rows: readonly RuleRow[]): Promise<OverlaidRow[]> => {
    const devices = name === 'SERIES' ? await namesOf(client, rows, rules) : nobody;
    const changed = changedRows(name, rows, rules, devices);
    await updateLayers(
      client,
      level,
      changed.map((row) => [row.id, row]),
    );
    return changed;
  };
  const patients = await change('patient', 'PATIENT', await patientRows(client, touched.patients, archives));
  const studies = await change('study', 'STUDY', await studyRows(client, touched.studies, archives));
  const ofSeries = await seriesRows(client, touched.studies, archives);
  const series = await change('series', 'SERIES', ofSeries);
  const instances = await changeInstances(client, touched, rules);
  const shown = {
    patients: patients.map((row) => row.id),
    studies: [...new Set([...studies.map((row) => row.id), ...(await studiesOf(client, series)), ...instances])],
  };
  const labelled = await labelStudies(client, touched.studies, rules);
  await regroupChanged(client, { ...shown, studies: [...new Set([...shown.studies, ...labelled])] }, options);
  return shown;
}

function namesOf(client: SqlClient, rows: readonly RuleRow[], rules: ActiveRules): Promise<Map<string, string>> {
  if (rules.compiled.phases.material.length === 0) return Promise.resolve(new Map());
  const devices = rows.flatMap((row) =>
    row.source !== null && stationOf(row) !== '' ? [{ place: row.source, station: stationOf(row) }] : [],
  );
  return deviceNames(client, devices);
}

/** Instances are looked at only where a rule writes what they keep, or has. @returns ids of their studies */
async function changeInstances(client: SqlClient, touched: RuledRows, rules: ActiveRules): Promise<string[]> {
  if (touched.studies.length === 0) return [];
  if (writtenAt('IMAGE', rules).length === 0) {
    const { rows } = await client.query<{ there: boolean }>(
      `SELECT EXISTS (SELECT FROM series x JOIN instance i ON i.series = x.id
         WHERE x.study = ANY($1::bigint[]) AND i.overlay IS NOT NULL) AS there`,
      [touched.studies],
    );
    if (rows[0]?.there !== true) return [];
  }
  const rows = await instanceRows(client, touched.studies, touched.instances);
  return showInstanceOverlays(client, changedRows('IMAGE', rows, rules, new Map()));
}

async function studiesOf(client: SqlClient, series: readonly OverlaidRow[]): Promise<string[]> {
  if (series.length === 0) return [];
  const { rows } = await client.query<{ study: string }>(
    'SELECT DISTINCT study::text FROM series WHERE id = ANY($1::bigint[])',
    [series.map((row) => row.id)],
  );
  return rows.map((row) => row.study);
}

/** Rows that show a person with several identities take their members' values. */
async function regroupChanged(client: SqlClient, changed: Ruled, options: DeriveOptions): Promise<void> {
  if (changed.patients.length + changed.studies.length === 0) return;
  const { rows } = await client.query<{ person: string; uid: string | null }>(
    `SELECT person, NULL AS uid FROM patient WHERE id = ANY($1::bigint[]) AND grouped IS NOT NULL
     UNION SELECT person, study_instance_uid FROM study WHERE id = ANY($2::bigint[]) AND linked`,
    [changed.patients, changed.studies],
  );
  if (rows.length === 0) return;
  const studyUids = rows.flatMap((row) => row.uid ?? []);
  await regroup(client, { persons: rows.map((row) => row.person), studyUids }, options);
}

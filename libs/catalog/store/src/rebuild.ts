import type { SqlClient } from '@archipelago/platform-storage';
import { deriveNext } from './rules/derive-next';
import { startDerivation } from './rules/rule-sets';
import type { IndexPackInput } from './write/index-pack.types';
import { applyDecisions } from './write/decide';
import { present } from './write/present';
import { answeredStudies, deriveAnswers } from './write/derive';
import type { DeriveOptions } from './write/ranks';
import { projectPack } from './write/index-pack';
import { assignedPersons } from './write/persons';
import { regroup } from './write/regroup';
import { readPackAnswers, writeAnswers } from './write/present-answers';

/** Reads a stored pack again: its announcement, index and headers, with the same rules as when it was indexed. */
export type LoadPack = (pack: { packId: string; store: string; key: string }) => Promise<IndexPackInput>;

/** Shadow tables in a schema before the real ones on the search path: the same code writes them. */
const SHADOW = 'catalog_rebuild';
const STUDIES_AT_ONCE = 1000;
const TABLES = ['patient', 'study', 'series', 'instance'];

async function makeShadow(client: SqlClient): Promise<void> {
  await client.query('LOCK TABLE patient, study, series, instance IN SHARE ROW EXCLUSIVE MODE');
  await client.query(`DROP SCHEMA IF EXISTS ${SHADOW} CASCADE`);
  await client.query(`CREATE SCHEMA ${SHADOW}`);
  for (const table of TABLES)
    await client.query(`CREATE TABLE ${SHADOW}.${table} (LIKE public.${table} INCLUDING ALL)`);
  await client.query(`SET LOCAL search_path = ${SHADOW}, public`);
}

async function replay(client: SqlClient, load: LoadPack): Promise<{ packs: number; options: DeriveOptions }> {
  let options: DeriveOptions = {};
  const { rows: packs } = await client.query<{ id: string; packId: string; store: string; key: string }>(
    `SELECT DISTINCT ON (p.indexed_order) p.id::text, p.pack_id::text AS "packId", l.store, l.key FROM pack p JOIN pack_location l ON l.pack = p.id
     WHERE p.indexed_order IS NOT NULL ORDER BY p.indexed_order, (l.missing_at IS NULL) DESC`,
  );
  for (const pack of packs) {
    const input = await load(pack);
    options = input;
    const { rows: held } = await client.query<{ ordinal: number }>(
      'SELECT ordinal FROM pack_entry WHERE pack = $1 AND same_as IS NULL',
      [pack.id],
    );
    const skip = new Set(held.map((row) => row.ordinal));
    const entries = await projectPack(
      client,
      input,
      input.index.entries.filter((entry) => entry.harvest === undefined && !skip.has(entry.ordinal)),
    );
    await present(client, { entries, comparePixels: (a, b) => input.comparePixels(a, b) });
    const answers = await readPackAnswers(client, input);
    if (answers.length > 0) await writeAnswers(client, pack.id, answers);
  }
  await deriveAll(client, options);
  return { packs: packs.length, options };
}

/** What is shown of answers does not depend on their order: derived once, when all source rows are as they were. */
async function deriveAll(client: SqlClient, options: DeriveOptions): Promise<void> {
  for (let after = ''; ;) {
    const studies = await answeredStudies(client, after, STUDIES_AT_ONCE);
    await deriveAnswers(client, studies, options);
    const last = studies.at(-1);
    if (last === undefined || studies.length < STUDIES_AT_ONCE) return;
    after = last;
  }
}

/** Effective values of all rows: of the persons as they are assigned, so after these. */
async function ruleAll(client: SqlClient, options: DeriveOptions): Promise<void> {
  if (options.rules === undefined) return;
  await startDerivation(client, options.rules.version);
  for (;;) if ((await deriveNext(client, options, STUDIES_AT_ONCE)).done) return;
}

/** Old ids by key, so that events and cursors that name them stay true; a row that is new gets a new id. */
const IDS = [
  `CREATE TEMP TABLE id_patient ON COMMIT DROP AS SELECT n.id AS new_id,
     coalesce(o.id, nextval(pg_get_serial_sequence('public.patient', 'id'))) AS id, o.labels
   FROM ${SHADOW}.patient n LEFT JOIN public.patient o USING (patient_id, issuer, scope)`,
  `CREATE TEMP TABLE id_study ON COMMIT DROP AS SELECT n.id AS new_id,
     coalesce(o.id, nextval(pg_get_serial_sequence('public.study', 'id'))) AS id, o.labels, coalesce(o.revision, 0) + 1 AS revision
   FROM ${SHADOW}.study n JOIN id_patient p ON p.new_id = n.patient
   LEFT JOIN public.study o ON o.study_instance_uid = n.study_instance_uid AND o.patient = p.id`,
  `CREATE TEMP TABLE id_series ON COMMIT DROP AS SELECT n.id AS new_id,
     coalesce(o.id, nextval(pg_get_serial_sequence('public.series', 'id'))) AS id, o.labels, coalesce(o.revision, 0) + 1 AS revision
   FROM ${SHADOW}.series n JOIN id_study s ON s.new_id = n.study
   LEFT JOIN public.series o ON o.series_instance_uid = n.series_instance_uid AND o.study = s.id`,
  `CREATE TEMP TABLE id_instance ON COMMIT DROP AS SELECT o.sop_instance_uid, o.wire_digest, o.id, o.labels FROM public.instance o`,
];

async function columnsOf(client: SqlClient, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER' ORDER BY ordinal_position",
    [table],
  );
  return rows.map((row) => row.name);
}

async function copyBack(
  client: SqlClient,
  table: string,
  joins: string,
  replaced: Record<string, string>,
): Promise<void> {
  const columns = await columnsOf(client, table);
  await client.query(
    `INSERT INTO public.${table} (${columns.join(', ')}) SELECT ${columns.map((column) => replaced[column] ?? `n.${column}`).join(', ')}
     FROM ${SHADOW}.${table} n ${joins}`,
  );
}

/**
 * Derives the presentation rows anew from the packs, in the order in which they took effect, and from the decisions, inside the caller's
 * transaction; writers wait meanwhile, readers go on with the old rows until the commit. Differences and source rows stay.
 * @returns the number of packs replayed
 */
export async function rebuildPresentation(client: SqlClient, load: LoadPack): Promise<number> {
  await makeShadow(client);
  const { packs, options } = await replay(client, load);
  await applyDecisions(client);
  for (const sql of IDS) await client.query(sql);
  for (const table of TABLES) await client.query(`DELETE FROM public.${table}`);
  await copyBack(client, 'patient', 'JOIN id_patient k ON k.new_id = n.id', {
    id: 'k.id',
    labels: 'coalesce(k.labels, n.labels)',
    person: 'coalesce((SELECT a.person FROM identity_assignment a WHERE a.patient = k.id), n.person)',
  });
  await copyBack(client, 'study', 'JOIN id_study k ON k.new_id = n.id JOIN id_patient p ON p.new_id = n.patient', {
    id: 'k.id',
    patient: 'p.id',
    person: `coalesce((SELECT o.person FROM identity_study_assignment o WHERE o.study = k.id),
      (SELECT a.person FROM identity_assignment a WHERE a.patient = p.id), n.person)`,
    labels: 'coalesce(k.labels, n.labels)',
    revision: 'k.revision',
  });
  await copyBack(client, 'series', 'JOIN id_series k ON k.new_id = n.id JOIN id_study s ON s.new_id = n.study', {
    id: 'k.id',
    study: 's.id',
    labels: 'coalesce(k.labels, n.labels)',
    revision: 'k.revision',
  });
  await copyBack(
    client,
    'instance',
    `LEFT JOIN id_instance k ON k.sop_instance_uid = n.sop_instance_uid AND k.wire_digest = n.wire_digest
    LEFT JOIN id_study s ON s.new_id = n.study LEFT JOIN id_series x ON x.new_id = n.series`,
    {
      id: 'coalesce(k.id, n.id)',
      study: 's.id',
      series: 'x.id',
      labels: 'coalesce(k.labels, n.labels)',
    },
  );
  await client.query('SET LOCAL search_path = public');
  await client.query(`DROP SCHEMA ${SHADOW} CASCADE`);
  await ruleAll(client, options);
  await regroup(client, { persons: await assignedPersons(client) }, options);
  return packs;
}

/**
 * Persons with several local identities, and studies that one person has in several rows, are shown once: behind a row that
 * is made for them (`is_group`), with the members' values by the winner rule and the counts of their union. The members are
 * hidden (`grouped`) and otherwise not touched, so that they fall apart again to exactly what they were.
 */
import type { KeptAttributes } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import type { StudySaid } from '../entities';
import { LABEL_GROUPS } from '../rules/study-labels';
import { shown } from '../shown';
import { fillIn, layeredRow } from './layers';
import type { Locked } from './levels';
import { updateLayers, type ChangedRow } from './merge';
import { archiveRanks, type DeriveOptions } from './ranks';
import { UPDATE_STUDIES, type UpdatedStudy } from './sums';

export interface RegroupInput {
  persons: readonly string[];
  /** Only these studies of theirs, by UID; all when not given. */
  studyUids?: readonly string[];
  /** Rows that belong to another person now: they changed, whatever their group. */
  changedStudies?: readonly string[];
}
export interface Regrouped {
  /** Studies that changed in what is shown of them, groups and members. */
  studies: UpdatedStudy[];
}

/** Scope of the row that shows a person with several identities: no scope of an identity is like it. */
const GROUP_SCOPE = '*person*';
/** "person" in ASCII hex, below 2^31: first half of the key of the locks of persons. */
const PERSON_LOCKS = 0x70657273;

interface Member {
  id: string;
  uid: string;
  person: string;
  patient: string;
  grouped: string | null;
  linked: boolean;
  said: StudySaid | null;
}

const MEMBERS = `
  SELECT id::text, study_instance_uid AS uid, person, patient::text, grouped::text, linked, said FROM study
  WHERE person = ANY($1) AND NOT is_group AND ($2::text[] IS NULL OR study_instance_uid = ANY($2)) ORDER BY study_instance_uid, id`;

/** Persons that one row of `patient` does not show: of several identities, or with studies of others, or without some of their own. */
const LINKED = `
  SELECT k.person FROM unnest($1::text[]) k(person)
  WHERE (SELECT count(*) FROM patient p WHERE p.person = k.person AND NOT p.is_group) > 1
    OR EXISTS (SELECT 1 FROM study s JOIN patient p ON p.id = s.patient WHERE s.person = k.person AND NOT s.is_group AND p.person <> k.person)
    OR EXISTS (SELECT 1 FROM patient p JOIN study s ON s.patient = p.id WHERE p.person = k.person AND NOT p.is_group AND NOT s.is_group AND s.person <> k.person)`;

/** Groups of the person that are none any more, with their series; members show themselves again. */
const DISSOLVE = [
  'UPDATE series SET grouped = NULL WHERE grouped IN (SELECT x.id FROM series x WHERE x.study = ANY($1::bigint[]))',
  'DELETE FROM series WHERE study = ANY($1::bigint[]) AND is_group',
  'DELETE FROM study WHERE id = ANY($1::bigint[]) AND is_group',
];

async function lockPersons(client: SqlClient, persons: readonly string[]): Promise<void> {
  await client.query(
    'SELECT pg_advisory_xact_lock($1, b) FROM (SELECT DISTINCT hashtext(p) AS b FROM unnest($2::text[]) p ORDER BY 1) k',
    [PERSON_LOCKS, persons],
  );
}

/** The row that shows the person, made where it is missing. */
async function groupPatients(client: SqlClient, persons: readonly string[]): Promise<Map<string, string>> {
  if (persons.length === 0) return new Map();
  await client.query(
    `INSERT INTO patient (patient_id, issuer, scope, person, is_group) SELECT k, '', $2, k, true FROM unnest($1::text[]) k ORDER BY 1
     ON CONFLICT DO NOTHING`,
    [persons, GROUP_SCOPE],
  );
  const { rows } = await client.query<{ person: string; id: string }>(
    'SELECT person, id::text FROM patient WHERE person = ANY($1) AND is_group',
    [persons],
  );
  return new Map(rows.map((row) => [row.person, row.id]));
}

interface GroupRow {
  id: string;
  uid: string;
  patient: string;
}

async function groupStudies(
  client: SqlClient,
  groups: readonly { uid: string; person: string; patient: string }[],
): Promise<GroupRow[]> {
  if (groups.length === 0) return [];
  const values = [groups.map((g) => g.uid), groups.map((g) => g.patient), groups.map((g) => g.person)];
  await client.query(
    `INSERT INTO study (study_instance_uid, patient, patient_id, issuer, person, is_group, linked)
     SELECT k.uid, k.patient, k.person, '', k.person, true, true FROM unnest($1::text[], $2::bigint[], $3::text[]) k(uid, patient, person)
     ORDER BY k.uid ON CONFLICT DO NOTHING`,
    values,
  );
  const { rows } = await client.query<GroupRow>(
    `SELECT s.id::text, s.study_instance_uid AS uid, s.patient::text FROM unnest($1::text[], $2::bigint[]) k(uid, patient)
     JOIN study s ON s.study_instance_uid = k.uid AND s.patient = k.patient`,
    values.slice(0, 2),
  );
  return rows;
}

/** Rows of the members in the order of the winner rule: held first, then by depth and archive of what was said, then the first. */
async function ranked(
  client: SqlClient,
  members: readonly string[],
  ranks: ReadonlyMap<number, number>,
): Promise<Map<string, number>> {
  const { rows } = await client.query<{ id: string; basis: string; depth: string | null; source: number | null }>(
    `SELECT s.id::text, s.basis, t.depth, t.source FROM study s JOIN patient p ON p.id = s.patient
     LEFT JOIN source_study t ON t.study_instance_uid = s.study_instance_uid AND t.patient_id = p.patient_id AND t.issuer = p.issuer
       AND NOT t.held AND t.state = 'present'
     WHERE s.id = ANY($1::bigint[])`,
    [members],
  );
  const places = new Map<string, number>();
  for (const { id, basis, depth, source } of rows) {
    const archive = source === null ? 0 : (depth === 'full' ? 1 : 2) * 10_000 + (ranks.get(source) ?? 9_999);
    const place = basis === 'archive' ? archive : 0;
    places.set(id, Math.min(places.get(id) ?? Infinity, place));
  }
  return places;
}

interface Layered {
  id: string;
  into: string;
  attributes: KeptAttributes;
}

/** Each group's attributes: those of its members, the best first. */
function filled<R extends Layered>(rows: readonly R[], place: (row: R) => number): ChangedRow[] {
  const groups = new Map<string, R[]>();
  for (const row of rows) groups.set(row.into, [...(groups.get(row.into) ?? []), row]);
  return [...groups].map(([id, members]): ChangedRow => {
    const sorted = members.sort((a, b) => place(a) - place(b) || Number(a.id) - Number(b.id));
    const held = sorted.reduce<KeptAttributes>((all, one) => fillIn(all, one.attributes).merged, {});
    return [id, layeredRow({ held, archive: null })];
  });
}

function unionSaid(said: readonly (StudySaid | null)[]): StudySaid | null {
  const given = said.filter((one): one is StudySaid => one !== null);
  if (given.length === 0) return null;
  const most = (values: (number | undefined)[]): number | undefined => {
    const numbers = values.filter((value): value is number => value !== undefined);
    return numbers.length > 0 ? Math.max(...numbers) : undefined;
  };
  const all = (lists: (string[] | undefined)[]): string[] => [...new Set(lists.flatMap((list) => list ?? []))].sort();
  const [series, instances] = [most(given.map((one) => one.series)), most(given.map((one) => one.instances))];
  const [modalities, classes] = [all(given.map((one) => one.modalities)), all(given.map((one) => one.classes))];
  return {
    ...(series === undefined ? {} : { series }),
    ...(instances === undefined ? {} : { instances }),
    ...(modalities.length > 0 ? { modalities } : {}),
    ...(classes.length > 0 ? { classes } : {}),
  };
}

interface MemberSeries extends Layered {
  study: string;
}

/** Series of members that left their group show themselves; series of groups that have no member left are gone. */
async function releaseSeries(
  client: SqlClient,
  members: readonly Member[],
  groups: readonly GroupRow[],
): Promise<void> {
  await client.query(
    `UPDATE series x SET grouped = NULL FROM study s WHERE s.id = ANY($1::bigint[]) AND s.grouped IS NULL AND x.study = s.id AND x.grouped IS NOT NULL`,
    [members.map((one) => one.id)],
  );
  await client.query(
    `DELETE FROM series g WHERE g.study = ANY($1::bigint[]) AND g.is_group
       AND NOT EXISTS (SELECT 1 FROM series m WHERE coalesce(m.grouped, m.id) = g.id AND m.id <> g.id)`,
    [groups.map((group) => group.id)],
  );
}

/** Series of the groups: one row for each UID, with the union of the members' instances. */
async function groupSeries(
  client: SqlClient,
  groups: readonly GroupRow[],
  place: (study: string) => number,
): Promise<void> {
  const ids = groups.map((group) => group.id);
  await client.query(
    `INSERT INTO series (series_instance_uid, study, is_group)
     SELECT DISTINCT x.series_instance_uid, s.grouped, true FROM study s JOIN series x ON x.study = s.id WHERE s.grouped = ANY($1::bigint[])
     ORDER BY 2, 1 ON CONFLICT DO NOTHING`,
    [ids],
  );
  await client.query(
    `UPDATE series x SET grouped = g.id FROM study s, series g WHERE s.grouped = ANY($1::bigint[]) AND x.study = s.id AND g.study = s.grouped
       AND g.series_instance_uid = x.series_instance_uid AND x.grouped IS DISTINCT FROM g.id`,
    [ids],
  );
  const { rows } = await client.query<MemberSeries>(
    `SELECT x.id::text, x.grouped::text AS into, x.attributes, x.study::text FROM series x JOIN study s ON s.id = x.study
     WHERE s.grouped = ANY($1::bigint[])`,
    [ids],
  );
  await updateLayers(
    client,
    'series',
    filled(rows, (row) => place(row.study)),
  );
  // of the members' answers the union, and at least what one of them shows
  await client.query(
    `UPDATE series g SET instances = k.instances, bytes = k.bytes, sop_classes = k.classes, said = k.said, revision = g.revision + 1, changed_at = now()
     FROM (SELECT m.grouped AS id, greatest((SELECT count(*) FROM instance i WHERE i.series = ANY(array_agg(m.id)) AND i.is_answer), max(m.instances))::int AS instances,
             sum(m.bytes)::bigint AS bytes,
             ARRAY(SELECT DISTINCT c COLLATE "C" FROM series y, unnest(y.sop_classes) c WHERE y.id = ANY(array_agg(m.id)) ORDER BY 1) AS classes,
             (array_agg(m.said) FILTER (WHERE m.said IS NOT NULL))[1] AS said
           FROM series m JOIN study s ON s.id = m.study WHERE s.grouped = ANY($1::bigint[]) GROUP BY m.grouped) k
     WHERE g.id = k.id`,
    [ids],
  );
}

/** Which rows are shown for these members: groups of more than one, by person and UID. */
function groupsOf(members: readonly Member[], patients: ReadonlyMap<string, string>): Map<string, Member[]> {
  const groups = new Map<string, Member[]>();
  for (const member of members) {
    if (!patients.has(member.person)) continue;
    const key = `${member.person}\u0000${member.uid}`;
    groups.set(key, [...(groups.get(key) ?? []), member]);
  }
  return new Map([...groups].filter(([, list]) => list.length > 1));
}

async function setMembers(
  client: SqlClient,
  members: readonly Member[],
  patients: ReadonlyMap<string, string>,
  into: ReadonlyMap<string, string>,
): Promise<void> {
  const changed = members.filter(
    (one) => one.grouped !== (into.get(one.id) ?? null) || one.linked !== patients.has(one.person),
  );
  if (changed.length === 0) return;
  await client.query(
    `UPDATE study t SET grouped = k.grouped, linked = k.linked FROM unnest($1::bigint[], $2::bigint[], $3::bool[]) k(id, grouped, linked) WHERE t.id = k.id`,
    [
      changed.map((one) => one.id),
      changed.map((one) => into.get(one.id) ?? null),
      changed.map((one) => patients.has(one.person)),
    ],
  );
}

/** Group rows of these persons and UIDs that are needed no more. */
async function dissolve(client: SqlClient, input: RegroupInput, needed: ReadonlySet<string>): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT id::text FROM study WHERE person = ANY($1) AND is_group AND ($2::text[] IS NULL OR study_instance_uid = ANY($2))`,
    [input.persons, input.studyUids ?? null],
  );
  const gone = rows.map((row) => row.id).filter((id) => !needed.has(id));
  if (gone.length === 0) return;
  for (const sql of DISSOLVE) await client.query(sql, [gone]);
}

/** The person's row: of its identities' values, and the counts of all its studies as they are shown. */
async function showPatients(
  client: SqlClient,
  persons: readonly string[],
  patients: ReadonlyMap<string, string>,
): Promise<void> {
  await client.query(
    `UPDATE patient p SET grouped = g.id FROM (SELECT k.person, max(r.id) FILTER (WHERE r.is_group AND k.person = ANY($2)) AS id
       FROM unnest($1::text[]) k(person) JOIN patient r ON r.person = k.person GROUP BY k.person) g
     WHERE p.person = g.person AND NOT p.is_group AND p.grouped IS DISTINCT FROM g.id`,
    [persons, [...patients.keys()]],
  );
  await client.query('DELETE FROM patient WHERE person = ANY($1) AND is_group AND NOT person = ANY($2)', [
    persons,
    [...patients.keys()],
  ]);
  if (patients.size === 0) return;
  const { rows } = await client.query<Layered & { rank: number }>(
    `SELECT p.id::text, p.grouped::text AS into, p.attributes, CASE p.basis WHEN 'archive' THEN 1 ELSE 0 END AS rank FROM patient p
       WHERE p.grouped = ANY($1::bigint[])
     UNION ALL SELECT s.id::text, g.id::text, s.attributes, 2 FROM study s JOIN patient g ON g.person = s.person AND g.is_group
       WHERE g.id = ANY($1::bigint[]) AND NOT s.is_group AND NOT EXISTS (SELECT 1 FROM patient q WHERE q.person = s.person AND NOT q.is_group)`,
    [[...patients.values()]],
  );
  await updateLayers(
    client,
    'patient',
    filled(
      rows.map((row) => ({ ...row, attributes: demographicsOnly(row.attributes) })),
      (row) => row.rank,
    ),
  );
  await client.query(
    `UPDATE patient g SET studies = k.studies, series = k.series, instances = k.instances
     FROM (SELECT s.person, count(*)::int AS studies, sum(s.series)::int AS series, sum(s.instances)::int AS instances FROM study s
           WHERE s.person = ANY($1) AND s.grouped IS NULL AND ${shown('s')} GROUP BY s.person) k
     WHERE g.person = k.person AND g.is_group`,
    [[...patients.keys()]],
  );
  await client.query(
    `UPDATE patient g SET studies = 0, series = 0, instances = 0 WHERE g.id = ANY($1::bigint[])
       AND NOT EXISTS (SELECT 1 FROM study s WHERE s.person = g.person AND s.grouped IS NULL AND ${shown('s')})`,
    [[...patients.values()]],
  );
}

/** A study's attributes hold its patient's; a person shows these alone. The id is chosen for who asks. */
function demographicsOnly(kept: KeptAttributes): KeptAttributes {
  return Object.fromEntries(Object.entries(kept).filter(([key]) => key.startsWith('0010') || key === '00081120'));
}

/**
 * Groups these persons anew, in the caller's transaction, which holds the locks of the rows concerned. A function of the
 * members' rows: repeating it changes nothing that is shown.
 */
export async function regroup(client: SqlClient, input: RegroupInput, options: DeriveOptions = {}): Promise<Regrouped> {
  const persons = [...new Set(input.persons)].sort();
  if (persons.length === 0) return { studies: [] };
  await lockPersons(client, persons);
  const { rows: linked } = await client.query<{ person: string }>(LINKED, [persons]);
  const patients = await groupPatients(
    client,
    linked.map((row) => row.person),
  );
  const { rows: members } = await client.query<Member>(MEMBERS, [persons, input.studyUids ?? null]);
  const groups = [...groupsOf(members, patients).values()];
  const rows = await groupStudies(
    client,
    groups.map(([one]) => {
      const { uid, person } = one as Member;
      return { uid, person, patient: patients.get(person) as string };
    }),
  );
  const idOf = new Map(rows.map((row) => [`${row.patient}\u0000${row.uid}`, row.id]));
  const groupOf = (one: Member): string => idOf.get(`${patients.get(one.person) ?? ''}\u0000${one.uid}`) as string;
  const into = new Map(groups.flat().map((one) => [one.id, groupOf(one)]));
  await dissolve(client, { ...input, persons }, new Set(rows.map((row) => row.id)));
  await setMembers(client, members, patients, into);
  await releaseSeries(client, members, rows);
  if (rows.length > 0) await showStudies(client, rows, groups.flat(), into, options);
  const updated = await updateStudies(client, [...rows.map((row) => row.id), ...(input.changedStudies ?? [])]);
  await showPatients(client, persons, patients);
  return { studies: updated };
}

async function showStudies(
  client: SqlClient,
  rows: readonly GroupRow[],
  members: readonly Member[],
  into: ReadonlyMap<string, string>,
  options: DeriveOptions,
): Promise<void> {
  const ids = members.map((one) => one.id);
  const places = await ranked(client, ids, await archiveRanks(client, options));
  const place = (id: string): number => places.get(id) ?? 0;
  const { rows: layers } = await client.query<Layered>(
    'SELECT id::text, grouped::text AS into, attributes FROM study WHERE id = ANY($1::bigint[])',
    [ids],
  );
  await updateLayers(
    client,
    'study',
    filled(layers, (row) => place(row.id)),
  );
  const said = rows.map((row) =>
    unionSaid(members.filter((one) => into.get(one.id) === row.id).map((one) => one.said)),
  );
  await client.query(
    'UPDATE study t SET said = k.said::jsonb FROM unnest($1::bigint[], $2::text[]) k(id, said) WHERE t.id = k.id',
    [rows.map((row) => row.id), said.map((one) => (one === null ? null : JSON.stringify(one)))],
  );
  await client.query(LABEL_GROUPS, [rows.map((row) => row.id)]);
  await groupSeries(client, rows, place);
}

/** They changed in what is shown of them. */
export async function updateStudies(client: SqlClient, ids: readonly string[]): Promise<UpdatedStudy[]> {
  if (ids.length === 0) return [];
  return (await client.query<UpdatedStudy>(UPDATE_STUDIES, [[...new Set(ids)].sort((a, b) => Number(a) - Number(b))]))
    .rows;
}

/** Groups anew what linked persons have among these rows; nothing to do where nobody is linked. */
export async function regroupLocked(client: SqlClient, locked: Locked, options: DeriveOptions): Promise<Regrouped> {
  const persons = new Set<string>();
  for (const row of locked.patients.values()) if (row.grouped !== null) persons.add(row.person);
  for (const row of locked.studies.values()) if (row.linked) persons.add(row.person);
  if (persons.size === 0) return { studies: [] };
  const studyUids = [...new Set([...locked.studies.values()].map((row) => row.uid))];
  return regroup(client, { persons: [...persons], studyUids }, options);
}

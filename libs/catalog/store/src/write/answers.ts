/** What archives answered, as source rows: one version for each different answer, never merged. */
import {
  attributesDigest,
  DEFAULT_ATTRIBUTES,
  projectAnswer,
  SharedLevels,
  type AnswerDepth,
  type AnswerProjection,
  type KeptAttributes,
} from '@archipelago/catalog-model';
import type { PackEntry } from '@archipelago/pack';
import type { SqlClient } from '@archipelago/platform-storage';
import { setImmediate } from 'node:timers/promises';
import type { IndexPackInput } from './index-pack.types';

/** One answer of an archive on its way into the source rows. */
export interface Answer {
  entry: PackEntry;
  sourceId: number;
  said: AnswerProjection;
}

/** Headers projected in one go: between, the process answers queries. */
const AT_A_TIME = 64;

/** The answers among the entries with what they say; those that name no study or series cannot be filed and are left out. */
export async function projectAnswers(
  input: IndexPackInput,
  entries: readonly PackEntry[],
  sources: ReadonlyMap<string, number>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const attributes = input.attributes ?? DEFAULT_ATTRIBUTES;
  const levels = new SharedLevels(attributes);
  for (const [i, entry] of entries.entries()) {
    const said = projectAnswer(entry.harvest as AnswerDepth, entry, input.header(entry.ordinal), {
      attributes,
      levels,
      identity: input.identity,
      defaultIssuer: input.defaultIssuer?.(entry),
    });
    if (said) answers.push({ entry, sourceId: sources.get(entry.source) as number, said });
    if (i % AT_A_TIME === AT_A_TIME - 1) await setImmediate();
  }
  return answers;
}

interface Row {
  answer: Answer;
  uid: string;
  study: string;
  series: string;
  /** Hex. */
  digest: string;
  attributes: KeptAttributes;
}

/** Headers of one study share what they say of it: one row stands for all, at its latest time. */
function spoken(answers: readonly Answer[], parts: (said: AnswerProjection) => (object | null)[]): Answer[] {
  const numbers = new Map<object | null, number>();
  const latest = new Map<string, Answer>();
  for (const answer of answers) {
    const key = [answer.sourceId, answer.said.studyInstanceUid, answer.said.seriesInstanceUid, answer.said.depth];
    for (const part of parts(answer.said)) {
      const number = numbers.get(part) ?? numbers.size;
      numbers.set(part, number);
      key.push(number);
    }
    const had = latest.get(key.join(' '));
    if (!had || had.entry.receivedAt < answer.entry.receivedAt) latest.set(key.join(' '), answer);
  }
  return [...latest.values()];
}

function studyRow(answer: Answer): Row[] {
  const { depth, patient, study, studyInstanceUid: uid } = answer.said;
  if (!patient || !study) return [];
  const attributes = { ...patient.attributes, ...study.attributes };
  // the depth belongs to it: a query's answer never takes the place of a whole header
  const digest = attributesDigest('answer', depth, attributes, patient.identity.issuer).toString('hex');
  return [{ answer, uid, study: uid, series: '', digest, attributes }];
}

function seriesRow(answer: Answer): Row[] {
  const { depth, patient, series, studyInstanceUid: study, seriesInstanceUid: uid } = answer.said;
  if (!series) return [];
  const { attributes } = series;
  const identity = [patient?.identity.issuer ?? '', patient?.identity.patientId ?? ''];
  return [
    { answer, uid, study, series: uid, digest: hex('answer', depth, attributes, study, ...identity), attributes },
  ];
}

function instanceRow(answer: Answer): Row[] {
  const { depth, instance, studyInstanceUid: study, seriesInstanceUid: series } = answer.said;
  if (!instance) return [];
  const { attributes, sopInstanceUid: uid } = instance;
  // of a whole header every tag counts, of an answer what is kept: an archive may add what it likes
  const digest =
    depth === 'full'
      ? hex('answer', depth, answer.entry.headerDigest)
      : hex('answer', depth, attributes, study, series);
  return [{ answer, uid, study, series, digest, attributes }];
}

function hex(...parts: unknown[]): string {
  return attributesDigest(...parts).toString('hex');
}

interface Table {
  name: string;
  uid: string;
  /** What beside the common columns. */
  columns: string;
  values: string;
  unique: string;
}
const TABLES: Record<'study' | 'series' | 'instance', Table> = {
  study: {
    name: 'source_study',
    uid: 'study_instance_uid',
    columns: 'tag_digest',
    values: "decode(k.digest, 'hex')",
    unique: 'tag_digest',
  },
  series: {
    name: 'source_series',
    uid: 'series_instance_uid',
    columns: 'study_instance_uid, tag_digest',
    values: "k.study, decode(k.digest, 'hex')",
    unique: 'tag_digest',
  },
  instance: {
    name: 'source_instance',
    uid: 'sop_instance_uid',
    columns: 'study_instance_uid, series_instance_uid, sop_class_uid, tag_digest, wire_digest',
    values: "k.study, k.series, k.class, decode(k.digest, 'hex'), decode(k.digest, 'hex')",
    unique: 'wire_digest',
  },
};

/** Of these answers those that were given before, by position. */
const known = (t: Table): string => `
  SELECT k.n::int FROM unnest($1::text[], $2::int[], $3::text[]) WITH ORDINALITY k(uid, source, digest, n)
  JOIN ${t.name} t ON t.${t.uid} = k.uid AND t.source = k.source AND t.${t.unique} = decode(k.digest, 'hex')`;

/** What was said before: its time moves on; what had vanished is there again when it was seen later. */
const moveOn = (t: Table): string => `
  UPDATE ${t.name} t SET as_of = greatest(t.as_of, k.as_of),
    state = CASE WHEN k.state = 'deleted' THEN 'deleted' WHEN k.as_of > t.as_of OR t.state = 'deleted' THEN 'present' ELSE t.state END
  FROM unnest($1::text[], $2::int[], $3::text[], $4::timestamptz[], $5::text[]) k(uid, source, digest, as_of, state)
  WHERE t.${t.uid} = k.uid AND t.source = k.source AND t.${t.unique} = decode(k.digest, 'hex')
    AND (k.as_of > t.as_of OR (t.state = 'deleted') <> (k.state = 'deleted'))`;

/** A new version; but one that was seen before the archive was found to have it no more has vanished, too. */
const insertNew = (t: Table): string => `
  INSERT INTO ${t.name} (${t.uid}, ${t.columns}, attributes, source, version, depth, state, as_of, patient_id, issuer, pack, ordinal, held)
  SELECT k.uid, ${t.values}, k.attributes::jsonb, k.source,
    coalesce((SELECT max(version) FROM ${t.name} o WHERE o.${t.uid} = k.uid AND o.source = k.source), 0)
      + row_number() OVER (PARTITION BY k.uid, k.source ORDER BY k.n),
    k.depth,
    CASE WHEN k.state = 'present' AND EXISTS (SELECT 1 FROM ${t.name} o WHERE o.${t.uid} = k.uid AND o.source = k.source
      AND o.state = 'vanished' AND o.as_of >= k.as_of) THEN 'vanished' ELSE k.state END,
    k.as_of, k.patient_id, k.issuer, $14, k.ordinal, false
  FROM unnest($1::text[], $2::int[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
    $11::text[], $12::text[], $13::int[]) WITH ORDINALITY
    k(uid, source, digest, as_of, state, study, series, class, attributes, depth, patient_id, issuer, ordinal, n)
  ON CONFLICT DO NOTHING`;

/** One row for each different thing said of a UID by a source, at its latest time; in key order. */
function distinct(rows: readonly Row[]): Row[] {
  const seen = new Map<string, Row>();
  for (const row of rows) {
    const key = `${row.uid}|${row.answer.sourceId}|${row.digest}`;
    const had = seen.get(key);
    if (!had || had.answer.entry.receivedAt < row.answer.entry.receivedAt) seen.set(key, row);
  }
  return [...seen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

function keysOf(rows: readonly Row[]): unknown[] {
  return [rows.map((row) => row.uid), rows.map((row) => row.answer.sourceId), rows.map((row) => row.digest)];
}

async function writeLevel(
  client: SqlClient,
  table: Table,
  pack: string,
  rows: readonly Row[],
  held: ReadonlySet<Answer>,
): Promise<void> {
  if (rows.length === 0) return;
  const given = distinct(rows);
  const found = await client.query<{ n: number }>(known(table), keysOf(given));
  const before = new Set(found.rows.map((row) => row.n - 1));
  const states = (some: readonly Row[]): unknown[] => [
    ...keysOf(some),
    some.map((row) => row.answer.entry.receivedAt),
    some.map((row) => (held.has(row.answer) ? 'deleted' : 'present')),
  ];
  const again = given.filter((_, i) => before.has(i));
  if (again.length > 0) await client.query(moveOn(table), states(again));
  // what was said travels only where it is new
  const fresh = given.filter((_, i) => !before.has(i));
  if (fresh.length === 0) return;
  const identity = fresh.map((row) => row.answer.said.patient?.identity);
  await client.query(insertNew(table), [
    ...states(fresh),
    fresh.map((row) => row.study),
    fresh.map((row) => row.series),
    fresh.map((row) => row.answer.said.instance?.sopClassUid ?? ''),
    fresh.map((row) => JSON.stringify(row.attributes)),
    fresh.map((row) => row.answer.said.depth),
    identity.map((one) => one?.patientId ?? ''),
    identity.map((one) => one?.issuer ?? ''),
    fresh.map((row) => row.answer.entry.ordinal),
    pack,
  ]);
}

/**
 * What archives answered, version by version: an equal answer moves the time, a different one is a new version. Called
 * while the studies' locks are held. Repeating it has no effect.
 * @param held answers that a tombstone names
 */
export async function insertAnswers(
  client: SqlClient,
  pack: string,
  answers: readonly Answer[],
  held: ReadonlySet<Answer>,
): Promise<void> {
  const studies = spoken(answers, ({ patient, study }) => [patient, study]);
  await writeLevel(client, TABLES.study, pack, studies.flatMap(studyRow), held);
  const series = spoken(answers, ({ patient, series: within }) => [patient, within]);
  await writeLevel(client, TABLES.series, pack, series.flatMap(seriesRow), held);
  await writeLevel(client, TABLES.instance, pack, answers.flatMap(instanceRow), held);
}

import type { DifferenceV1 } from '@archipelago/contracts';
import { PermanentError } from '@archipelago/platform-service';
import type { SqlClient } from '@archipelago/platform-storage';
import { lockStudies } from './levels';
import { recountSeries, type UpdatedStudy } from './sums';

export interface DifferenceQuery {
  state?: 'open' | 'decided';
  ids?: readonly string[];
  after: string;
  limit: number;
}

export interface DecideInput {
  id: string;
  decision: 'keep' | 'take';
  by: string;
  note?: string;
}

export interface Decided {
  difference: DifferenceV1;
  studies: UpdatedStudy[];
}

/** The only kind with two contents to choose from. */
const TWO_CONTENTS = 'same-uid-other-content';

const COLUMNS = `id::text, kind, subject, evidence, state, created_at AS "createdAt", decided_at AS "decidedAt",
  decided_by AS "decidedBy", decision`;

type Row = Omit<DifferenceV1, 'createdAt' | 'decidedAt' | 'decidedBy' | 'decision'> & {
  createdAt: Date;
  decidedAt: Date | null;
  decidedBy: string | null;
  decision: Record<string, unknown> | null;
};

function toDifference({ createdAt, decidedAt, decidedBy, decision, ...row }: Row): DifferenceV1 {
  return {
    ...row,
    createdAt: createdAt.toISOString(),
    ...(decidedAt ? { decidedAt: decidedAt.toISOString() } : {}),
    ...(decidedBy === null ? {} : { decidedBy }),
    ...(decision === null ? {} : { decision }),
  };
}

/** Differences in the order of their ids. */
export async function listDifferences(client: SqlClient, query: DifferenceQuery): Promise<DifferenceV1[]> {
  const { rows } = await client.query<Row>(
    `SELECT ${COLUMNS} FROM difference
      WHERE ($1::text IS NULL OR state = $1) AND ($2::bigint[] IS NULL OR id = ANY($2)) AND id > $3 ORDER BY id LIMIT $4`,
    [query.state ?? null, query.ids ?? null, query.after, query.limit],
  );
  return rows.map(toDifference);
}

interface Content {
  wire: string;
  answer: boolean;
  study: string | null;
  series: string | null;
  studyUid: string | null;
  patient: string | null;
}

async function contentsOf(client: SqlClient, uid: string, lock = ''): Promise<Content[]> {
  const { rows } = await client.query<Content>(
    `SELECT encode(i.wire_digest, 'hex') AS wire, i.is_answer AS answer, i.study::text, i.series::text,
            s.study_instance_uid AS "studyUid", s.patient::text
       FROM instance i LEFT JOIN study s ON s.id = i.study WHERE i.sop_instance_uid = $1 ORDER BY i.wire_digest ${lock}`,
    [uid],
  );
  return rows;
}

/** Row locks in the order of all writers: study buckets, then patient, study, series, instance, each by key. */
async function lockContents(client: SqlClient, uid: string): Promise<Content[]> {
  const found = await contentsOf(client, uid);
  const ids = (of: (one: Content) => string | null): string[] => found.flatMap((one) => of(one) ?? []);
  await lockStudies(
    client,
    ids((one) => one.studyUid),
  );
  for (const [table, rows] of [
    ['patient', ids((one) => one.patient)],
    ['study', ids((one) => one.study)],
    ['series', ids((one) => one.series)],
  ] as const)
    await client.query(`SELECT FROM ${table} WHERE id = ANY($1) ORDER BY id FOR UPDATE`, [rows]);
  return contentsOf(client, uid, 'FOR UPDATE OF i');
}

/**
 * Makes the content with this wire digest (hex) the answer of its UID, and counts anew.
 * @returns the studies that changed; null when there is no such content any more
 */
async function takeContent(client: SqlClient, uid: string, wire: string): Promise<UpdatedStudy[] | null> {
  const contents = await lockContents(client, uid);
  const chosen = contents.find((one) => one.wire === wire);
  if (!chosen) return null;
  if (chosen.answer) return [];
  const set = "UPDATE instance SET is_answer = $3 WHERE sop_instance_uid = $1 AND wire_digest = decode($2, 'hex')";
  // one answer a UID, at each moment: the index sees to it
  for (const one of contents) if (one.answer) await client.query(set, [uid, one.wire, false]);
  await client.query(set, [uid, wire, true]);
  const series = contents.filter((one) => one.answer || one === chosen).flatMap((one) => one.series ?? []);
  return recountSeries(client, [...new Set(series)]);
}

const wireOf = (evidence: Record<string, unknown>, which: 'incoming' | 'answer'): string =>
  String((evidence[which] as { wireDigest?: unknown } | undefined)?.wireDigest ?? '');

/**
 * Decides one difference, in the caller's transaction.
 * @throws PermanentError `difference-unknown`, `difference-not-takeable`, `content-gone`
 */
export async function decideDifference(client: SqlClient, input: DecideInput): Promise<Decided> {
  const { rows: found } = await client.query<Row>(`SELECT ${COLUMNS} FROM difference WHERE id = $1`, [input.id]);
  const [row] = found;
  if (!row) throw new PermanentError('difference-unknown', 'there is no such difference');
  const studies = await apply(client, row, input.decision);
  const decision = { decision: input.decision, ...(input.note === undefined ? {} : { note: input.note }) };
  const { rows } = await client.query<Row>(
    `UPDATE difference SET state = 'decided', decided_at = clock_timestamp(), decided_by = $2, decision = $3 WHERE id = $1
     RETURNING ${COLUMNS}`,
    [input.id, input.by, JSON.stringify(decision)],
  );
  return { difference: toDifference(rows[0] as Row), studies };
}

async function apply(client: SqlClient, row: Row, decision: 'keep' | 'take'): Promise<UpdatedStudy[]> {
  const takeable = row.kind === TWO_CONTENTS;
  if (decision === 'take' && !takeable)
    throw new PermanentError('difference-not-takeable', 'only one of two contents of a UID can be taken');
  if (!takeable) return [];
  const uid = String(row.evidence['sopInstanceUid']);
  if (decision === 'keep') {
    // what stays is what is shown, but for a content that this very difference had taken before
    const answer = (await contentsOf(client, uid)).find((one) => one.answer);
    if (answer?.wire !== wireOf(row.evidence, 'incoming')) return [];
  }
  const studies = await takeContent(client, uid, wireOf(row.evidence, decision === 'take' ? 'incoming' : 'answer'));
  if (studies === null) throw new PermanentError('content-gone', 'the content is not in the catalog any more');
  return studies;
}

/** Decisions made so far, on rows derived anew: for the rebuild. A content that is gone is left out. */
export async function applyDecisions(client: SqlClient): Promise<void> {
  const { rows } = await client.query<{ evidence: Record<string, unknown> }>(
    `SELECT evidence FROM difference WHERE kind = $1 AND state = 'decided' AND decision ->> 'decision' = 'take'
      ORDER BY decided_at, id`,
    [TWO_CONTENTS],
  );
  for (const { evidence } of rows)
    await takeContent(client, String(evidence['sopInstanceUid']), wireOf(evidence, 'incoming'));
}

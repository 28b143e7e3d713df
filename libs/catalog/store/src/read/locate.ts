import { LocateV1Schema, type CopyV1, type LocateReplyV1, type LocateV1 } from '@archipelago/contracts';
import { sanitise } from '@archipelago/catalog-model';
import type { z } from 'zod';
import { SEES_ALL, type LabelFilter } from './access';
import { readCursor, writeCursor } from './cursor';
import { issuerCondition } from './patient-id';
import type { QueryRunner } from './runner';
import { SqlBuilder } from './sql-builder';

type Query = z.output<typeof LocateV1Schema>;

/** Study, series (number, UID), instance (number, UID): as a reader would page through. */
const ORDER = [
  'coalesce(i.study, 0)',
  'coalesce(x.sort_number, 0)',
  'coalesce(i.series, 0)',
  'i.sort_number',
  'i.sop_instance_uid',
];
const CASTS = ['bigint', 'int', 'bigint', 'int', 'text'];
const SHAPE = ['integer', 'integer', 'integer', 'integer', 'text'] as const;
const KIND = 'locate';

function uids(values: readonly string[]): string[] {
  return values.map((value) => sanitise(value).trim()).filter((value) => value !== '');
}

/** Conditions of the unique keys. A request without any means nothing, not everything. */
function conditionsOf(query: Query, labelFilter: LabelFilter, sql: SqlBuilder): string[] {
  const given: string[] = [];
  const among = (column: string, values: readonly string[] | undefined): void => {
    if (values !== undefined) given.push(`${column} = ANY(${sql.param(uids(values), 'text[]')})`);
  };
  if (query.patientIds !== undefined) {
    among('s.patient_id', query.patientIds);
    const issuer = issuerCondition(query.principal, query.issuerOfPatientId, 's', sql);
    given.push(issuer ?? `s.issuer = ${sql.param(query.issuerOfPatientId)}`);
  }
  among('s.study_instance_uid', query.studyInstanceUids);
  among('x.series_instance_uid', query.seriesInstanceUids);
  among('i.sop_instance_uid', query.sopInstanceUids);
  if (query.model === 'patientless') among('i.sop_class_uid', query.sopClasses);
  if (given.length === 0) return ['false'];
  const labels = (query.model === 'patientless' ? (['i'] as const) : (['s', 'x', 'i'] as const)).flatMap(
    (alias) => labelFilter(query.principal, alias, sql) ?? [],
  );
  return [
    query.model === 'patientless' ? 'i.series IS NULL' : 'i.series IS NOT NULL',
    'i.is_answer',
    ...given,
    ...labels,
  ];
}

const FROM = 'instance i LEFT JOIN series x ON x.id = i.series LEFT JOIN study s ON s.id = i.study';
const FROM_PATIENTS = 'study s JOIN series x ON x.study = s.id JOIN instance i ON i.series = x.id';

interface LocatedRow {
  uid: string;
  class: string;
  study: string | null;
  series: string | null;
  wire: string;
  k0: string;
  k1: string;
  k2: string;
  k3: string;
  k4: string;
}
interface CopyRow extends CopyV1 {
  uid: string;
  sameAs: string;
}

/** Best first: not lost by its store, at the asker's site, in the fastest tier, the very bytes that are the answer, the oldest. */
const COPIES = `
  SELECT e.sop_instance_uid AS uid, encode(e.same_as, 'hex') AS "sameAs", p.pack_id::text AS "packId", l.store, l.key,
    p.edge_id::text AS "edgeId", e.dataset_offset::float8 AS "datasetOffset", e.dataset_length::float8 AS "datasetLength",
    e.transfer_syntax_uid AS "transferSyntaxUid", encode(e.wire_digest, 'hex') AS "wireDigest", l.missing_at IS NOT NULL AS missing
  FROM unnest($1::text[], $2::text[]) k(uid, wire)
  JOIN pack_entry e ON e.sop_instance_uid = k.uid AND e.same_as = decode(k.wire, 'hex')
  JOIN pack p ON p.id = e.pack
  JOIN pack_location l ON l.pack = p.id
  ORDER BY missing, (l.site = $3) DESC, CASE l.tier WHEN 'hot' THEN 0 WHEN 'warm' THEN 1 ELSE 2 END, (e.wire_digest = e.same_as) DESC, e.pack, e.ordinal, l.store`;

/** Most copies named for one instance; the broker asks again if all of these fail. */
const MOST_COPIES = 8;

function groupCopies(rows: CopyRow[]): Map<string, CopyV1[]> {
  const copies = new Map<string, CopyV1[]>();
  for (const { uid, sameAs, ...copy } of rows) {
    const list = copies.get(uid + sameAs) ?? [];
    if (list.length < MOST_COPIES) list.push(copy);
    copies.set(uid + sameAs, list);
  }
  return copies;
}

/**
 * Which instances a retrieval means and where their bytes lie. The total counts all of the request, with those of
 * which no copy can be had.
 * @throws InvalidCursorError, QueryTimeoutError
 */
export async function locate(
  runner: QueryRunner,
  request: LocateV1,
  options: { labelFilter?: LabelFilter } = {},
): Promise<LocateReplyV1> {
  const query = LocateV1Schema.parse(request) as Query;
  const sql = new SqlBuilder();
  const where = conditionsOf(query, options.labelFilter ?? SEES_ALL, sql).join(' AND ');
  const byUid = query.model === 'patientless' || query.sopInstanceUids !== undefined;
  const from = `${byUid ? FROM : FROM_PATIENTS} WHERE ${where}`;
  const countValues = [...sql.values];
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor, KIND, SHAPE);
  const keyset = after
    ? ` AND (${ORDER.join(', ')}) > (${after.map((part, i) => sql.param(part, CASTS[i])).join(', ')})`
    : '';
  const page = `SELECT i.sop_instance_uid AS uid, i.sop_class_uid AS class, s.study_instance_uid AS study, x.series_instance_uid AS series,
      encode(i.wire_digest, 'hex') AS wire, ${ORDER.map((column, i) => `(${column})::text AS k${i}`).join(', ')}
    FROM ${from}${keyset} ORDER BY ${ORDER.join(', ')} LIMIT ${sql.param(query.limit + 1, 'int')}`;
  return runner.read(async (run) => {
    const [count] = await run<{ total: number; patients: number }>(
      `SELECT count(*)::int AS total, count(DISTINCT s.patient)::int AS patients FROM ${from}`,
      countValues,
    );
    const rows = await run<LocatedRow>(page, sql.values);
    const given = rows.slice(0, query.limit);
    const copies = groupCopies(
      await run<CopyRow>(COPIES, [given.map((row) => row.uid), given.map((row) => row.wire), query.principal.site]),
    );
    const last = rows.length > query.limit ? given.at(-1) : undefined;
    return {
      total: count?.total ?? 0,
      patients: count?.patients ?? 0,
      instances: given.map((row) => ({
        sopInstanceUid: row.uid,
        sopClassUid: row.class,
        wireDigest: row.wire,
        copies: copies.get(row.uid + row.wire) ?? [],
        ...(row.study === null ? {} : { studyInstanceUid: row.study }),
        ...(row.series === null ? {} : { seriesInstanceUid: row.series }),
      })),
      ...(last ? { cursor: writeCursor(KIND, [last.k0, last.k1, last.k2, last.k3, last.k4]) } : {}),
    };
  });
}

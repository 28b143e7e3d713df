import {
  LocateV1Schema,
  type CopyV1,
  type LocatedInstanceV1,
  type LocateReplyV1,
  type LocateV1,
  type OverlayV1,
} from '@archipelago/contracts';
import {
  DEFAULT_ATTRIBUTES,
  sanitise,
  type AttributeSet,
  type KeptAttributes,
  type Predicate,
} from '@archipelago/catalog-model';
import type { z } from 'zod';
import { SEES_ALL, type LabelFilter } from './access';
import { archivesOf, askingOrder, shallowStudies, type ShallowStudy } from './archive-copies';
import type { ArchiveState } from './archives';
import { concealing } from './conceal';
import { readCursor, writeCursor } from './cursor';
import { readOverlays, shallowOverlays, type LocatedRow as OverlaidRow } from './locate-overlay';
import { ISSUER_OF_PATIENT_ID, PATIENT_ID, personCondition } from './person-sql';
import { apart, restrictedMatching, restrictedRows } from './restriction-sql';
import type { Restrictions } from './restrictions';
import type { QueryRunner, Run, Statement } from './runner';
import { SqlBuilder } from './sql-builder';
import { shown } from '../shown';

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

/** One of these texts, as they stand. */
function exactly(key: string, values: readonly string[]): Predicate {
  const attribute = DEFAULT_ATTRIBUTES.get(key);
  if (!attribute) throw new Error(`no attribute ${key}`);
  const tests = values.map((value) => ({
    test: 'text' as const,
    pattern: { like: value, prefix: value, exact: true },
  }));
  return { kind: 'value', attribute, tests };
}

/** Whose ids these are: by the same rule as in a search. */
function personsOf(query: Query, patientIds: readonly string[], sql: SqlBuilder): string {
  const ids = uids(patientIds);
  if (ids.length === 0) return 'false';
  const issuer = query.issuerOfPatientId;
  const predicates = [
    exactly(PATIENT_ID, ids),
    ...(issuer === undefined || issuer === '' ? [] : [exactly(ISSUER_OF_PATIENT_ID, [issuer])]),
  ];
  return personCondition(predicates, query.principal, issuer, 's.person', sql);
}

/** What who asks may know of. */
interface Filter {
  rows: LabelFilter;
  /** Conditions under which these keys may be tried on a study. */
  matching(keys: readonly string[], sql: SqlBuilder): string[];
  /** Condition under which they may know of the study in that alias. */
  allowed(alias: string, sql: SqlBuilder): string | null;
}

function filterOf(restrictions: Restrictions | null | undefined): Filter {
  if (!restrictions) return { rows: SEES_ALL, matching: () => [], allowed: () => null };
  return {
    rows: restrictedRows(restrictions),
    matching: (keys, sql) => restrictedMatching(restrictions, keys, 's', sql),
    allowed: (alias, sql) => apart(restrictions.deny, alias, sql),
  };
}

/** Conditions of the unique keys. A request without any means nothing, not everything. */
function conditionsOf(query: Query, filter: Filter, sql: SqlBuilder): string[] {
  const given: string[] = [];
  const among = (column: string, values: readonly string[] | undefined): void => {
    if (values !== undefined) given.push(`${column} = ANY(${sql.param(uids(values), 'text[]')})`);
  };
  if (query.patientIds !== undefined) {
    given.push(personsOf(query, query.patientIds, sql), ...filter.matching([PATIENT_ID], sql));
  }
  among('s.study_instance_uid', query.studyInstanceUids);
  among('x.series_instance_uid', query.seriesInstanceUids);
  among('i.sop_instance_uid', query.sopInstanceUids);
  if (query.model === 'patientless') among('i.sop_class_uid', query.sopClasses);
  if (given.length === 0) return ['false'];
  const labels = (query.model === 'patientless' ? (['i'] as const) : (['s', 'x', 'i'] as const)).flatMap(
    (alias) => filter.rows(query.principal, alias, sql) ?? [],
  );
  return [
    query.model === 'patientless' ? 'i.series IS NULL' : 'i.series IS NOT NULL',
    'i.is_answer',
    ...(query.model === 'patientless' ? [] : ['s.grouped IS NULL', 'x.grouped IS NULL']),
    ...given,
    ...labels,
  ];
}

export interface LocateOptions {
  /** What rules keep from who asks (`RestrictionReader`); a function reads it in the same transaction. */
  restrictions?: Restrictions | null | ((run: Run) => Promise<Restrictions | null>);
  attributes?: AttributeSet;
  /** Archives that may be asked for what we do not hold (`readArchives`). */
  archives?: readonly ArchiveState[];
}

/** Studies of the request of which an archive has more than is known; asked on the first page, and not where all named UIDs are known. */
async function shallowOf(
  run: Run,
  query: Query,
  total: number,
  order: readonly string[],
  filter: Filter,
): Promise<ShallowStudy[]> {
  const { studyInstanceUids, seriesInstanceUids, sopInstanceUids, patientIds } = query;
  const bySeriesOrStudy = patientIds ?? studyInstanceUids ?? seriesInstanceUids;
  if (order.length === 0 || query.cursor !== undefined || bySeriesOrStudy === undefined) return [];
  if (sopInstanceUids !== undefined && total >= new Set(uids(sopInstanceUids)).size) return [];
  const sql = new SqlBuilder();
  const conditions = [shown('s'), 's.grouped IS NULL'];
  if (patientIds !== undefined)
    conditions.push(personsOf(query, patientIds, sql), ...filter.matching([PATIENT_ID], sql));
  if (studyInstanceUids !== undefined)
    conditions.push(`s.study_instance_uid = ANY(${sql.param(uids(studyInstanceUids), 'text[]')})`);
  // a series that is not known yet may be in any of the studies; where none is named, in those where it is known
  if (patientIds === undefined && studyInstanceUids === undefined)
    conditions.push(
      `s.id IN (SELECT x.study FROM series x WHERE x.series_instance_uid = ANY(${sql.param(uids(seriesInstanceUids ?? []), 'text[]')}))`,
    );
  const labels = filter.rows(query.principal, 's', sql);
  if (labels !== null) conditions.push(labels);
  // what an archive sends for a UID may be of another row of it, which is denied
  const other = filter.allowed('o', sql);
  if (other !== null)
    conditions.push(
      `NOT EXISTS (SELECT 1 FROM study o WHERE o.study_instance_uid = s.study_instance_uid AND NOT (${other}))`,
    );
  const text = `SELECT s.study_instance_uid, s.person FROM study s WHERE ${conditions.join(' AND ')}`;
  return shallowStudies(run, { text, values: sql.values }, order);
}

/** m: the series that the instance is in, x: the one that shows it. */
const FROM =
  'instance i LEFT JOIN series m ON m.id = i.series LEFT JOIN series x ON x.id = coalesce(m.grouped, m.id) LEFT JOIN study s ON s.id = x.study';
const FROM_PATIENTS =
  'study s JOIN series x ON x.study = s.id JOIN series m ON coalesce(m.grouped, m.id) = x.id JOIN instance i ON i.series = m.id';

interface LocatedRow extends OverlaidRow {
  uid: string;
  class: string;
  study: string | null;
  person: string | null;
  series: string | null;
  wire: string;
  labels: string[] | null;
  kept: KeptAttributes | null;
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

function withOverlay(overlay: OverlayV1 | undefined, instance: LocatedInstanceV1): LocatedInstanceV1 {
  return overlay === undefined ? instance : { ...instance, overlay };
}

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
 * @throws InvalidCursorError, QueryTimeoutError; what `options.restrictions` throws
 */
export async function locate(
  runner: QueryRunner,
  request: LocateV1,
  options: LocateOptions = {},
): Promise<LocateReplyV1> {
  const query = LocateV1Schema.parse(request) as Query;
  const { restrictions } = options;
  return runner.lookUp(async (run) =>
    locateIn(run, query, options, typeof restrictions === 'function' ? await restrictions(run) : restrictions),
  );
}

/** How many there are in all, and of how many persons: those of one page are counted without asking again. */
async function counted(
  run: Run,
  rows: readonly LocatedRow[],
  query: Query,
  from: string,
  values: readonly unknown[],
): Promise<{ total: number; patients: number }> {
  if (query.cursor === undefined && rows.length <= query.limit)
    return { total: rows.length, patients: new Set(rows.flatMap((row) => row.person ?? [])).size };
  const [count] = await run<{ total: number; patients: number }>(
    `SELECT count(*)::int AS total, count(DISTINCT s.person)::int AS patients FROM ${from}`,
    values,
  );
  return count ?? { total: 0, patients: 0 };
}

/** The instances of one page, and what they are taken from, for counting all of them. */
function pageOf(
  query: Query,
  filter: Filter,
  withKept: boolean,
): { from: string; values: readonly unknown[]; page: Statement } {
  const sql = new SqlBuilder();
  const where = conditionsOf(query, filter, sql).join(' AND ');
  const byUid = query.model === 'patientless' || query.sopInstanceUids !== undefined;
  const from = `${byUid ? FROM : FROM_PATIENTS} WHERE ${where}`;
  const values = [...sql.values];
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor, KIND, SHAPE);
  const keyset = after
    ? ` AND (${ORDER.join(', ')}) > (${after.map((part, i) => sql.param(part, CASTS[i])).join(', ')})`
    : '';
  const text = `SELECT i.sop_instance_uid AS uid, i.sop_class_uid AS class, s.study_instance_uid AS study, s.person, x.series_instance_uid AS series,
      encode(i.wire_digest, 'hex') AS wire, i.study::text AS "studyId", m.overlay -> 'set' AS "ofSeries", i.overlay -> 'set' AS set, s.labels,
      ${withKept ? 's.attributes' : 'NULL'} AS kept, ${ORDER.map((column, i) => `(${column})::text AS k${i}`).join(', ')}
    FROM ${from}${keyset} ORDER BY ${ORDER.join(', ')} LIMIT ${sql.param(query.limit + 1, 'int')}`;
  return { from, values, page: { text, values: sql.values } };
}

async function locateIn(
  run: Run,
  query: Query,
  { attributes = DEFAULT_ATTRIBUTES, archives = [] }: LocateOptions,
  restrictions: Restrictions | null | undefined,
): Promise<LocateReplyV1> {
  const order = query.model === 'patientless' ? [] : askingOrder(archives);
  const filter = filterOf(restrictions);
  const { from, values, page } = pageOf(query, filter, (restrictions?.obscure.size ?? 0) > 0);
  const hiding = (
    overlay: OverlayV1 | undefined,
    labels: readonly string[] | null,
    kept: KeptAttributes | null,
  ): OverlayV1 | undefined =>
    restrictions && labels ? concealing(overlay, restrictions, labels, kept ?? {}, attributes) : overlay;
  const rows = await run<LocatedRow>(page.text, page.values);
  const given = rows.slice(0, query.limit);
  const { total, patients } = await counted(run, rows, query, from, values);
  const uidsGiven = given.map((row) => row.uid);
  const wires = given.map((row) => row.wire);
  const copies = groupCopies(await run<CopyRow>(COPIES, [uidsGiven, wires, query.principal.site]));
  const elsewhere = await archivesOf(run, uidsGiven, order);
  const overlayOf = await readOverlays(run, query.principal, given);
  const deeper = await shallowOf(run, query, total, order, filter);
  const ofShallow = await shallowOverlays(
    run,
    query.principal,
    deeper.map((one) => one.studyInstanceUid),
  );
  const shallow = deeper.map((one) => {
    const found = ofShallow.get(one.studyInstanceUid);
    const overlay = hiding(found?.overlay, found?.labels ?? [], found?.kept ?? null);
    return { ...one, ...(overlay ? { overlay } : {}) };
  });
  const last = rows.length > query.limit ? given.at(-1) : undefined;
  return {
    total,
    patients,
    instances: given.map((row) =>
      withOverlay(hiding(overlayOf(row), row.labels, row.kept), {
        sopInstanceUid: row.uid,
        sopClassUid: row.class,
        wireDigest: row.wire,
        copies: copies.get(row.uid + row.wire) ?? [],
        ...(elsewhere.has(row.uid) ? { archives: elsewhere.get(row.uid) } : {}),
        ...(row.study === null ? {} : { studyInstanceUid: row.study }),
        ...(row.series === null ? {} : { seriesInstanceUid: row.series }),
      }),
    ),
    ...(shallow.length > 0 ? { shallow } : {}),
    ...(last ? { cursor: writeCursor(KIND, [last.k0, last.k1, last.k2, last.k3, last.k4]) } : {}),
  };
}

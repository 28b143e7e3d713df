import {
  SearchV1Schema,
  type DicomJson,
  type QueryKey,
  type SearchReplyV1,
  type SearchV1,
} from '@archipelago/contracts';
import {
  DEFAULT_ATTRIBUTES,
  planSearch,
  type AttributeSet,
  type CatalogLevel,
  type KeptAttributes,
  type QueryAttribute,
  type SearchPlan,
} from '@archipelago/catalog-model';
import type { z } from 'zod';
import { SEES_ALL, type LabelFilter } from './access';
import { noticesOf, tooDeep, type ArchiveState } from './archives';
import { availability } from './availability';
import { conceal } from './conceal';
import { readCursor, writeCursor } from './cursor';
import { restrictedRows } from './restriction-sql';
import type { Restrictions } from './restrictions';
import { toMatch, wantedItems } from './result';
import type { QueryRunner } from './runner';
import { searchStatement } from './search-sql';
import { readIdentities, showIdentity, shownIdentity, type OwnIdentity } from './shown-identity';

export interface SearchOptions {
  attributes?: AttributeSet;
  /** What rules keep from who asks (`RestrictionReader`). */
  restrictions?: Restrictions | null;
  /** What is known of the archives (`readArchives`), for saying what the answer may miss. None: there are no archives. */
  archives?: readonly ArchiveState[];
  /** Largest page in bytes of JSON (default 256 KiB); one match is always given. */
  pageBytes?: number;
}

/** InstanceAvailability; computed where it is asked for. RetrieveAETitle is the edge's own, whoever has the bytes. */
const AVAILABILITY = '00080056';
export const PAGE_BYTES = 256 * 1024;
const UNIQUE_KEYS: Record<CatalogLevel, string[]> = {
  PATIENT: ['00100020'],
  STUDY: ['00100020', '0020000D'],
  SERIES: ['00100020', '0020000D', '0020000E'],
  IMAGE: ['00100020', '0020000D', '0020000E', '00080018'],
};

/** What was asked for, and the unique keys of the level and those above (PS3.4 C.4.1.1.3.2). */
function returnsOf(plan: SearchPlan, attributes: AttributeSet): QueryAttribute[] {
  const keys = plan.model === 'patientless' ? ['00080018', '00080016'] : UNIQUE_KEYS[plan.level];
  const unique = keys.flatMap((key) => attributes.get(key) ?? []);
  return [...new Map([...unique, ...plan.returns].map((one) => [one.key, one])).values()];
}

type Row = Record<string, unknown>;

function ownIdentity(row: Row): OwnIdentity {
  return {
    person: String(row['person']),
    issuer: String(row['issuer']),
    patientId: String(row['patient_id']),
    linked: row['linked'] === true,
  };
}

/**
 * Answers one page of a search. Pages follow each other by the sort key of the last match given: rows that do not
 * change are neither skipped nor repeated while others arrive.
 * @throws InvalidCursorError, QueryTimeoutError, TransientError when the database is away
 */
export async function search(
  runner: QueryRunner,
  request: SearchV1,
  options: SearchOptions = {},
): Promise<SearchReplyV1> {
  const query = SearchV1Schema.parse(request) as z.output<typeof SearchV1Schema>;
  const attributes = options.attributes ?? DEFAULT_ATTRIBUTES;
  const plan = planSearch(query, attributes);
  if (plan.malformed.length > 0)
    return { matches: [], unsupported: plan.unsupported, malformed: plan.malformed, notices: [] };
  const returns = returnsOf(plan, attributes);
  const keys = query.keys as QueryKey[];
  const archives = options.archives ?? [];
  const { restrictions } = options;
  const labelFilter: LabelFilter = restrictions ? restrictedRows(restrictions) : SEES_ALL;
  const statement = (after?: readonly (string | number)[]): ReturnType<typeof searchStatement> =>
    searchStatement({
      plan,
      principal: query.principal,
      sopClasses: query.sopClasses,
      limit: query.limit + 1,
      returns,
      requestedIssuer: keys.find((key) => key.tag === '00100021')?.values.find((value) => value !== ''),
      labelFilter,
      restrictions,
      after,
    });
  const { order } = statement();
  const kind = `search:${order.kind}`;
  const { text, sorted, values, aliases, computed } = statement(
    query.cursor === undefined ? undefined : readCursor(query.cursor, kind, order.shape),
  );
  const rows = await runner.readEither<Row>({ text, values }, { text: sorted, values });
  const wanted = wantedItems(keys);
  const given = rows.slice(0, query.limit);
  const identities = await readIdentities(runner, [
    ...new Set(given.filter((row) => row['linked'] === true).map((row) => String(row['person']))),
  ]);
  const matches: DicomJson[] = [];
  let bytes = 0;
  const rowId = (row: Row): string => String(row[`k${order.columns.length - 1}`]);
  const available = keys.some((key) => key.tag === AVAILABILITY)
    ? await availability(runner, plan.level, plan.model === 'patientless' ? [] : given.map(rowId), archives)
    : null;
  for (const row of given) {
    const full = toMatch(
      {
        kept: aliases.map((alias) => row[`kept_${alias}`] as KeptAttributes).reverse(),
        computed: Object.fromEntries(computed.map((attribute, i) => [attribute.key, row[`c${i}`]])),
        issuer: row['issuer'] as string | undefined,
      },
      returns,
      wanted,
    );
    const shown = plan.model === 'patientless' ? null : shownIdentity(query.principal, ownIdentity(row), identities);
    if (shown) showIdentity(full, shown, wanted.get('00101002'));
    if (available) full[AVAILABILITY] = { vr: 'CS', Value: [available.get(rowId(row)) ?? 'ONLINE'] };
    // of objects without a patient no rule of studies speaks
    const labels = row['labels'] as string[] | undefined;
    const match = restrictions && labels ? conceal(full, restrictions, labels, attributes) : full;
    bytes += Buffer.byteLength(JSON.stringify(match));
    if (matches.length > 0 && bytes > (options.pageBytes ?? PAGE_BYTES)) break;
    matches.push(match);
  }
  const last = rows[matches.length - 1];
  const more = last !== undefined && rows.length > matches.length;
  const key = more ? order.columns.map((_, i) => String(last[`k${i}`])) : [];
  const unsupported = [...new Set([...plan.unsupported, ...tooDeep(archives, plan)])];
  return {
    matches,
    unsupported,
    notices: noticesOf(archives, plan),
    ...(more ? { cursor: writeCursor(kind, key) } : {}),
  };
}

/** What rules keep from who asks, as conditions of queries (docs/adr/0030). */
import type { CatalogLevel, Predicate } from '@archipelago/catalog-model';
import { shown } from '../shown';
import type { LabelFilter } from './access';
import { COUNTS_OF_PERSON, denies, type Restrictions, type When } from './restrictions';
import type { QueryRunner } from './runner';
import type { SqlBuilder } from './sql-builder';

/** What an answer is sorted by. */
const SORTED_BY: Record<CatalogLevel, readonly string[]> = {
  PATIENT: ['00100020'],
  STUDY: ['00080020', '00080030'],
  SERIES: ['00200011'],
  IMAGE: ['00200013'],
};

/** Conditions under which the element is not to be matched; undefined: there are none. */
function unmatched({ hide, obscure }: Restrictions, key: string): When | undefined {
  const all = [...(hide.has(key) ? [hide.get(key)!] : []), ...(obscure.get(key) ?? []).map(({ when }) => when)];
  if (all.length === 0) return undefined;
  return all.some((when) => when === null) ? null : [...new Set(all.flatMap((when) => when ?? []))];
}

/** A condition on the labels of the study in that alias; null: always true. */
export function apart(when: When | undefined, alias: string, sql: SqlBuilder): string | null {
  if (when === null) return 'false';
  if (when === undefined || when.length === 0) return null;
  return `NOT (${alias}.labels && ${sql.param([...when], 'text[]')})`;
}

const STUDIES_OF = `SELECT 1 FROM study v WHERE v.person = p.person AND v.grouped IS NULL AND ${shown('v')}`;

/** Rows that who asks may know of: studies, and persons of whom they may know a study. */
export function restrictedRows({ deny }: Restrictions): LabelFilter {
  return (_principal, alias, sql) => {
    // what has no study is kept as well from whom nothing is for
    if (deny === null) return 'false';
    if (alias === 's') return apart(deny, 's', sql);
    const some = alias === 'p' ? apart(deny, 'v', sql) : null;
    return some === null ? null : `EXISTS (${STUDIES_OF} AND ${some})`;
  };
}

function keysOf(predicate: Predicate): string[] {
  if (predicate.kind === 'combined') return [predicate.date.key, predicate.time.key];
  if (predicate.kind === 'sequence') return [predicate.attribute.key, ...predicate.inner.flatMap(keysOf)];
  return [predicate.attribute.key];
}

/** What is hidden matches nothing: the rows, by alias of study or patient, on which these predicates may be tried. */
export function restrictedMatching(
  restrictions: Restrictions,
  keys: readonly string[],
  alias: 's' | 'p',
  sql: SqlBuilder,
): string[] {
  if (denies(restrictions) && keys.some((key) => COUNTS_OF_PERSON.includes(key))) return ['false'];
  return [...new Set(keys)].flatMap((key) => {
    const when = unmatched(restrictions, key);
    if (when === undefined) return [];
    if (alias === 's' || when === null) return apart(when, 's', sql) ?? [];
    return `NOT EXISTS (${STUDIES_OF} AND v.labels && ${sql.param([...when], 'text[]')})`;
  });
}

export const predicateKeys = (predicates: readonly Predicate[]): string[] => predicates.flatMap(keysOf);

/** Answers of the level are not to be sorted as they are. */
export function hidesOrder(restrictions: Restrictions, level: CatalogLevel): boolean {
  return SORTED_BY[level].some((key) => unmatched(restrictions, key) !== undefined);
}

/** Labels of the row, or of all studies of the person. */
export const labelsColumn = (alias: 's' | 'p'): string =>
  alias === 's'
    ? 's.labels AS labels'
    : `ARRAY(SELECT DISTINCT l FROM study v, unnest(v.labels) l WHERE v.person = p.person) AS labels`;

/** How many of the studies that are named are denied: for the log of those who run the system, not for who asks. */
export async function deniedStudies(
  runner: QueryRunner,
  studyInstanceUids: readonly string[],
  { deny }: Restrictions,
): Promise<number> {
  if (!denies({ deny })) return 0;
  const [row] = await runner.read((run) =>
    run<{ count: number }>(
      `SELECT count(DISTINCT study_instance_uid)::int AS count FROM study s
       WHERE study_instance_uid = ANY($1::text[]) AND ${shown('s')} AND ($2::text[] IS NULL OR labels && $2)`,
      [studyInstanceUids, deny],
    ),
  );
  return row?.count ?? 0;
}

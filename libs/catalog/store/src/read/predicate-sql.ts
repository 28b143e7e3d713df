/** From predicates to conditions: typed columns where there are some, JSONB for the rest. */
import type { CatalogLevel, Predicate, QueryAttribute, ValueTest } from '@archipelago/catalog-model';
import { attributeCondition, nameCondition, patternCondition } from './attribute-sql';
import type { SqlBuilder } from './sql-builder';

type Kind = 'text' | 'number' | 'array' | 'name' | 'count';
interface Column {
  name: string;
  kind: Kind;
  /** Non-null twin that the sort index is on: a range on it is served in sort order. */
  sort?: string;
}

const PERSON: Record<string, Column> = {
  '00100010': { name: 'name', kind: 'name' },
  '00100020': { name: 'patient_id', kind: 'text' },
  '00100021': { name: 'issuer', kind: 'text' },
  '00100030': { name: 'birth_date', kind: 'number' },
  '00100040': { name: 'sex', kind: 'text' },
};
const PATIENT_COUNTS: Record<string, Column> = {
  '00201200': { name: 'studies', kind: 'count' },
  '00201202': { name: 'series', kind: 'count' },
  '00201204': { name: 'instances', kind: 'count' },
};
const STUDY: Record<string, Column> = {
  '0020000D': { name: 'study_instance_uid', kind: 'text' },
  '00080020': { name: 'study_date', kind: 'number', sort: 'sort_date' },
  '00080030': { name: 'study_time', kind: 'number' },
  '00200010': { name: 'study_id', kind: 'text' },
  '00080050': { name: 'accession_number', kind: 'text' },
  '00080061': { name: 'modalities', kind: 'array' },
  '00080062': { name: 'sop_classes', kind: 'array' },
  '00201206': { name: 'series', kind: 'count' },
  '00201208': { name: 'instances', kind: 'count' },
};
const SERIES: Record<string, Column> = {
  '0020000E': { name: 'series_instance_uid', kind: 'text' },
  '00080060': { name: 'modality', kind: 'text' },
  '00200011': { name: 'series_number', kind: 'number' },
  '00201209': { name: 'instances', kind: 'count' },
};
const IMAGE: Record<string, Column> = {
  '00080018': { name: 'sop_instance_uid', kind: 'text' },
  '00080016': { name: 'sop_class_uid', kind: 'text' },
  '00200013': { name: 'instance_number', kind: 'number' },
  '00083002': { name: 'transfer_syntax_uid', kind: 'text' },
};

/** Aliases: p patient, s study, x series, i instance. */
export type Alias = 'p' | 's' | 'x' | 'i';
const ALIAS: Record<CatalogLevel, Alias> = { PATIENT: 'p', STUDY: 's', SERIES: 'x', IMAGE: 'i' };
const COLUMNS: Record<Alias, Record<string, Column>> = {
  p: { ...PERSON, ...PATIENT_COUNTS },
  s: { ...PERSON, ...STUDY },
  x: SERIES,
  i: IMAGE,
};

/** The row that holds an attribute at a query level: below PATIENT, a study's row has its patient's values. */
export function aliasOf(attribute: QueryAttribute, level: CatalogLevel, patientless: boolean): Alias {
  if (patientless) return 'i';
  if (attribute.level === 'PATIENT' && level !== 'PATIENT' && PATIENT_COUNTS[attribute.key] === undefined) return 's';
  return ALIAS[attribute.level];
}

function rangeCondition(column: string, test: Extract<ValueTest, { test: 'range' }>, sql: SqlBuilder): string {
  const conditions: string[] = [];
  if (test.from !== undefined) conditions.push(`${column} >= ${sql.param(test.from)}`);
  if (test.to !== undefined) conditions.push(`${column} <= ${sql.param(test.to)}`);
  return conditions.join(' AND ') || 'true';
}

function emptyCondition(alias: Alias, column: Column): string {
  const name = `${alias}.${column.name}`;
  if (column.kind === 'number') return `${name} IS NULL`;
  if (column.kind === 'array') return `cardinality(${name}) = 0`;
  if (column.kind === 'count') return 'false';
  return column.kind === 'name'
    ? `(${groupsOf(alias)
        .map((group) => `${group} = ''`)
        .join(' AND ')})`
    : `${name} = ''`;
}

function groupsOf(alias: Alias): string[] {
  return ['name_alphabetic', 'name_ideographic', 'name_phonetic'].map((group) => `${alias}.${group}`);
}

function columnTest(alias: Alias, column: Column, test: ValueTest, sql: SqlBuilder): string {
  const name = `${alias}.${column.name}`;
  if (test.test === 'empty') return emptyCondition(alias, column);
  if (column.kind === 'name') return nameCondition(groupsOf(alias), `${alias}.name_words`, test, sql);
  if (test.test === 'number') return `${name} = ${sql.param(test.value, 'numeric')}`;
  if (test.test === 'range') {
    if (column.sort === undefined) return `(${rangeCondition(name, test, sql)})`;
    // the twin alone, so that the planner does not count the same condition twice; there, "no date" is 0
    const known = test.from === undefined ? `${name} IS NOT NULL AND ` : '';
    return `(${known}${rangeCondition(`${alias}.${column.sort}`, test, sql)})`;
  }
  if (test.test !== 'text') return 'false';
  if (column.kind !== 'array') return patternCondition(name, test.pattern, sql);
  // && lets the index on the array serve it
  if (test.pattern.exact) return `${name} && ${sql.param([test.pattern.prefix], 'text[]')}`;
  return `EXISTS (SELECT 1 FROM unnest(${name}) v WHERE v COLLATE "C" LIKE ${sql.param(test.pattern.like)})`;
}

/** UIDs of a list are one array: the plan does not grow with the list. */
function columnCondition(alias: Alias, column: Column, tests: ValueTest[], sql: SqlBuilder): string {
  const exact = tests.flatMap((test) => (test.test === 'text' && test.pattern.exact ? [test.pattern.prefix] : []));
  if (exact.length === tests.length && exact.length > 1) {
    const list = sql.param(exact, 'text[]');
    return column.kind === 'array' ? `${alias}.${column.name} && ${list}` : `${alias}.${column.name} = ANY(${list})`;
  }
  return `(${tests.map((test) => columnTest(alias, column, test, sql)).join(' OR ')})`;
}

/** Combined range on the typed columns of a study: the pair compares as one value. */
function combinedStudyCondition(
  alias: Alias,
  from: bigint | undefined,
  to: bigint | undefined,
  sql: SqlBuilder,
): string {
  const value = `(${alias}.sort_date::bigint * 100000000000 + ${alias}.sort_time)`;
  const conditions = [`${alias}.study_date IS NOT NULL`];
  const day = (bound: bigint): number => Number(bound / 100_000_000_000n);
  if (from !== undefined)
    conditions.push(
      `${value} >= ${sql.param(String(from), 'bigint')}`,
      `${alias}.sort_date >= ${sql.param(day(from))}`,
    );
  if (to !== undefined)
    conditions.push(`${value} <= ${sql.param(String(to), 'bigint')}`, `${alias}.sort_date <= ${sql.param(day(to))}`);
  return `(${conditions.join(' AND ')})`;
}

/**
 * A patient shows the name that came last; whoever knows an earlier one, from a study before a marriage or a correction,
 * must find the patient by it as well. Each study shows the name under which it came first. The list is made once, and
 * the index on the id serves it.
 */
function everyNameOf(own: string, column: Column, tests: ValueTest[], sql: SqlBuilder): string {
  const asked = tests.filter((test) => test.test !== 'empty');
  if (asked.length === 0) return own;
  const ofStudy = columnCondition('s', column, asked, sql);
  return `(${own} OR p.id = ANY(ARRAY(SELECT s.patient FROM study s WHERE s.instances > 0 AND ${ofStudy})))`;
}

/** The condition of one predicate on the row of its alias. */
export function predicateCondition(predicate: Predicate, alias: Alias, sql: SqlBuilder): string {
  if (predicate.kind === 'combined' && predicate.date.key === '00080020' && alias === 's') {
    return combinedStudyCondition(alias, predicate.from, predicate.to, sql);
  }
  const column = predicate.kind === 'value' ? COLUMNS[alias][predicate.attribute.key] : undefined;
  if (predicate.kind === 'value' && column) {
    const condition = columnCondition(alias, column, predicate.tests, sql);
    return alias === 'p' && column.kind === 'name' ? everyNameOf(condition, column, predicate.tests, sql) : condition;
  }
  return attributeCondition(`${alias}.attributes`, predicate, sql);
}

export function attributeOf(predicate: Predicate): QueryAttribute {
  return predicate.kind === 'combined' ? predicate.date : predicate.attribute;
}

/** The effective value of a computed attribute as SQL, for the answer; a count that no archive said is none, not 0. */
export function computedColumn(key: string, alias: Alias): string | undefined {
  const column = COLUMNS[alias][key];
  if (column?.kind === 'count') return `nullif(${alias}.${column.name}, 0)`;
  return column ? `${alias}.${column.name}` : undefined;
}

/** Conditions on attributes kept in JSONB: any value of the attribute may fulfil any of the tests. */
import type { Predicate, TextPattern, ValueTest } from '@archipelago/catalog-model';
import type { SqlBuilder } from './sql-builder';

const NEVER = 'false';

/** Upper bound of the strings that begin with the prefix, by code point; null when there is none. */
export function prefixEnd(prefix: string): string | null {
  const points = Array.from(prefix);
  for (let i = points.length - 1; i >= 0; i--) {
    const point = (points[i] as string).codePointAt(0) as number;
    // surrogates are no characters: the next one after U+D7FF is U+E000
    if (point < 0x10ffff)
      return points.slice(0, i).join('') + String.fromCodePoint(point === 0xd7ff ? 0xe000 : point + 1);
  }
  return null;
}

/** A pattern on a text column or expression; a literal prefix also becomes a range, which an index can serve. */
export function patternCondition(expression: string, pattern: TextPattern, sql: SqlBuilder): string {
  if (pattern.exact) return `${expression} = ${sql.param(pattern.prefix)}`;
  const conditions: string[] = [];
  const end = prefixEnd(pattern.prefix);
  if (pattern.prefix !== '') conditions.push(`${expression} >= ${sql.param(pattern.prefix)}`);
  if (pattern.prefix !== '' && end !== null) conditions.push(`${expression} < ${sql.param(end)}`);
  // `abc*` is the range alone
  const prefixOnly = pattern.like.endsWith('%') && !/[%_]/.test(pattern.like.slice(0, -1).replace(/\\./g, ''));
  if (!prefixOnly || conditions.length < 2) conditions.push(`${expression} LIKE ${sql.param(pattern.like)}`);
  return `(${conditions.join(' AND ')})`;
}

/** One name given by its three folded groups, as expressions. */
export function nameCondition(groups: readonly string[], words: string, test: ValueTest, sql: SqlBuilder): string {
  if (test.test === 'words') {
    return `(${test.words.map((word) => `${words} LIKE ${sql.param(`% ${word.replace(/[\\%_]/g, '\\$&')}%`)}`).join(' AND ')})`;
  }
  if (test.test !== 'name') return NEVER;
  const patterns = test.groups;
  if (test.anyGroup) {
    const pattern = patterns[0];
    if (!pattern) return 'true';
    // rows without a group have '' there; the condition lets the partial indexes be used
    return `(${groups.map((g, i) => (i === 0 ? patternCondition(g, pattern, sql) : `(${g} <> '' AND ${patternCondition(g, pattern, sql)})`)).join(' OR ')})`;
  }
  const conditions = patterns.flatMap((pattern, i) =>
    pattern ? [patternCondition(groups[i] as string, pattern, sql)] : [],
  );
  return conditions.length > 0 ? `(${conditions.join(' AND ')})` : 'true';
}

const TIME_DIGITS = `rpad(replace(replace(v #>> '{}', ':', ''), '.', ''), 12, '0')`;

/** Microseconds as the 12 digits HHMMSSFFFFFF that the stored text is compared as. */
function timeDigits(microseconds: number): string {
  const seconds = Math.floor(microseconds / 1_000_000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map((n) =>
    String(n).padStart(2, '0'),
  );
  return parts.join('') + String(microseconds % 1_000_000).padStart(6, '0');
}

function between(expression: string, from: string | undefined, to: string | undefined, sql: SqlBuilder): string {
  const conditions: string[] = [];
  if (from !== undefined) conditions.push(`${expression} COLLATE "C" >= ${sql.param(from)}`);
  if (to !== undefined) conditions.push(`${expression} COLLATE "C" <= ${sql.param(to)}`);
  return conditions.length > 0 ? `(${conditions.join(' AND ')})` : 'true';
}

/** The condition on one JSON value `v` of the attribute. */
function valueCondition(vr: string, test: ValueTest, sql: SqlBuilder): string {
  switch (test.test) {
    case 'text':
      return patternCondition(`(v #>> '{}') COLLATE "C"`, test.pattern, sql);
    case 'number':
      return `(CASE WHEN jsonb_typeof(v) = 'number' THEN v::numeric = ${sql.param(test.value, 'numeric')} ELSE false END)`;
    case 'range': {
      if (vr === 'TM') {
        const [from, to] = [test.from, test.to].map((bound) => (bound === undefined ? undefined : timeDigits(bound)));
        return between(TIME_DIGITS, from, to, sql);
      }
      const [from, to] = [test.from, test.to].map((bound) =>
        bound === undefined ? undefined : String(bound).padStart(8, '0'),
      );
      return `(${between(`replace(v #>> '{}', '.', '')`, from, to, sql)} AND v #>> '{}' ~ '^[0-9.]{8,10}$')`;
    }
    case 'moment':
      return between(
        `rpad(replace(regexp_replace(v #>> '{}', '[+-][0-9]{4}$', ''), '.', ''), 20, '0')`,
        test.from,
        test.to,
        sql,
      );
    default:
      return NEVER;
  }
}

function valuesOf(attributes: string, key: string): string {
  return `jsonb_path_query(${attributes}, '$."${key}"."Value"[*]')`;
}

function testCondition(attributes: string, key: string, vr: string, test: ValueTest, sql: SqlBuilder): string {
  // containment looks at the value in place: a quarter of the time of taking the list of values apart
  if (test.test === 'text' && test.pattern.exact)
    return `${attributes} @> ${sql.param(JSON.stringify({ [key]: { Value: [test.pattern.prefix] } }), 'jsonb')}`;
  if (test.test === 'empty')
    return `NOT EXISTS (SELECT 1 FROM ${valuesOf(attributes, key)} v WHERE v <> 'null'::jsonb)`;
  if (test.test === 'text') {
    // nearly all have one value: only the others are taken apart
    const first = patternCondition(`(${attributes} #>> '{${key},Value,0}') COLLATE "C"`, test.pattern, sql);
    return `(${first} OR (${attributes} #> '{${key},Value,1}' IS NOT NULL AND EXISTS (SELECT 1 FROM ${valuesOf(attributes, key)} v WHERE ${valueCondition(vr, test, sql)})))`;
  }
  if (vr === 'PN') {
    const f = `${attributes} #> '{${key},f}'`;
    const groups = [0, 1, 2].map((group) => `((${f}) ->> (3 * n + ${group})) COLLATE "C"`);
    const words = `(' ' || translate(concat_ws(' ', ${groups.join(', ')}), '^,.=', '    '))`;
    return `EXISTS (SELECT 1 FROM generate_series(0, jsonb_array_length(coalesce(${f}, '[]'::jsonb)) / 3 - 1) n
      WHERE ${nameCondition(groups, words, test, sql)})`;
  }
  return `EXISTS (SELECT 1 FROM ${valuesOf(attributes, key)} v WHERE ${valueCondition(vr, test, sql)})`;
}

/** A condition on a JSONB expression of kept attributes. Keys come from the attribute table, never from a request. */
export function attributeCondition(attributes: string, predicate: Predicate, sql: SqlBuilder, depth = 0): string {
  if (predicate.kind === 'sequence') {
    const items = valuesOf(attributes, predicate.attribute.key);
    if (predicate.empty) return `NOT EXISTS (SELECT 1 FROM ${items} v)`;
    const item = `item${depth}`;
    const inner = predicate.inner.map((one) => attributeCondition(item, one, sql, depth + 1));
    return `EXISTS (SELECT 1 FROM ${items} ${item} WHERE ${inner.join(' AND ')})`;
  }
  if (predicate.kind === 'combined') return combinedCondition(attributes, predicate, sql);
  const { key, vr } = predicate.attribute;
  return `(${predicate.tests.map((test) => testCondition(attributes, key, vr, test, sql)).join(' OR ')})`;
}

function combinedCondition(
  attributes: string,
  predicate: Extract<Predicate, { kind: 'combined' }>,
  sql: SqlBuilder,
): string {
  const date = `replace(${attributes} #>> '{${predicate.date.key},Value,0}', '.', '')`;
  const time = `rpad(replace(replace(coalesce(${attributes} #>> '{${predicate.time.key},Value,0}', ''), ':', ''), '.', ''), 12, '0')`;
  const digits = (bound: bigint | undefined): string | undefined =>
    bound === undefined
      ? undefined
      : String(bound / 100_000_000_000n).padStart(8, '0') + timeDigits(Number(bound % 100_000_000_000n));
  const range = between(`(${date} || ${time})`, digits(predicate.from), digits(predicate.to), sql);
  return `(${attributes} #>> '{${predicate.date.key},Value,0}' IS NOT NULL AND ${range})`;
}

/** From the raw values of one key to tests, by VR (PS3.4 C.2.2.2). */
import type { QueryKey } from '@archipelago/contracts';
import type { QueryAttribute } from './attributes';
import type { Predicate, TextPattern, ValueTest } from './predicate';
import { foldNameGroup, foldText, sanitise } from './text';
import { parseDate, parseDateTimeSpan, parseTimeSpan } from './temporal';

/**
 * What one key asks: a predicate, nothing (universal matching), something this catalog cannot match, or a value that its
 * VR does not allow: whoever asked meant something else, and must not get the answer to another question.
 */
export type Matching = Predicate | 'universal' | 'unsupported' | 'malformed';

/** VRs with wildcard matching (PS3.4 C.2.2.2.4). */
const WILDCARD_VRS = new Set(['AE', 'CS', 'LO', 'LT', 'SH', 'ST', 'UC', 'UR', 'UT', 'AS']);
const NUMBER_VRS = new Set(['IS', 'DS', 'US', 'SS', 'UL', 'SL', 'FL', 'FD', 'SV', 'UV']);
/** Two quotation marks as the whole value (PS3.4 C.2.2.2.8). */
const EMPTY_VALUE = '""';

/** Names of PS3.4 C.2.2.2. */
export type MatchingType =
  'single value' | 'list of UID' | 'wildcard' | 'range' | 'date time' | 'sequence' | 'empty value';

/** How a key of this VR can be matched, beside universal matching, which every key has. For the conformance statement. */
export function matchingTypes(vr: string): MatchingType[] {
  if (vr === 'SQ') return ['sequence', 'empty value'];
  if (vr === 'UI') return ['single value', 'list of UID', 'empty value'];
  if (vr === 'DA' || vr === 'TM') return ['single value', 'range', 'empty value'];
  if (vr === 'DT') return ['single value', 'date time', 'empty value'];
  if (vr === 'PN' || WILDCARD_VRS.has(vr)) return ['single value', 'wildcard', 'empty value'];
  return ['single value', 'empty value'];
}

function escapeLike(literal: string): string {
  return literal.replace(/[\\%_]/g, '\\$&');
}

/** DICOM wildcards (`*` any run of characters, `?` any one) as a LIKE pattern. */
export function textPattern(value: string, wildcards = true): TextPattern {
  const first = wildcards ? value.search(/[*?]/) : -1;
  if (first < 0) return { like: escapeLike(value), prefix: value, exact: true };
  const like = escapeLike(value).replace(/\*+/g, '%').replaceAll('?', '_');
  return { like, prefix: value.slice(0, first), exact: false };
}

function nameTest(value: string, fuzzy: boolean): ValueTest | null {
  if (fuzzy) {
    const words = foldText(value)
      .split(/[\s^,.=*?]+/u)
      .filter((word) => word !== '');
    return words.length > 0 ? { test: 'words', words: words.slice(0, 8) } : null;
  }
  const groups = value.split('=').slice(0, 3);
  const patterns = groups.map((group) => {
    const folded = foldNameGroup(group);
    return folded === '' || /^\*+$/.test(folded) ? null : textPattern(folded);
  });
  if (patterns.every((pattern) => pattern === null)) return null;
  return { test: 'name', groups: patterns, anyGroup: !value.includes('=') };
}

/** `from-to`, `from-`, `-to` or one value; null when it is none of these. */
function splitRange(value: string): { from: string; to: string } | null {
  const parts = value.split('-').map((part) => part.trim());
  if (parts.length === 1) return { from: value, to: value };
  const [from = '', to = ''] = parts;
  return parts.length === 2 && (from !== '' || to !== '') ? { from, to } : null;
}

function dateTest(value: string): ValueTest | null {
  const range = splitRange(value);
  if (!range) return null;
  const [from, to] = [parseDate(range.from), parseDate(range.to)];
  if ((range.from !== '' && from === null) || (range.to !== '' && to === null)) return null;
  return { test: 'range', ...(from === null ? {} : { from }), ...(to === null ? {} : { to }) };
}

function timeTest(value: string): ValueTest | null {
  const range = splitRange(value);
  if (!range) return null;
  const [from, to] = [parseTimeSpan(range.from), parseTimeSpan(range.to)];
  if ((range.from !== '' && !from) || (range.to !== '' && !to)) return null;
  return { test: 'range', ...(from ? { from: from.from } : {}), ...(to ? { to: to.to } : {}) };
}

const OFFSET = String.raw`(?:[+-](?:0\d|1[0-4])[0-5]\d)?`;
const MOMENT = String.raw`\d{4}(?:\d{2}){0,5}(?:\.\d{1,6})?`;
/** A hyphen is a range unless an offset follows the value; `2024-0500` reads as an offset (PS3.4 C.2.2.2.5.3). */
const DATE_TIME_RANGE = new RegExp(`^(${MOMENT}${OFFSET})?(-)?(${MOMENT}${OFFSET})?$`);

function dateTimeTest(value: string): ValueTest | null {
  const found = DATE_TIME_RANGE.exec(value.replaceAll(' ', ''));
  if (!found || (found[1] === undefined && found[3] === undefined)) return null;
  if (found[1] !== undefined && found[3] !== undefined && found[2] === undefined) return null;
  const from = found[1] === undefined ? null : parseDateTimeSpan(found[1]);
  const to = found[3] === undefined ? (found[2] === undefined ? from : null) : parseDateTimeSpan(found[3]);
  return { test: 'moment', ...(from ? { from: from.from } : {}), ...(to ? { to: to.to } : {}) };
}

/** PS3.5 6.2, IS and DS; the binary VRs come as decimals too. */
const INTEGER = /^[+-]?\d{1,12}$/;
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function numberTest(vr: string, value: string): ValueTest | null {
  const number = Number(value);
  return (vr === 'IS' ? INTEGER : DECIMAL).test(value) && Number.isFinite(number)
    ? { test: 'number', value: number }
    : null;
}

/** PS3.5 9.1; components with leading zeros are stored, so they can be asked for. */
const UID = /^(?=.{1,64}$)\d+(?:\.\d+)*$/;

function uidTest(value: string): ValueTest | null {
  return UID.test(value) ? { test: 'text', pattern: textPattern(value, false) } : null;
}

function valueTest(vr: string, value: string, fuzzy: boolean): ValueTest | null {
  if (value === EMPTY_VALUE) return { test: 'empty' };
  if (vr === 'PN') return nameTest(value, fuzzy);
  if (vr === 'DA') return dateTest(value);
  if (vr === 'TM') return timeTest(value);
  if (vr === 'DT') return dateTimeTest(value);
  if (vr === 'UI') return uidTest(value);
  if (NUMBER_VRS.has(vr)) return numberTest(vr, value);
  return { test: 'text', pattern: textPattern(value, WILDCARD_VRS.has(vr)) };
}

function sequenceMatching(attribute: QueryAttribute, key: QueryKey, fuzzy: boolean): Matching {
  const items = key.items ?? [];
  if (items.length === 0)
    return key.values.includes(EMPTY_VALUE) ? { kind: 'sequence', attribute, inner: [], empty: true } : 'universal';
  // PS3.4 C.2.2.2.6: the sequence of a request has one item
  if (items.length > 1) return 'malformed';
  const inner: Predicate[] = [];
  let unsupported = false;
  for (const itemKey of items[0] ?? []) {
    const kept = attribute.items?.find((one) => one.key === itemKey.tag);
    const matching = kept ? keyMatching(kept, itemKey, fuzzy) : asksNothing(itemKey) ? 'universal' : 'unsupported';
    if (matching === 'malformed') return 'malformed';
    if (matching === 'unsupported') unsupported = true;
    else if (matching !== 'universal') inner.push(matching);
  }
  if (unsupported) return 'unsupported';
  return inner.length > 0 ? { kind: 'sequence', attribute, inner, empty: false } : 'universal';
}

/** A key without a value to match: universal matching, at whatever depth. */
export function asksNothing(key: QueryKey): boolean {
  return key.values.every(isUniversal) && (key.items ?? []).every((item) => item.every(asksNothing));
}

/** Zero length, or only `*` (PS3.4 C.2.2.2.3, C.2.2.2.4). */
function isUniversal(value: string): boolean {
  return /^\s*\**\s*$/.test(value);
}

/** What a key with the attribute's VR (not the requester's: a wrong VR must not change the meaning) asks. */
export function keyMatching(attribute: QueryAttribute, key: QueryKey, fuzzyNames: boolean): Matching {
  if (attribute.vr === 'SQ') return sequenceMatching(attribute, key, fuzzyNames);
  const values = key.values.map((value) => sanitise(value).trim());
  if (values.every((value) => value === '')) return 'universal';
  const asked = values.filter((value) => value !== '');
  const tests = asked.map((value) => (isUniversal(value) ? 'universal' : valueTest(attribute.vr, value, fuzzyNames)));
  // a name of wildcards only ("*^*" folds to nothing) is no test but no mistake either
  if (tests.includes(null) && attribute.vr !== 'PN') return 'malformed';
  // one alternative that matches everything makes the key universal
  if (tests.some((test) => test === 'universal' || test === null)) return 'universal';
  return { kind: 'value', attribute, tests: tests as ValueTest[] };
}

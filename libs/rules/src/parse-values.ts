import { formatDecimalString, lookupKeyword, overlayObstacle, vrRule } from '@archipelago/dicom-core';
import { compileExpression, type Expression } from './expression';
import type { ValueSource } from './model';
import type { Place, Source } from './source';
import { valueProblem } from './value-check';

const OBSTACLES: Record<string, string> = {
  'identifies-instance': 'UIDs are never overlaid',
  'file-meta': 'file meta information belongs to the file',
  'pixel-description': 'says what the pixel data means',
  'written-by-encoder': 'is written by the encoder',
  private: 'private elements are never touched',
  unknown: 'is not in the dictionary',
};

/** An element that may be shown with another value. `valued`: it also takes one (no sequence, no bytes). */
export function checkTag(source: Source, keyword: string, place: Place, valued: boolean): boolean {
  const entry = lookupKeyword(keyword);
  if (entry?.tag === undefined) {
    source.error('unknown-tag', `no attribute ${keyword}`, place);
    return false;
  }
  const obstacle = overlayObstacle(entry.tag);
  if (obstacle) {
    source.error('forbidden-tag', `${keyword} can never be changed: ${OBSTACLES[obstacle]}`, place);
    return false;
  }
  const kind = vrRule(entry.vr.split('/')[0])?.kind;
  if (valued && (kind === undefined || kind === 'sequence' || kind === 'bytes' || kind === 'tag')) {
    source.error('forbidden-tag', `${keyword} is ${entry.vr}: it cannot be given a value`, place);
    return false;
  }
  return true;
}

/** Compiles an expression of the source; its problems get their place inside it. */
export function readExpression(source: Source, place: Place, what: string): Expression | null {
  const text = source.text(place, what);
  if (text === null) return null;
  if (text.trim() === '') {
    source.error('expression', `${what} is empty`, place);
    return null;
  }
  const { expression, problems } = compileExpression(text);
  for (const { code, message, offset } of problems) source.errorInside(code, message, place, offset);
  return expression ?? null;
}

/** keyword: value. A text, a number, a list of them, null (no value), { cel: ... } or { remove: true }. */
export function readAssignments(
  source: Source,
  place: Place,
  what: string,
  compiled: (expression: Expression) => void,
): Record<string, ValueSource> {
  const values: Record<string, ValueSource> = {};
  const pairs = source.pairs(place, what);
  if (pairs?.size === 0) source.error('missing', `${what} names no attribute`, place);
  for (const [key, value] of pairs ?? []) {
    const removal = isMapWith(value, 'remove');
    if (!checkTag(source, key.name, { node: key.node, path: value.path }, !removal)) continue;
    const read = readValue(source, key.name, value, compiled);
    if (read) values[key.name] = read;
  }
  return values;
}

function isMapWith(place: Place, key: string): boolean {
  const items = (place.node as { items?: { key?: { value?: unknown } }[] } | undefined)?.items;
  return items?.some((pair) => pair?.key?.value === key) ?? false;
}

function readValue(
  source: Source,
  keyword: string,
  place: Place,
  compiled: (expression: Expression) => void,
): ValueSource | null {
  if (source.isNull(place)) return { kind: 'constant', values: [] };
  const isMap = isMapWith(place, 'cel') || isMapWith(place, 'remove');
  if (isMap) {
    const fields = source.fields(place, ['cel', 'remove'], 'a value');
    const remove = fields?.get('remove');
    const cel = fields?.get('cel');
    if (remove && cel) source.error('wrong-type', 'a value is either cel or remove', place);
    if (remove) {
      if (source.flag(remove, 'remove') === false) source.error('wrong-type', 'remove is true', remove);
      return { kind: 'remove' };
    }
    return cel ? readComputed(source, keyword, cel, compiled) : null;
  }
  const texts = source.texts(place, `the value of ${keyword}`);
  if (!texts) return null;
  const values = texts.map(({ text }) => text).filter((text, _i, all) => text !== '' || all.length > 1);
  const problem = valueProblem(keyword, values);
  if (problem) source.error('value', `${keyword}: ${problem}`, place);
  return { kind: 'constant', values };
}

function readComputed(
  source: Source,
  keyword: string,
  place: Place,
  compiled: (expression: Expression) => void,
): ValueSource | null {
  const expression = readExpression(source, place, 'cel');
  if (!expression) return null;
  const { type } = expression;
  const numeric = ['number-text', 'binary-number'].includes(vrRule(vrOf(keyword))?.kind ?? '');
  const element = /^list<(.*)>$/.exec(type)?.[1];
  const scalar = element ?? type;
  if (!['string', 'int', 'double', 'dyn'].includes(scalar)) {
    source.errorInside('value', `${keyword} takes text or numbers, not ${type}`, place, 0);
  } else if (numeric && scalar === 'string') {
    source.errorInside('value', `${keyword} is ${vrOf(keyword)}: it takes a number, not text`, place, 0);
  } else if (element !== undefined && lookupKeyword(keyword)?.vm === '1') {
    source.errorInside('value', `${keyword} takes one value, not a list`, place, 0);
  } else if (expression.constant) {
    const problem = valueProblem(keyword, resultTexts(expression.run({ tags: {}, ctx: {} }), vrOf(keyword)) ?? []);
    if (problem) source.errorInside('value', `${keyword}: ${problem}`, place, 0);
  }
  compiled(expression);
  return { kind: 'expression', cel: expression.source };
}

/** The first VR of an element. */
export function vrOf(keyword: string): string {
  return (lookupKeyword(keyword)?.vr ?? '').split('/')[0];
}

/** What an expression gives, as texts of values; undefined for what is no value. */
export function resultTexts(result: unknown, vr: string): string[] | undefined {
  const list: unknown[] = Array.isArray(result) ? (result as unknown[]) : [result];
  const texts: string[] = [];
  for (const value of list) {
    if (typeof value === 'string') texts.push(value);
    else if (typeof value === 'bigint') texts.push(String(value));
    else if (typeof value === 'number' && Number.isFinite(value)) {
      texts.push(vr === 'DS' ? formatDecimalString(value) : String(value));
    } else return undefined;
  }
  return texts.every((text) => text === '') ? [] : texts;
}

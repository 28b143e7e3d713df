import {
  dictionaryEntries,
  lookupKeyword,
  parseDecimalString,
  parseIntegerString,
  vrRule,
  type DictionaryEntry,
} from '@archipelago/dicom-core';
import { LIMITS } from './model';

/** Values of elements by keyword, as text or numbers; null, undefined, '' and [] are absent. */
export type TagValue = string | number | readonly (string | number)[] | null | undefined;
export type TagValues = { readonly [keyword: string]: TagValue };

export type CelScalar = string | bigint | number;

type Scalar = 'string' | 'int' | 'double';

function scalarType(vr: string): Scalar | undefined {
  const first = vr.split('/')[0];
  const rule = vrRule(first);
  if (!rule) return undefined;
  if (rule.kind === 'text') return 'string';
  if (first === 'IS') return 'int';
  if (first === 'DS' || first === 'FL' || first === 'FD') return 'double';
  return rule.kind === 'binary-number' ? 'int' : undefined;
}

/** CEL type of an element: string, int, double, or a list where the dictionary allows several values. */
export function celTypeOf(entry: DictionaryEntry): string | undefined {
  const scalar = scalarType(entry.vr);
  if (scalar === undefined) return undefined;
  return entry.vm === '1' ? scalar : `list<${scalar}>`;
}

/** Every element that a condition may look at, with its CEL type. */
export function tagSchema(): Record<string, string> {
  const schema: Record<string, string> = {};
  for (const entry of dictionaryEntries()) {
    const type = entry.keyword && entry.tag !== undefined ? celTypeOf(entry) : undefined;
    if (type) schema[entry.keyword] = type;
  }
  return schema;
}

/** Plain texts of a value; none when it is absent. */
export function textsOf(value: TagValue): readonly string[] {
  if (value === null || value === undefined) return [];
  const list = Array.isArray(value) ? (value as readonly (string | number)[]) : [value as string | number];
  const texts = list.map(String);
  return texts.every((text) => text === '') ? [] : texts;
}

/** A value that a condition cannot be asked about; `kind` is shown in explanations. */
export class UnreadableValue extends Error {
  constructor(
    readonly keyword: string,
    readonly kind: 'too-many-values' | 'too-long' | 'no-number',
  ) {
    super(`${keyword}: ${kind}`);
  }
}

/** Converts the values of one element; made once per element that a rule set looks at. */
export function tagReader(keyword: string): (value: TagValue) => CelScalar | CelScalar[] | undefined {
  const entry = lookupKeyword(keyword) as DictionaryEntry;
  const scalar = scalarType(entry.vr) as Scalar;
  const single = entry.vm === '1';
  const convert = (text: string): CelScalar => {
    if (scalar === 'string') return text;
    const number = scalar === 'int' ? parseIntegerString(text) : parseDecimalString(text);
    if (number === undefined || !Number.isFinite(number)) throw new UnreadableValue(keyword, 'no-number');
    return scalar === 'int' ? BigInt(number) : number;
  };
  return (value) => {
    const texts = textsOf(value);
    if (texts.length === 0) return undefined;
    if (texts.length > LIMITS.valuesPerTag) throw new UnreadableValue(keyword, 'too-many-values');
    let length = 0;
    for (const text of texts) length += text.length;
    if (length > LIMITS.charactersPerTag) throw new UnreadableValue(keyword, 'too-long');
    // More values than the dictionary allows: a condition on one sees the first, as most readers do.
    return single ? convert(texts[0]) : texts.map(convert);
  };
}

/**
 * The Identifier of C-FIND, C-MOVE and C-GET (PS3.4 C.4.1.1.3, C.4.2.1.4), decoded to Unicode and checked against the
 * information model. Failures are values with the status to answer.
 */
import type { QueryKey, QueryLevel } from '@archipelago/contracts';
import { type Dataset, parseDataset } from '@archipelago/dicom-encoding';
import type { QueryClass } from '../association/query-classes';

export interface QueryIdentifier {
  /** Absent in the patientless models. */
  level?: QueryLevel;
  /** Terms of SpecificCharacterSet (0008,0005) as given; [] when absent. */
  charset: string[];
  /** TimezoneOffsetFromUTC (0008,0201). */
  timezone?: string;
  /** All other attributes, those without value too. */
  keys: QueryKey[];
}

export type IdentifierOutcome =
  { ok: true; identifier: QueryIdentifier } | { ok: false; status: number; comment: string; elements: number[] };

export const IDENTIFIER_MISMATCH = 0xa900;
export const UNABLE_TO_PROCESS = 0xc000;

const SPECIFIC_CHARACTER_SET = 0x00080005;
export const QUERY_RETRIEVE_LEVEL = 0x00080052;
const TIMEZONE = 0x00080201;
/** About the query itself, not about what is looked for. */
const NOT_KEYS: ReadonlySet<number> = new Set([
  SPECIFIC_CHARACTER_SET,
  QUERY_RETRIEVE_LEVEL,
  0x00080053, // QueryRetrieveView
  TIMEZONE,
]);

const MOST_KEYS = 1000;
const DEEPEST = 8;
const NUMBER_VRS: ReadonlySet<string> = new Set(['US', 'SS', 'UL', 'SL', 'FL', 'FD', 'SV', 'UV']);
const BINARY_VRS: ReadonlySet<string> = new Set(['OB', 'OW', 'OF', 'OD', 'OL', 'OV', 'UN']);

export function readIdentifier(bytes: Buffer, transferSyntaxUid: string, model: QueryClass): IdentifierOutcome {
  let dataset: Dataset;
  let keys: QueryKey[];
  try {
    dataset = parseDataset(bytes, transferSyntaxUid);
    keys = keysOf(dataset, 0, { left: MOST_KEYS });
  } catch {
    return { ok: false, status: UNABLE_TO_PROCESS, comment: 'identifier cannot be read', elements: [] };
  }
  const level = levelOf(dataset, model);
  if (typeof level === 'object') return level;
  return {
    ok: true,
    identifier: {
      level,
      charset: dataset.strings(SPECIFIC_CHARACTER_SET),
      timezone: dataset.string(TIMEZONE) || undefined,
      keys,
    },
  };
}

/** PS3.4 C.4.1.2.1: the level is one of the model's; the patientless models have no level key (X.6.1.1). */
function levelOf(
  dataset: Dataset,
  model: QueryClass,
): QueryLevel | undefined | Extract<IdentifierOutcome, { ok: false }> {
  if (model.levels.length === 0) return undefined;
  const given = dataset.string(QUERY_RETRIEVE_LEVEL)?.trim() ?? '';
  if (given === '') return mismatch('QueryRetrieveLevel missing', [QUERY_RETRIEVE_LEVEL]);
  const level = model.levels.find((l) => l === given);
  return level ?? mismatch('QueryRetrieveLevel not of this model', [QUERY_RETRIEVE_LEVEL]);
}

export function mismatch(comment: string, elements: number[]): Extract<IdentifierOutcome, { ok: false }> {
  return { ok: false, status: IDENTIFIER_MISMATCH, comment, elements };
}

function keysOf(dataset: Dataset, depth: number, budget: { left: number }): QueryKey[] {
  const keys: QueryKey[] = [];
  for (const tag of dataset.tags()) {
    if ((tag & 0xffff) === 0 || (depth === 0 && NOT_KEYS.has(tag))) continue;
    if (budget.left-- <= 0 || depth > DEEPEST) throw new RangeError('identifier too large');
    keys.push(keyOf(dataset, tag, depth, budget));
  }
  return keys;
}

function keyOf(dataset: Dataset, tag: number, depth: number, budget: { left: number }): QueryKey {
  const vr = dataset.vr(tag) ?? 'UN';
  const name = tagName(tag);
  if (vr === 'SQ')
    return { tag: name, vr, values: [], items: dataset.items(tag).map((i) => keysOf(i, depth + 1, budget)) };
  if (NUMBER_VRS.has(vr)) return { tag: name, vr, values: dataset.numbers(tag).map(String) };
  if (BINARY_VRS.has(vr)) return { tag: name, vr, values: [] };
  const values = dataset.strings(tag);
  // one empty value is no value: universal matching (PS3.4 C.2.2.2.3)
  return { tag: name, vr, values: values.length === 1 && values[0] === '' ? [] : values };
}

export function tagName(tag: number): string {
  return (tag >>> 0).toString(16).toUpperCase().padStart(8, '0');
}

import { EXACT, unpackLevels, shareOf, type Levels } from './compare';
import { Nearness } from './vocabulary';

/**
 * The latent class model. A pair is of one class; within a class the fields are independent (Fellegi and Sunter 1969, with
 * latent classes as in Winkler 1993 and Larsen and Rubin 2001). Beside "the same person" and "two strangers" there are the
 * pairs that households are full of, which is what a two-class model takes for persons.
 */
export const CLASSES = [
  'same',
  'same, other family name',
  'same, moved',
  'same, moved, other family name',
  'siblings',
  'twins',
  'namesakes in one household',
  'household, other family name',
  'siblings, apart',
  'twins, apart',
  'namesakes, apart',
  'strangers',
] as const;
export type ClassName = (typeof CLASSES)[number];
export const SAME_CLASSES = 4;
export const SIBLINGS = 4;
export const TWINS = 5;
export const NAMESAKES = 6;
export const HOUSEHOLD = 7;
/** The same relatives where one of the two records says another address: who moved is no less a twin. */
export const SIBLINGS_APART = 8;
export const TWINS_APART = 9;
export const NAMESAKES_APART = 10;
export const STRANGERS = 11;

export const FIELDS = ['given', 'family', 'order', 'generation', 'dob', 'sex', 'place', 'street', 'phone'] as const;
export type FieldName = (typeof FIELDS)[number];

/** Distributions over the levels of a field, by the name of the situation that they hold in. */
export type Distributions = Record<FieldName, Record<string, number[]>>;

/** Which distribution of each field holds in each class. */
const STRUCTURE: Record<FieldName, readonly string[]> = {
  given: [
    'same',
    'same',
    'same',
    'same',
    'sibling',
    'sibling',
    'same',
    'sibling',
    'sibling',
    'sibling',
    'same',
    'random',
  ],
  family: ['same', 'random', 'same', 'random', 'same', 'same', 'same', 'random', 'same', 'same', 'same', 'random'],
  order: ['same', 'same', 'same', 'same', 'same', 'same', 'same', 'random', 'same', 'same', 'same', 'random'],
  generation: [
    'same',
    'same',
    'same',
    'same',
    'random',
    'random',
    'namesake',
    'random',
    'random',
    'random',
    'namesake',
    'random',
  ],
  dob: [
    'same',
    'same',
    'same',
    'same',
    'sibling',
    'twin',
    'namesake',
    'random',
    'sibling',
    'twin',
    'namesake',
    'random',
  ],
  sex: ['same', 'same', 'same', 'same', 'random', 'random', 'same', 'opposite', 'random', 'random', 'same', 'random'],
  place: ['same', 'same', 'moved', 'moved', 'same', 'same', 'same', 'same', 'moved', 'moved', 'moved', 'random'],
  street: ['same', 'same', 'random', 'random', 'same', 'same', 'same', 'same', 'random', 'random', 'random', 'random'],
  phone: [
    'same',
    'same',
    'moved',
    'moved',
    'household',
    'household',
    'household',
    'household',
    'household',
    'household',
    'household',
    'random',
  ],
};

/** What is expected before any data: read off the literature on administrative data, not off one data set. */
const EXPECTED: Distributions = {
  //       same   variant part   typo   neighb loose  diff   missing initial
  given: {
    same: [0.85, 0.025, 0.025, 0.045, 0.006, 0.015, 0.024, 0, 0.01],
    random: [0, 0.002, 0.001, 0.002, 0.002, 0.02, 0.943, 0, 0.03],
  },
  family: {
    same: [0.87, 0.012, 0.014, 0.05, 0.006, 0.015, 0.031, 0, 0.002],
    random: [0, 0.0005, 0.0005, 0.001, 0.002, 0.01, 0.956, 0, 0.03],
  },
  order: { same: [0.985, 0.015], random: [0.9995, 0.0005] },
  generation: { same: [0, 0.995, 0.005], random: [0, 0.5, 0.5], namesake: [0, 0.02, 0.98] },
  //       same   swap   typo   two    d+m    year   comp   near   generation
  dob: {
    same: [0.93, 0.01, 0.025, 0.008, 0.003, 0.002, 0.005, 0.008, 0.009],
    random: [0.00004, 0.00001, 0.0004, 0.0008, 0.0015, 0.012, 0.0005, 0.32, 0.66476],
    sibling: [0.00004, 0.00001, 0.002, 0.003, 0.003, 0.01, 0.001, 0.83, 0.15],
    twin: [0.945, 0.01, 0.03, 0.01, 0.0015, 0.0005, 0.002, 0.0005, 0.0005],
    namesake: [0.0002, 0.00002, 0.0005, 0.0008, 0.003, 0.002, 0.0005, 0.06, 0.93298],
  },
  sex: { same: [0.995, 0.005], random: [0.5, 0.5], opposite: [0.04, 0.96] },
  place: {
    same: table([0.9, 0.07, 0.03], [0.93, 0.05, 0.02]),
    moved: mix(table([0.9, 0.07, 0.03], [0.93, 0.05, 0.02]), table([0.02, 0.01, 0.97], [0.005, 0.015, 0.98]), 0.3),
    random: table([0.02, 0.01, 0.97], [0.005, 0.015, 0.98]),
  },
  //       same  near number, near name, other number, near name only, number, different
  street: {
    same: [0.82, 0.04, 0.06, 0.01, 0.015, 0.02, 0.035],
    random: [0.000002, 0.0002, 0.0001, 0.003, 0.008, 0.01, 0.978698],
  },
  phone: {
    same: [0.85, 0.05, 0.1],
    moved: [0.45, 0.03, 0.52],
    household: [0.5, 0.03, 0.47],
    random: [0.000002, 0.000005, 0.999993],
  },
};

function table(city: number[], zip: number[]): number[] {
  const out = new Array<number>(16).fill(0);
  city.forEach((p, c) => zip.forEach((q, z) => (out[c * 4 + z] = p * q)));
  return out;
}
function mix(a: number[], b: number[], share: number): number[] {
  return a.map((p, i) => p * share + b[i]! * (1 - share));
}

export function expected(): Distributions {
  return structuredClone(EXPECTED);
}

/** How many pairs an expectation is worth against the data. */
export const EXPECTATION_PAIRS = 12;

/** Likelihood of each packed value of each field, by class: `values[class][field]` has 32 entries. */
export type ValueTables = Float64Array[][];

export function valueTables(distributions: Distributions): ValueTables {
  const tables = new Map<string, Float64Array>();
  for (const field of FIELDS)
    for (const [situation, levels] of Object.entries(distributions[field]))
      tables.set(`${field} ${situation}`, valueTable(field, situation, levels));
  const given = distributions.given;
  tables.set('given sibling', siblingNames(given.random!));
  return CLASSES.map((_, c) => FIELDS.map((field) => tables.get(`${field} ${STRUCTURE[field][c]}`)!));
}

const MISSING: Record<FieldName, number> = {
  given: Nearness.Missing, family: Nearness.Missing, order: -1, generation: 0, dob: 31, sex: 2, place: 15, street: 7, phone: 3,
}; // prettier-ignore

function valueTable(field: FieldName, situation: string, levels: readonly number[]): Float64Array {
  const out = new Float64Array(32);
  levels.forEach((p, level) => (out[level] = p));
  if (field === 'place') {
    for (let i = 0; i < 3; i++) {
      out[12 + i] = levels[i]! + levels[4 + i]! + levels[8 + i]!;
      out[i * 4 + 3] = levels[i * 4]! + levels[i * 4 + 1]! + levels[i * 4 + 2]!;
    }
  }
  if (field === 'given' || field === 'family' || field === 'dob' || field === 'street') {
    const chance = situation === 'random' || (field === 'dob' && situation !== 'same');
    for (let value = EXACT; value < 32; value++)
      out[value] = chance ? Math.max(levels[0]!, shareOf(value - EXACT)) : levels[0]!;
  }
  if (MISSING[field] >= 0) out[MISSING[field]] = 1;
  return out;
}

/** Brothers and sisters are given different names; some share a second one. */
function siblingNames(random: readonly number[]): Float64Array {
  const levels = [...random];
  levels[Nearness.Part] = Math.max(levels[Nearness.Part]!, 0.02);
  const out = valueTable('given', 'random', levels);
  for (let value = EXACT; value < 32; value++) out[value]! *= 0.05;
  out[Nearness.Same] = 0;
  out[Nearness.Missing] = 1;
  return out;
}

/** Packed values of a pattern, in the order of FIELDS. */
export function fieldValues(pattern: number): Uint8Array {
  const levels: Levels = unpackLevels(pattern);
  return Uint8Array.from(FIELDS, (field) => levels[field]);
}

/** Level that a packed value counts for when a distribution is learnt; -1: none. Of places those with city and code. */
function levelOf(field: FieldName, value: number): number {
  if (value === MISSING[field]) return -1;
  return value >= EXACT && (field === 'given' || field === 'family' || field === 'dob' || field === 'street')
    ? 0
    : value;
}

export function situationOf(field: FieldName, classIndex: number): string {
  return STRUCTURE[field][classIndex]!;
}

/** Adds to the level of a value; a place of which only one half is known counts in shares, as likely as the other halves are. */
export function addTo(
  sums: Float64Array,
  field: FieldName,
  value: number,
  count: number,
  levels: readonly number[],
): void {
  if (field !== 'place' || value === MISSING.place || (value < 12 && value % 4 !== 3)) {
    const level = levelOf(field, value);
    if (level >= 0) sums[level]! += count;
    return;
  }
  const places = value >= 12 ? [value - 12, value - 8, value - 4] : [value - 3, value - 2, value - 1];
  const all = places.reduce((sum, place) => sum + levels[place]!, 0);
  if (all > 0) for (const place of places) sums[place]! += (count * levels[place]!) / all;
}

import { DOB_MISSING, DobLevel, StreetLevel, unpackLevels, EXACT } from './compare';
import {
  addTo,
  CLASSES,
  EXPECTATION_PAIRS,
  expected,
  FIELDS,
  fieldValues,
  SAME_CLASSES,
  SIBLINGS,
  HOUSEHOLD,
  situationOf,
  STRANGERS,
  valueTables,
  type Distributions,
} from './parameters';
import { updateCross, updateWithin, type Source } from './priors';
import { Nearness } from './vocabulary';

/** Patterns of the candidate pairs of one comparison, with how often each was seen. */
export interface PatternCounts {
  counts: ReadonlyMap<number, number>;
  /** All pairs that the candidates were drawn from, most of them never compared. */
  pairs: number;
  /** How many pairs of the whole each counted one stands for. */
  scale: number;
  /** No more pairs than this can be the same person. */
  mostSame: number;
}

export interface LearnInput {
  /** Two files: pairs between them. */
  cross?: PatternCounts;
  /** Pairs inside each file; one entry when duplicates within one file are sought. */
  within: readonly PatternCounts[];
  /** Patterns of pairs drawn at random. */
  random: ReadonlyMap<number, number>;
}

export interface Learnt {
  distributions: Distributions;
  /** Share of each class among all pairs between the files (of one file: within it). */
  prior: number[];
  /** The same within each file. */
  priorWithin: number[][];
  iterations: number;
}

const RANDOM_PAIRS = 20_000;
const ITERATIONS = 60;

/** Strangers only: a pair that agrees in two things at once is left out, for it may be a person or a household. */
function agreements(pattern: number): number {
  const levels = unpackLevels(pattern);
  const name = (value: number): boolean => value >= EXACT || value <= Nearness.Typo;
  let sum = 0;
  if (name(levels.given)) sum++;
  if (name(levels.family)) sum++;
  if (levels.dob <= DobLevel.Typo || (levels.dob >= EXACT && levels.dob < 31)) sum++;
  if (levels.street <= StreetLevel.NearNameSameNumber) sum++;
  if (levels.phone === 0) sum++;
  return sum;
}

function learnRandom(distributions: Distributions, random: ReadonlyMap<number, number>): void {
  const sums = FIELDS.map((field) => new Float64Array(distributions[field].random!.length));
  for (const [pattern, count] of random) {
    if (agreements(pattern) >= 2) continue;
    fieldValues(pattern).forEach((value, f) => {
      addTo(sums[f]!, FIELDS[f]!, value, count, distributions[FIELDS[f]!].random!);
    });
  }
  FIELDS.forEach((field, f) => {
    if (field === 'generation') return;
    const sum = sums[f]!.reduce((a, b) => a + b, 0);
    const prior = distributions[field].random!;
    distributions[field].random = prior.map((p, level) => (sums[f]![level]! + p * RANDOM_PAIRS) / (sum + RANDOM_PAIRS));
    if (field === 'street' || field === 'phone')
      distributions[field].random![0] = Math.max(1e-6, distributions[field].random![0]!);
  });
  const dob = distributions.dob;
  dob.sibling = dob.sibling!.map((p, level) => (level < DobLevel.Near ? Math.max(p, dob.random![level]!) : p));
}

function makeSource({ counts, pairs, scale, mostSame }: PatternCounts, same: number): Source {
  const prior = new Float64Array(CLASSES.length);
  const start = [0.8, 0.05, 0.1, 0.02, 0.3, 0.01, 0.01, 0.2];
  start.forEach((share, c) => (prior[c] = (share * same) / Math.max(1, pairs)));
  prior[STRANGERS] = 1 - prior.reduce((a, b) => a + b, 0);
  let all = 0;
  let withStreets = 0;
  let withDates = 0;
  for (const [pattern, count] of counts) {
    all += count;
    if (unpackLevels(pattern).street !== StreetLevel.Missing) withStreets += count;
    if (unpackLevels(pattern).dob !== DOB_MISSING) withDates += count;
  }
  return {
    values: [...counts.keys()].map(fieldValues),
    addresses: withStreets > all / 2,
    dates: withDates > all / 20,
    counts: Float64Array.from(counts.values()),
    pairs: Math.max(1, pairs),
    scale,
    mostSame,
    prior,
    found: new Float64Array(CLASSES.length),
  };
}

/** What one person's records say of themselves is learnt from them alone; addresses from their households too. */
function teaches(field: (typeof FIELDS)[number], c: number): boolean {
  if (c > HOUSEHOLD) return false;
  return (
    c < SAME_CLASSES ||
    field === 'place' ||
    field === 'street' ||
    field === 'phone' ||
    (field === 'dob' && c === SIBLINGS)
  );
}

/** Expectation: fills `found`, and adds each level's expected count to `sums`. */
function expect(
  source: Source,
  distributions: Distributions,
  tables: Float64Array[][],
  sums: Map<string, Float64Array>,
): void {
  const classes = CLASSES.length;
  const weights = new Float64Array(classes);
  const targets = CLASSES.map((_, c) =>
    FIELDS.map((field) => (teaches(field, c) ? sums.get(`${field} ${situationOf(field, c)}`) : undefined)),
  );
  const levels = CLASSES.map((_, c) => FIELDS.map((field) => distributions[field][situationOf(field, c)]!));
  source.found.fill(0);
  source.values.forEach((values, i) => {
    let sum = 0;
    for (let c = 0; c < classes; c++) {
      let likelihood = source.prior[c]!;
      const table = tables[c]!;
      for (let f = 0; f < values.length; f++) likelihood *= table[f]![values[f]!]!;
      weights[c] = likelihood;
      sum += likelihood;
    }
    if (sum <= 0) return;
    for (let c = 0; c < STRANGERS; c++) {
      const share = (source.counts[i]! * weights[c]!) / sum;
      if (share < 1e-9) continue;
      source.found[c]! += share;
      for (let f = 0; f < values.length; f++) {
        const target = targets[c]![f];
        if (target) addTo(target, FIELDS[f]!, values[f]!, share, levels[c]![f]!);
      }
    }
  });
}

const LEARNT: readonly (readonly [(typeof FIELDS)[number], string])[] = [
  ['given', 'same'],
  ['family', 'same'],
  ['order', 'same'],
  ['dob', 'same'],
  ['dob', 'sibling'],
  ['sex', 'same'],
  ['place', 'same'],
  ['place', 'moved'],
  ['street', 'same'],
  ['phone', 'same'],
  ['phone', 'moved'],
  ['phone', 'household'],
];

/** Where more than this differs altogether, the pairs are no persons' pairs: what is learnt would be something else. */
const MOST: readonly (readonly [(typeof FIELDS)[number], readonly number[], number])[] = [
  ['given', [Nearness.Different], 0.2],
  ['family', [Nearness.Different], 0.15],
  ['dob', [DobLevel.DayMonth, DobLevel.YearOnly, DobLevel.Near, DobLevel.Generation], 0.15],
  ['sex', [1], 0.1],
];

function limit(levels: number[], some: readonly number[], most: number): void {
  const sum = some.reduce((total, level) => total + levels[level]!, 0);
  if (sum <= most) return;
  levels.forEach(
    (p, level) => (levels[level] = some.includes(level) ? (p * most) / sum : (p * (1 - most)) / (1 - sum)),
  );
}

function maximise(distributions: Distributions, prior: Distributions, sums: Map<string, Float64Array>): number {
  let change = 0;
  for (const [field, situation] of LEARNT) {
    const counts = sums.get(`${field} ${situation}`)!;
    const mean = prior[field][situation]!;
    const sum = counts.reduce((a, b) => a + b, 0);
    const weight = situation === 'same' ? EXPECTATION_PAIRS : EXPECTATION_PAIRS * 2;
    distributions[field][situation] = mean.map((p, level) => {
      const value = (counts[level]! + p * weight) / (sum + weight);
      change = Math.max(change, Math.abs(value - distributions[field][situation]![level]!));
      return value;
    });
  }
  for (const [field, levels, most] of MOST) limit(distributions[field].same!, levels, most);
  return change;
}

/** Expectation maximisation over pattern counts, without labels. What strangers agree in comes from random pairs alone. */
export function learn(input: LearnInput): Learnt {
  const distributions = expected();
  learnRandom(distributions, input.random);
  const prior = structuredClone(distributions);
  const within = input.within.map((counts) => makeSource(counts, (counts.mostSame * 0.02) / counts.scale));
  const cross = input.cross && makeSource(input.cross, (0.3 * input.cross.mostSame) / input.cross.scale);
  let iterations = 0;
  for (; iterations < ITERATIONS; iterations++) {
    const sums = new Map(
      LEARNT.map(([field, situation]) => [
        `${field} ${situation}`,
        new Float64Array(distributions[field][situation]!.length),
      ]),
    );
    const tables = valueTables(distributions);
    for (const source of within) expect(source, distributions, tables, sums);
    if (cross) expect(cross, distributions, tables, sums);
    for (const source of within) updateWithin(source, !cross);
    if (cross) updateCross(cross, within);
    const change = maximise(distributions, prior, sums);
    if (change < 1e-4 && iterations > 10) break;
  }
  return {
    distributions,
    prior: Array.from((cross ?? within[0]!).prior),
    priorWithin: within.map((source) => Array.from(source.prior)),
    iterations,
  };
}

import { DobLevel, EXACT, GenerationLevel, StreetLevel } from './compare';
import type { Judge } from './judge';
import { CLASSES, FIELDS, fieldValues, SAME_CLASSES, STRANGERS, type ClassName, type FieldName } from './parameters';

/** Why a decision was made; data, for a person to read. */
export interface Evidence {
  fields: FieldEvidence[];
  /** Probability of each kind of pair, before rivals are considered. */
  classes: { name: ClassName; probability: number }[];
}

export interface FieldEvidence {
  field: FieldName | 'city' | 'zip' | 'rule' | 'rivals';
  level: string;
  /** log2 of how much more likely this is for one person than for two strangers; negative speaks against. */
  bits: number;
}

const NAME_LEVELS = [
  'same',
  'variant',
  'part',
  'typing error',
  'another name, similar',
  'loosely similar',
  'different',
  'missing',
  'initial',
];
const PLAIN = ['same', 'near', 'different', 'missing'];
const DOB = new Map<number, string>([
  [DobLevel.Same, 'same'],
  [DobLevel.Swapped, 'day and month exchanged'],
  [DobLevel.Typo, 'one digit, or two exchanged'],
  [DobLevel.TwoParts, 'year and one other part'],
  [DobLevel.DayMonth, 'day and month, other year'],
  [DobLevel.YearOnly, 'year only'],
  [DobLevel.Compatible, 'compatible, incomplete'],
  [DobLevel.Near, 'different'],
  [DobLevel.Generation, 'a generation apart'],
  [31, 'missing'],
]);
const STREETS = new Map<number, string>([
  [StreetLevel.Same, 'same'],
  [StreetLevel.SameNameNearNumber, 'same street, near or no number'],
  [StreetLevel.NearNameSameNumber, 'similar street, same number'],
  [StreetLevel.SameNameOtherNumber, 'same street, other number'],
  [StreetLevel.NearName, 'similar street'],
  [StreetLevel.OnlyNumber, 'number only'],
  [StreetLevel.Different, 'different'],
  [StreetLevel.Missing, 'missing'],
]);
const GENERATIONS = new Map<number, string>([
  [GenerationLevel.Unknown, 'unknown'],
  [GenerationLevel.Same, 'same'],
  [GenerationLevel.Conflict, 'contradict'],
]);

function describe(field: FieldName, value: number): string {
  if (field === 'order') return value === 1 ? 'given and family name exchanged' : 'as written';
  if (field === 'sex' || field === 'phone')
    return field === 'sex' && value === 2 ? 'missing' : PLAIN[value === 1 && field === 'sex' ? 2 : value]!;
  if (field === 'place') return `city ${PLAIN[value >> 2]}, code ${PLAIN[value & 3]}`;
  if (value >= EXACT && value < 31) return `same, shared by one in ${Math.round(2 ** (value - EXACT + 0.5))}`;
  if (field === 'dob') return DOB.get(value)!;
  if (field === 'street') return STREETS.get(value)!;
  return field === 'generation' ? GENERATIONS.get(value)! : NAME_LEVELS[value]!;
}

/** Fields that say nothing are left out. The sum of the bits is about the weight without the prior. */
export function explain(judge: Judge, pattern: number): Evidence {
  const weights = judge.classWeights(pattern);
  const all = weights.reduce((sum, weight) => sum + weight, 0) || 1;
  const same = weights.slice(0, SAME_CLASSES);
  const sameSum = same.reduce((sum, weight) => sum + weight, 0) || 1;
  const fields: FieldEvidence[] = [];
  fieldValues(pattern).forEach((value, f) => {
    // Of the ways in which it can be one person, each counts as far as it explains this pair.
    let likelihood = 0;
    for (let c = 0; c < SAME_CLASSES; c++) likelihood += (same[c]! / sameSum) * judge.likelihood(c, f, value);
    const bits = Math.log2(likelihood / judge.likelihood(STRANGERS, f, value));
    if (Math.abs(bits) < 0.01) return;
    fields.push({ field: FIELDS[f]!, level: describe(FIELDS[f]!, value), bits: Math.round(bits * 100) / 100 });
  });
  const classes = CLASSES.map((name, c) => ({ name, probability: weights[c]! / all }))
    .filter((each) => each.probability >= 0.0001)
    .sort((a, b) => b.probability - a.probability);
  return { fields, classes };
}

import {
  CLASSES,
  fieldValues,
  SAME_CLASSES,
  STRANGERS,
  valueTables,
  type Distributions,
  type ValueTables,
} from './parameters';

/** Masses of one pattern among all pairs, in proportion: the same person, one household, strangers. */
export interface Judgement {
  same: number;
  household: number;
  strangers: number;
  /** log2 of the odds for "the same person". */
  logOdds: number;
}

/** Judges patterns by the learnt distributions and a prior; remembers, for the same patterns come again and again. */
export class Judge {
  private readonly tables: ValueTables;
  private readonly known = new Map<number, Judgement>();

  constructor(
    distributions: Distributions,
    readonly prior: readonly number[],
  ) {
    this.tables = valueTables(distributions);
  }

  judge(pattern: number): Judgement {
    const known = this.known.get(pattern);
    if (known) return known;
    const weights = this.classWeights(pattern);
    let same = 0;
    let household = 0;
    for (let c = 0; c < SAME_CLASSES; c++) same += weights[c]!;
    for (let c = SAME_CLASSES; c < STRANGERS; c++) household += weights[c]!;
    const strangers = weights[STRANGERS]!;
    const found = { same, household, strangers, logOdds: logOdds(same, household + strangers) };
    if (this.known.size > 2_000_000) this.known.clear();
    this.known.set(pattern, found);
    return found;
  }

  /** Prior times likelihood for each class. */
  classWeights(pattern: number): number[] {
    const values = fieldValues(pattern);
    return CLASSES.map((_, c) => {
      let weight = this.prior[c]!;
      for (let f = 0; f < values.length; f++) weight *= this.tables[c]![f]![values[f]!]!;
      return weight;
    });
  }

  /** Likelihood of one packed value of a field in a class. */
  likelihood(classIndex: number, fieldIndex: number, value: number): number {
    return this.tables[classIndex]![fieldIndex]![value]!;
  }
}

export function logOdds(yes: number, no: number): number {
  return Math.log2(Math.max(yes, 1e-300) / Math.max(no, 1e-300));
}
export const probability = (bits: number): number => 1 / (1 + 2 ** -bits);

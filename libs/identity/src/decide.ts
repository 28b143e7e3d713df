import { DOB_MISSING, DobLevel, EXACT, StreetLevel, unpackLevels } from './compare';
import { logOdds, probability, type Judgement } from './judge';
import { Nearness } from './vocabulary';

export interface Thresholds {
  /** Least probability of a link without a person's review. */
  link: number;
  /** Links surer than this are certain enough to decide about others. */
  firm: number;
  /** Most wrong links expected, as a share of all links. */
  wrong: number;
  /**
   * The same two where the files say so little (no birth dates, say) that not even half of the persons could be linked: what
   * is then called a link is as sure as the files allow.
   */
  poorLink: number;
  poorWrong: number;
  /** Least probability of a review. */
  review: number;
  /** Most reviews, as a share of the persons in the larger file. */
  reviewShare: number;
}
export const DEFAULT_THRESHOLDS: Thresholds = {
  link: 0.995,
  firm: 0.999,
  wrong: 0.00015,
  poorLink: 0.99,
  poorWrong: 0.01,
  review: 0.02,
  reviewShare: 0.0295,
};

export interface ScoredPair {
  left: number;
  right: number;
  pattern: number;
  judgement: Judgement;
  /** A deterministic rule that says so; such pairs come first. */
  rule?: string;
}

export type Outcome = 'link' | 'review' | 'apart';

export interface Decision extends ScoredPair {
  outcome: Outcome;
  probability: number;
  /** log2 odds, competition and what is left over considered. */
  weight: number;
}

/** What the model expects in all: pairs of one person, and records of each file that have a partner. */
export interface Expected {
  pairs: number;
  left: number;
  right: number;
}

/** What is known about pairs inside a file. */
export type InnerOdds = (file: 0 | 1, a: number, b: number) => number;

/**
 * Two records of one file that may be twins, or brothers or sisters, however alike they are otherwise: their given names are
 * different names, or forms of one name (Max and Maxim).
 */
export type MayBeTwins = (file: 0 | 1, a: number, b: number) => boolean;

/** log2 odds that records of one file which may be twins are given at most: for a review, never for a link. */
const TWINS = 0;

/** The least share of records without a partner that is believed; below it the file is too small to say. */
const LEAST_LEFT_OVER = 1 / 16;

/**
 * Decides pairs between two files, each of which has (almost) no person twice. First what is certain by itself; then what is
 * left over, where fewer strangers compete; a record with a certain partner takes a second one only where both are the same
 * person inside their own file.
 */
export function decideBetween(
  pairs: ScoredPair[],
  sizes: readonly [number, number],
  inner: InnerOdds,
  thresholds: Thresholds = DEFAULT_THRESHOLDS,
  expected: Expected = { pairs: 0, left: 0, right: 0 },
  mayBeTwins: MayBeTwins = () => false,
): Decision[] {
  const decisions: Decision[] = pairs.map((pair) => ({
    ...pair,
    outcome: 'apart',
    weight: pair.rule === undefined ? pair.judgement.logOdds : Math.max(30, pair.judgement.logOdds),
    probability: 0,
  }));
  decisions.sort((a, b) => b.weight - a.weight || a.left - b.left || a.right - b.right);
  const rows = group(decisions, sizes[0], (each) => each.left);
  const columns = group(decisions, sizes[1], (each) => each.right);
  const partnersLeft: number[][] = [];
  const partnersRight: number[][] = [];
  const sameInner = [new Map<number, number>(), new Map<number, number>()] as const;
  const innerOdds: InnerOdds = (file, a, b) => {
    const key = Math.min(a, b) * sizes[file] + Math.max(a, b);
    const known = sameInner[file].get(key);
    if (known !== undefined) return known;
    const odds = inner(file, a, b);
    sameInner[file].set(key, odds);
    return odds;
  };
  // one of twins looks like the other under a short form of the name: only a person can tell that from one who is there twice
  const onePerson = (file: 0 | 1, a: number, b: number): boolean =>
    innerOdds(file, a, b) > 0 && !mayBeTwins(file, a, b);
  const compatible = (decision: Decision): boolean =>
    (partnersLeft[decision.left] ?? []).every((r) => onePerson(1, r, decision.right)) &&
    (partnersRight[decision.right] ?? []).every((l) => onePerson(0, l, decision.left));
  const accept = (decision: Decision): void => {
    decision.outcome = 'link';
    (partnersLeft[decision.left] ??= []).push(decision.right);
    (partnersRight[decision.right] ??= []).push(decision.left);
  };
  /** Odds against the rivals for either record that are somebody else. */
  const contested = (decision: Decision, weigh: (other: Decision) => number): number => {
    const rivals =
      sum(rows[decision.left], (other) =>
        other === decision || other.weight < decision.weight - 40 || innerOdds(1, other.right, decision.right) > 0
          ? 0
          : 2 ** weigh(other),
      ) +
      sum(columns[decision.right], (other) =>
        other === decision || other.weight < decision.weight - 40 || innerOdds(0, other.left, decision.left) > 0
          ? 0
          : 2 ** weigh(other),
      );
    return weigh(decision) - Math.log2(1 + rivals);
  };
  const own = (decision: Decision): number => decision.weight;
  const firm = logOdds(thresholds.firm, 1 - thresholds.firm);
  for (const decision of decisions) {
    if (decision.weight < firm) break;
    if (!compatible(decision)) continue;
    const weight = contested(decision, own);
    decision.probability = probability(weight);
    if (weight >= firm) accept(decision);
  }
  leftOver();
  return decisions;

  function leftOver(): void {
    const free = (index: number, partners: number[][]): boolean => partners[index] === undefined;
    const share = (partners: number[][], size: number, foreseen: number): number => {
      const taken = partners.reduce((n) => n + 1, 0);
      // Where nothing can be certain (no birth dates, say) the model's own count stands for the partners.
      return Math.max(LEAST_LEFT_OVER, (size - Math.max(taken, Math.min(foreseen, size)) + 1) / (size + 1));
    };
    const remaining = share(partnersLeft, sizes[0], expected.left) * share(partnersRight, sizes[1], expected.right);
    const alone = (decision: Decision): number => {
      if (decision.outcome === 'link') return -Infinity;
      if (!free(decision.left, partnersLeft) || !free(decision.right, partnersRight)) return -Infinity;
      return adjusted(decision, remaining);
    };
    const waiting = decisions.filter((decision) => decision.outcome !== 'link');
    const linked: Decision[] = [];
    for (const decision of waiting) {
      const lonely = free(decision.left, partnersLeft) && free(decision.right, partnersRight);
      const weight = lonely ? contested(decision, alone) : beside(decision);
      decision.probability = probability(weight);
      if (decision.probability >= thresholds.poorLink) linked.push(decision);
      else if (decision.probability >= thresholds.review) decision.outcome = 'review';
    }
    for (const decision of linked) decision.weight = logOdds(decision.probability, 1 - decision.probability);
    linked.sort((a, b) => b.weight - a.weight || a.left - b.left || a.right - b.right);
    const before = decisions.filter((decision) => decision.outcome === 'link');
    const doubt = (some: readonly Decision[]): number => some.reduce((all, each) => all + 1 - each.probability, 0);
    const enough = take(thresholds.link, thresholds.wrong);
    const chosen =
      before.length + enough.length < expected.pairs / 2 ? take(thresholds.poorLink, thresholds.poorWrong) : enough;
    const taken = new Set(chosen);
    for (const decision of linked) {
      if (taken.has(decision) && compatible(decision)) accept(decision);
      else decision.outcome = 'review';
    }

    /** The surest, as many as keep the wrong ones expected below their share. */
    function take(least: number, share: number): Decision[] {
      const some: Decision[] = [];
      let wrong = doubt(before);
      for (const decision of linked) {
        if (decision.probability < least) break;
        if (decision.probability < leastFor(decision.pattern, { ...thresholds, link: least })) continue;
        wrong += 1 - decision.probability;
        if (wrong > share * Math.max(1000, before.length + some.length + 1)) break;
        some.push(decision);
      }
      return some;
    }
  }

  /** For a record whose other side has a certain partner: as probable as that both partners are the same person. */
  function beside(decision: Decision): number {
    const rights = partnersLeft[decision.left] ?? [];
    const lefts = partnersRight[decision.right] ?? [];
    let weight = Infinity;
    for (const r of rights) weight = Math.min(weight, innerOdds(1, r, decision.right));
    for (const l of lefts) weight = Math.min(weight, innerOdds(0, l, decision.left));
    if (rights.some((r) => mayBeTwins(1, r, decision.right)) || lefts.some((l) => mayBeTwins(0, l, decision.left)))
      weight = Math.min(weight, TWINS);
    // Two sure steps make a third sure, unless it speaks against itself.
    return weight >= firm && decision.weight > -6 ? weight : Math.min(weight, decision.weight);
  }
}

/**
 * Least probability of a link by what there is to agree: more where a name is missing, or where a name or the birth date is
 * another one, which is what relatives look like; most of all where no address supports it.
 */
export function leastFor(pattern: number, { link, firm }: Thresholds): number {
  const { given, family, dob, street } = unpackLevels(pattern);
  const absent = (name: number): boolean => name === Nearness.Missing || name === Nearness.Initial;
  const plain = (name: number): boolean => name >= EXACT || name <= Nearness.Typo;
  if (absent(given) || absent(family)) return firm;
  const otherDate = dob >= DobLevel.DayMonth && dob !== DobLevel.Compatible && dob < EXACT;
  if (plain(given) && plain(family) && !otherDate) return link;
  const atHome = street <= StreetLevel.NearNameSameNumber && dob !== DOB_MISSING;
  return atHome ? Math.max(link, 1 - 2 * (1 - firm)) : firm;
}

/**
 * Strangers among what is left over are as rare as the square of it; members of one household leave and
 * arrive together, in part.
 */
function adjusted({ judgement, rule, weight }: Decision, remaining: number): number {
  if (rule !== undefined) return weight;
  return logOdds(judgement.same, remaining ** 0.75 * judgement.household + remaining * judgement.strangers);
}

function group(decisions: Decision[], size: number, by: (decision: Decision) => number): (Decision[] | undefined)[] {
  const groups = new Array<Decision[] | undefined>(size);
  for (const decision of decisions) (groups[by(decision)] ??= []).push(decision);
  return groups;
}

function sum(decisions: Decision[] | undefined, value: (decision: Decision) => number): number {
  let total = 0;
  for (const decision of decisions ?? []) total += value(decision);
  return total;
}

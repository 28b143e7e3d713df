import { unpackLevels } from './compare';
import { Corpus, type CorpusOptions } from './corpus';
import {
  decideBetween,
  DEFAULT_THRESHOLDS,
  type Decision,
  type Expected,
  type ScoredPair,
  type Thresholds,
} from './decide';
import { exchangeNames, namesExchanged } from './exchanged';
import { Judge } from './judge';
import { learn, type Learnt } from './learn';
import { SAME_CLASSES } from './parameters';
import type { PersonRecord } from './record';
import { sharedEvidence, type Rule } from './rules';
import { Nearness } from './vocabulary';

export interface LinkOptions extends CorpusOptions {
  thresholds?: Partial<Thresholds>;
  /** Deterministic rules of the site beside the built-in ones. */
  rules?: readonly Rule[];
}

export interface LinkedPair {
  left: number;
  right: number;
  probability: number;
  /** log2 odds. */
  weight: number;
  pattern: number;
}

export interface LinkResult {
  links: LinkedPair[];
  reviews: LinkedPair[];
  corpus: Corpus;
  learnt: Learnt;
  /** Pairs compared. */
  compared: number;
  decisions: Decision[];
}

/** Pairs this unlikely are not looked at again (log2 odds). */
const FORGET = -14;

/** Links two files. Indices in the answer are positions in the files. */
export function linkFiles(
  left: readonly PersonRecord[],
  right: readonly PersonRecord[],
  options: LinkOptions = {},
): LinkResult {
  const thresholds = { ...DEFAULT_THRESHOLDS, ...options.thresholds };
  const corpus = new Corpus([left, namesExchanged(left, right) ? exchangeNames(right) : right], options);
  const index = corpus.index(0);
  const learnt = learn({
    cross: corpus.crossPatterns(index, 0, 1),
    within: [corpus.withinPatterns(index, 0), corpus.withinPatterns(corpus.index(1), 1)],
    random: corpus.randomPatterns(),
  });
  const judge = new Judge(learnt.distributions, learnt.prior);
  const [a, b] = corpus.files as [(typeof corpus.files)[0], (typeof corpus.files)[0]];
  const pairs: ScoredPair[] = [];
  let compared = 0;
  b.forEach((record, r) => {
    index.candidates(record, (l) => {
      compared++;
      const pattern = corpus.comparer.compare(a[l]!, record);
      const judgement = judge.judge(pattern);
      const rule = sharedEvidence(a[l]!, record, options.rules);
      if (judgement.logOdds > FORGET || rule !== undefined) pairs.push({ left: l, right: r, pattern, judgement, rule });
    });
  });
  const inner = learnt.priorWithin.map((prior) => new Judge(learnt.distributions, prior));
  const decisions = decideBetween(
    pairs,
    [a.length, b.length],
    (file, x, y) => {
      if (x === y) return Infinity;
      const records = corpus.files[file]!;
      return inner[file]!.judge(corpus.comparer.compare(records[x]!, records[y]!)).logOdds;
    },
    thresholds,
    expectedOf(learnt, a.length, b.length),
    (file, x, y) =>
      x !== y && otherGivenName(corpus.comparer.compare(corpus.files[file]![x]!, corpus.files[file]![y]!)),
  );
  const links = decisions.filter((each) => each.outcome === 'link');
  const budget = Math.max(5, Math.floor(thresholds.reviewShare * Math.max(a.length, b.length)));
  const reviews = decisions
    .filter((each) => each.outcome === 'review')
    .sort((x, y) => y.probability - x.probability)
    .slice(0, budget);
  return { links, reviews, corpus, learnt, compared, decisions };
}

/** A typing error, an initial, or no name at all makes no other person. */
function otherGivenName(pattern: number): boolean {
  const { given } = unpackLevels(pattern);
  return given >= Nearness.Variant && given <= Nearness.Different && given !== Nearness.Typo;
}

/** Records that have a partner are fewer than pairs where persons are in a file twice. */
function expectedOf({ prior, priorWithin }: Learnt, left: number, right: number): Expected {
  const same = (shares: readonly number[] = []): number => shares.slice(0, SAME_CLASSES).reduce((a, b) => a + b, 0);
  const pairs = same(prior) * left * right;
  const times = (file: number, size: number): number => 1 + same(priorWithin[file]) * Math.max(0, size - 1);
  return { pairs, left: pairs / times(1, right), right: pairs / times(0, left) };
}

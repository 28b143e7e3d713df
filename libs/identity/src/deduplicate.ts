import { Corpus } from './corpus';
import { DEFAULT_THRESHOLDS, leastFor, type ScoredPair } from './decide';
import { Judge, probability } from './judge';
import { learn, type Learnt } from './learn';
import type { LinkedPair, LinkOptions } from './link';
import type { PersonRecord } from './record';
import { sharedEvidence } from './rules';

export interface DeduplicateResult {
  /** Positions of the records of each person that is there more than once. */
  clusters: number[][];
  /** All pairs within the clusters; `left` is the earlier record. */
  links: LinkedPair[];
  reviews: LinkedPair[];
  corpus: Corpus;
  learnt: Learnt;
  compared: number;
}

/** Two persons whose records speak so strongly against each other (log2 odds) are not joined through a third. */
const CONTRADICTION = -8;
const RULE_WEIGHT = 40;
/** Larger clusters are compared by this many records of each side. */
const COMPARED_MEMBERS = 8;

/** Finds the records of one person within a file. */
export function deduplicate(records: readonly PersonRecord[], options: LinkOptions = {}): DeduplicateResult {
  const thresholds = { ...DEFAULT_THRESHOLDS, ...options.thresholds };
  const corpus = new Corpus([records], options);
  const index = corpus.index(0);
  const learnt = learn({ within: [corpus.withinPatterns(index, 0)], random: corpus.randomPatterns() });
  const judge = new Judge(learnt.distributions, learnt.prior);
  const file = corpus.files[0]!;
  const pairs: (ScoredPair & { weight: number })[] = [];
  let compared = 0;
  file.forEach((record, at) => {
    index.candidates(
      record,
      (other) => {
        compared++;
        const pattern = corpus.comparer.compare(record, file[other]!);
        const judgement = judge.judge(pattern);
        const rule = sharedEvidence(record, file[other]!, options.rules);
        const weight = rule === undefined ? judgement.logOdds : Math.max(RULE_WEIGHT, judgement.logOdds);
        if (probability(weight) >= thresholds.review)
          pairs.push({ left: at, right: other, pattern, judgement, rule, weight });
      },
      at,
    );
  });
  pairs.sort((a, b) => b.weight - a.weight || a.left - b.left || a.right - b.right);
  const between = (a: number, b: number): number => {
    if (sharedEvidence(file[a]!, file[b]!, options.rules) !== undefined) return RULE_WEIGHT;
    return judge.judge(corpus.comparer.compare(file[a]!, file[b]!)).logOdds;
  };
  const clusters = new Clusters(file.length);
  const reviews: LinkedPair[] = [];
  let links = 0;
  let wrong = 0;
  for (const { left, right, weight, pattern, rule } of pairs) {
    const sure = probability(weight);
    const [a, b] = [clusters.of(left), clusters.of(right)];
    if (a === b) continue;
    const contradicted = a
      .slice(0, COMPARED_MEMBERS)
      .some((x) => b.slice(0, COMPARED_MEMBERS).some((y) => between(x, y) < CONTRADICTION));
    const few = wrong + 1 - sure <= thresholds.wrong * Math.max(1000, links + 1);
    if (sure >= (rule === undefined ? leastFor(pattern, thresholds) : 0) && few && !contradicted) {
      clusters.join(a, b);
      links++;
      wrong += 1 - sure;
    } else if (!contradicted || sure > 0.5) reviews.push({ left, right, weight, pattern, probability: sure });
  }
  const found = clusters.all();
  const budget = Math.max(5, Math.floor(thresholds.reviewShare * records.length));
  return {
    clusters: found,
    links: found.flatMap((members) =>
      members.flatMap((left, i) =>
        members.slice(i + 1).map((right) => {
          const pattern = corpus.comparer.compare(file[left]!, file[right]!);
          const weight = Math.max(between(left, right), judge.judge(pattern).logOdds);
          return { left, right, weight, pattern, probability: probability(weight) };
        }),
      ),
    ),
    // Some were joined through others meanwhile.
    reviews: reviews.filter(({ left, right }) => clusters.of(left) !== clusters.of(right)).slice(0, budget),
    corpus,
    learnt,
    compared,
  };
}

class Clusters {
  private readonly members = new Map<number, number[]>();

  constructor(private readonly size: number) {}

  of(index: number): number[] {
    let list = this.members.get(index);
    if (!list) this.members.set(index, (list = [index]));
    return list;
  }

  join(a: number[], b: number[]): void {
    const [large, small] = a.length >= b.length ? [a, b] : [b, a];
    for (const member of small) {
      large.push(member);
      this.members.set(member, large);
    }
  }

  /** Of two and more, each in rising order. */
  all(): number[][] {
    const found = new Set<number[]>();
    for (let i = 0; i < this.size; i++) {
      const list = this.members.get(i);
      if (list && list.length > 1) found.add(list);
    }
    return [...found].map((list) => list.sort((x, y) => x - y));
  }
}

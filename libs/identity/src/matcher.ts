import { Comparer } from './compare';
import { DEFAULT_THRESHOLDS, type Outcome, type Thresholds } from './decide';
import { explain, type Evidence } from './evidence';
import { probability } from './judge';
import type { Model } from './model';
import { normaliseRecord, type NormaliseOptions } from './normalise';
import type { NormalisedRecord, PersonRecord } from './record';
import { sharedEvidence, type Rule } from './rules';
import { Vocabulary } from './vocabulary';

export interface Score {
  outcome: Outcome;
  probability: number;
  /** log2 odds. */
  weight: number;
  evidence: Evidence;
  /** The deterministic rule that decided. */
  rule?: string;
}

export interface CandidateScore extends Score {
  /** Position in the candidates. */
  index: number;
}

export interface MatcherOptions extends NormaliseOptions {
  thresholds?: Partial<Thresholds>;
  rules?: readonly Rule[];
}

/** log2 odds of what a deterministic rule says. */
const RULE_WEIGHT = 40;
/** Bits. */
const LEAST_EVIDENCE = 5;

/**
 * Scores single records by a model. Make one for a message or a batch and let it go: it keeps the words that it was shown,
 * the model does not.
 */
export class Matcher {
  private readonly vocabulary: Vocabulary;
  private readonly comparer: Comparer;
  private readonly thresholds: Thresholds;

  constructor(
    private readonly model: Model,
    private readonly options: MatcherOptions = {},
  ) {
    this.vocabulary = new Vocabulary(model.vocabulary);
    this.comparer = new Comparer(this.vocabulary, model.counts);
    this.thresholds = { ...DEFAULT_THRESHOLDS, ...options.thresholds };
  }

  normalise(record: PersonRecord): NormalisedRecord {
    return normaliseRecord(record, this.vocabulary, this.options);
  }

  /** Both from `normalise` of this matcher. Without rivals: use `choose` where there are several candidates. */
  score(a: NormalisedRecord, b: NormalisedRecord): Score {
    const pattern = this.comparer.compare(a, b);
    const evidence = explain(this.model.judge, pattern);
    const { logOdds } = this.model.judge.judge(pattern);
    const rule = sharedEvidence(a, b, this.options.rules);
    if (rule === undefined) {
      const bits = evidence.fields.reduce((sum, field) => sum + field.bits, 0);
      // However many persons are expected twice: a pair that says next to nothing is nobody's work.
      const outcome = this.outcome(logOdds);
      return { ...outcome, outcome: bits < LEAST_EVIDENCE ? 'apart' : outcome.outcome, evidence };
    }
    evidence.fields.unshift({ field: 'rule', level: rule, bits: RULE_WEIGHT });
    return { outcome: 'link', weight: Math.max(RULE_WEIGHT, logOdds), probability: 1, evidence, rule };
  }

  /**
   * One record against its candidates (found by blocking key). A candidate is only linked when no other is nearly as likely,
   * unless `samePerson` says that the two are one person already. Best first; those that are apart too.
   */
  choose(
    record: NormalisedRecord,
    candidates: readonly NormalisedRecord[],
    samePerson: (a: number, b: number) => boolean = () => false,
  ): CandidateScore[] {
    const scores = candidates.map((candidate, index) => ({ index, ...this.score(record, candidate) }));
    const contested = scores.map((score) => {
      let rivals = 0;
      for (const other of scores) {
        if (other !== score && !samePerson(score.index, other.index)) rivals += 2 ** other.weight;
      }
      const lost = Math.log2(1 + rivals);
      if (lost < 0.01) return score;
      const evidence = { ...score.evidence, fields: [...score.evidence.fields] };
      evidence.fields.push({ field: 'rivals', level: 'others are likely too', bits: -Math.round(lost * 100) / 100 });
      const outcome = this.outcome(score.weight - lost);
      return { ...score, ...outcome, outcome: score.outcome === 'apart' ? 'apart' : outcome.outcome, evidence };
    });
    return contested.sort((a, b) => b.weight - a.weight || a.index - b.index);
  }

  private outcome(weight: number): Pick<Score, 'outcome' | 'probability' | 'weight'> {
    const sure = probability(weight);
    const outcome = sure >= this.thresholds.firm ? 'link' : sure >= this.thresholds.review ? 'review' : 'apart';
    return { outcome, probability: sure, weight };
  }
}

/** Two records by themselves; for many, make a `Matcher`. */
export function score(model: Model, a: PersonRecord, b: PersonRecord, options: MatcherOptions = {}): Score {
  const matcher = new Matcher(model, options);
  return matcher.score(matcher.normalise(a), matcher.normalise(b));
}

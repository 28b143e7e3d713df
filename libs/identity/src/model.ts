import { Comparer, type Counts } from './compare';
import { Corpus, type CorpusOptions } from './corpus';
import { Judge } from './judge';
import { learn, type Learnt } from './learn';
import { SIBLINGS_APART, type Distributions } from './parameters';
import { setApart } from './priors';
import type { PersonRecord } from './record';
import { Vocabulary } from './vocabulary';

/** What a model is when it is stored. Holds no person: only names that three or more records share, and crowded values. */
export interface ModelJson {
  /** Version 1 knew no relatives at two addresses; it is read, and their share follows from the others. */
  version: 1 | 2;
  records: number;
  distributions: Distributions;
  prior: number[];
  /** Words with a space between their parts, how often as given name and as family name. */
  names: [words: string, asGiven: number, asFamily: number][];
  crowdedDays: [day: number, count: number][];
  crowdedStreets: [words: string, number: string, count: number][];
  nicknames?: readonly string[];
}

const LEAST_SHARED = 3;
const CROWD = 16;

/** Weights and frequencies learnt from one body of records, without labels. */
export class Model {
  private constructor(
    readonly vocabulary: Vocabulary,
    readonly counts: Counts,
    readonly distributions: Distributions,
    /** Share of each class among all pairs of records. */
    readonly prior: readonly number[],
    private readonly nicknames?: readonly string[],
  ) {
    this.comparer = new Comparer(vocabulary, counts);
    this.judge = new Judge(distributions, prior);
  }

  readonly comparer: Comparer;
  readonly judge: Judge;

  /** Learns from the records of a site, all sources together; one person may be in them several times. */
  static learn(records: readonly PersonRecord[], options: CorpusOptions = {}): Model {
    const corpus = new Corpus([records], options);
    const index = corpus.index(0);
    return Model.of(
      corpus,
      learn({ within: [corpus.withinPatterns(index, 0)], random: corpus.randomPatterns() }),
      options,
    );
  }

  static of(corpus: Corpus, { distributions, prior }: Learnt, options: CorpusOptions = {}): Model {
    return new Model(corpus.vocabulary, corpus.counts, distributions, prior, options.nicknames);
  }

  toJSON(): ModelJson {
    const names: ModelJson['names'] = [];
    for (const word of this.vocabulary.all()) {
      const least = /^\d+$/.test(word.text) ? CROWD : LEAST_SHARED;
      if (word.asGiven + word.asFamily >= least) names.push([word.parts.join(' '), word.asGiven, word.asFamily]);
    }
    const crowdedStreets: ModelJson['crowdedStreets'] = [];
    for (const { word, number, count } of this.vocabulary.allStreets())
      if (count >= CROWD && word) crowdedStreets.push([word.parts.join(' '), number, count]);
    return {
      version: 2,
      records: this.counts.records,
      distributions: this.distributions,
      prior: [...this.prior],
      names,
      crowdedDays: [...this.counts.crowdedDays],
      crowdedStreets,
      ...(this.nicknames ? { nicknames: this.nicknames } : {}),
    };
  }

  /** Throws a RangeError for a version that is not known. */
  static fromJSON(json: ModelJson): Model {
    if (json.version !== 1 && json.version !== 2)
      throw new RangeError(`model version ${String(json.version)} is not known`);
    const vocabulary = new Vocabulary(undefined, json.nicknames);
    for (const [words, asGiven, asFamily] of json.names) {
      const word = vocabulary.word(words.split(' '));
      if (word) Object.assign(word, { asGiven, asFamily });
    }
    for (const [words, number, count] of json.crowdedStreets) vocabulary.street(words.split(' '), number).count = count;
    const counts = { records: json.records, crowdedDays: new Map(json.crowdedDays) };
    const prior = json.version === 1 ? withRelativesApart(json.prior) : json.prior;
    return new Model(vocabulary, counts, json.distributions, prior, json.nicknames);
  }
}

/** The prior of a model of version 1, which ended with the household and the strangers. */
function withRelativesApart(prior: readonly number[]): number[] {
  const longer = [...prior.slice(0, SIBLINGS_APART), 0, 0, 0, prior[SIBLINGS_APART]!];
  setApart(longer, 0);
  return longer;
}

import { BlockIndex } from './blocking';
import { Comparer, crowdedDays, type Counts } from './compare';
import { detectDateOrder } from './date';
import type { PatternCounts } from './learn';
import { normaliseRecord, type NormaliseOptions } from './normalise';
import type { DateNumber, NormalisedRecord, PersonRecord, Word } from './record';
import { Vocabulary } from './vocabulary';

export interface CorpusOptions extends Omit<NormaliseOptions, 'dateOrder'> {
  nicknames?: readonly string[];
  /** Largest block looked into. Default 50. */
  largestBlock?: number;
  /** Records of each side that weights are learnt from; default 20,000. */
  learnFrom?: number;
  seed?: number;
}

/** Files normalised together, with the counts of all their words. */
export class Corpus {
  readonly vocabulary: Vocabulary;
  readonly files: NormalisedRecord[][];
  readonly counts: Counts;
  readonly comparer: Comparer;

  constructor(
    files: readonly (readonly PersonRecord[])[],
    private readonly options: CorpusOptions = {},
  ) {
    this.vocabulary = new Vocabulary(undefined, options.nicknames);
    this.files = files.map((records) => {
      // Each file has its own way of writing dates.
      const dateOrder = detectDateOrder(dates(records));
      return records.map((record) => normaliseRecord(record, this.vocabulary, { ...options, dateOrder }));
    });
    const days = new Map<DateNumber, number>();
    let records = 0;
    for (const file of this.files) {
      records += file.length;
      for (const record of file) {
        countRecord(record);
        if (record.dob !== 0) days.set(record.dob, (days.get(record.dob) ?? 0) + 1);
      }
    }
    this.vocabulary.forget();
    this.counts = { records, crowdedDays: crowdedDays(days, records) };
    this.comparer = new Comparer(this.vocabulary, this.counts);
  }

  index(file: number): BlockIndex {
    return new BlockIndex(this.files[file]!, { largest: this.options.largestBlock ?? 50 });
  }

  /** Patterns of pairs between two files. */
  crossPatterns(index: BlockIndex, left: number, right: number): PatternCounts {
    const [a, b] = [this.files[left]!, this.files[right]!];
    const { step, taken } = this.sampling(b.length);
    const counts = new Map<number, number>();
    for (let i = 0; i < taken; i++) {
      const record = b[Math.floor(i * step)]!;
      index.candidates(record, (found) => add(counts, this.comparer.compare(a[found]!, record)));
    }
    const scale = Math.max(1, b.length / Math.max(1, taken));
    return { counts, pairs: (a.length * b.length) / scale, scale, mostSame: 2 * Math.min(a.length, b.length) };
  }

  /** Patterns of pairs inside a file. */
  withinPatterns(index: BlockIndex, file: number): PatternCounts {
    const records = this.files[file]!;
    const { step, taken } = this.sampling(records.length);
    const counts = new Map<number, number>();
    for (let i = 0; i < taken; i++) {
      const at = Math.floor(i * step);
      const record = records[at]!;
      // Only with later records, so that each pair is met once.
      index.candidates(record, (found) => add(counts, this.comparer.compare(records[found]!, record)), at);
    }
    const scale = Math.max(1, records.length / Math.max(1, taken));
    const pairs = (records.length * (records.length - 1)) / 2;
    return { counts, pairs: pairs / scale, scale, mostSame: 3 * records.length };
  }

  /** Patterns of pairs drawn at random, from all files together. */
  randomPatterns(): Map<number, number> {
    const all = this.files.reduce((sum, file) => sum + file.length, 0);
    const counts = new Map<number, number>();
    if (all < 2) return counts;
    const wanted = Math.max(20_000, Math.min(400_000, 60 * all));
    const random = generator(this.options.seed ?? 1);
    const pick = (): NormalisedRecord => {
      let at = Math.floor(random() * all);
      for (const file of this.files) {
        if (at < file.length) return file[at]!;
        at -= file.length;
      }
      return this.files[0]![0]!;
    };
    for (let i = 0; i < wanted; i++) {
      const a = pick();
      const b = pick();
      if (a !== b) add(counts, this.comparer.compare(a, b));
    }
    return counts;
  }

  private sampling(records: number): { step: number; taken: number } {
    const taken = Math.min(records, this.options.learnFrom ?? 20_000);
    return { step: records / Math.max(1, taken), taken };
  }
}

function* dates(records: readonly PersonRecord[]): Generator<string> {
  for (const { dob } of records) if (dob) yield dob;
}

function countRecord(record: NormalisedRecord): void {
  const countOnce = new Set<Word>();
  for (const { given, family } of record.names) {
    if (given && !countOnce.has(given)) given.asGiven++;
    if (family && !countOnce.has(family)) family.asFamily++;
    if (given) countOnce.add(given);
    if (family) countOnce.add(family);
  }
  if (record.phone) record.phone.asFamily++;
  if (record.street) record.street.count++;
}

function add(counts: Map<number, number>, pattern: number): void {
  counts.set(pattern, (counts.get(pattern) ?? 0) + 1);
}

/** mulberry32: the same draws every time. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

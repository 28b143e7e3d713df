import { dayIn, monthIn, yearOf } from './date';
import { Sex, type DateNumber, type Name, type NormalisedRecord, type Street, type Word } from './record';
import { editDistance } from './similarity';
import { Nearness, type Vocabulary } from './vocabulary';

/** Levels of agreement; for names those of `Nearness`. Values from EXACT on: equal, and how common the value is. */
export const EXACT = 9;

export const enum DobLevel {
  Same = 0,
  /** Day and month exchanged. */
  Swapped = 1,
  /** One digit, or two neighbouring digits exchanged. */
  Typo = 2,
  /** The year and one of day and month. */
  TwoParts = 3,
  /** Day and month, another year. */
  DayMonth = 4,
  YearOnly = 5,
  /** One of them is only a year or a month of a year, and nothing contradicts. */
  Compatible = 6,
  /** Less than 15 years apart. */
  Near = 7,
  Generation = 8,
}
export const DOB_MISSING = 31;

export const enum StreetLevel {
  Same = 0,
  SameNameNearNumber = 1,
  NearNameSameNumber = 2,
  SameNameOtherNumber = 3,
  NearName = 4,
  OnlyNumber = 5,
  Different = 6,
  Missing = 7,
}

/** For city, postal code and telephone. */
export const enum PlainLevel {
  Same = 0,
  Near = 1,
  Different = 2,
  Missing = 3,
}

export const enum GenerationLevel {
  Unknown = 0,
  Same = 1,
  Conflict = 2,
}

/** All levels of a pair. `order` 1: given and family name exchanged. `place` is city * 4 + zip. */
export interface Levels {
  given: number;
  family: number;
  order: 0 | 1;
  generation: GenerationLevel;
  dob: number;
  sex: number;
  place: number;
  street: number;
  phone: PlainLevel;
}

/** 31 bits; equal patterns have equal weights. */
export function packLevels(levels: Levels): number {
  return (
    levels.given |
    (levels.family << 5) |
    (levels.order << 10) |
    (levels.generation << 11) |
    (levels.dob << 13) |
    (levels.sex << 18) |
    (levels.place << 20) |
    (levels.street << 24) |
    (levels.phone << 29)
  );
}

export function unpackLevels(pattern: number): Levels {
  return {
    given: pattern & 31,
    family: (pattern >> 5) & 31,
    order: ((pattern >> 10) & 1) as 0 | 1,
    generation: (pattern >> 11) & 3,
    dob: (pattern >> 13) & 31,
    sex: (pattern >> 18) & 3,
    place: (pattern >> 20) & 15,
    street: (pattern >> 24) & 31,
    phone: (pattern >> 29) & 3,
  };
}

/** Frequencies are put into classes of powers of two: the k-th holds shares from 2^-(k+1) to 2^-k; at most 22. */
export function rarity(share: number): number {
  return Math.max(0, Math.min(22, Math.floor(-Math.log2(share))));
}
export const shareOf = (rarityClass: number): number => 2 ** -(rarityClass + 0.5);

/** Values that so many records share are judged by their own frequency (nursing homes, the default birth date). */
const CROWD = 16;
/** Share of the persons born on one day is about 1/30000; ten times that is no ordinary day. */
const CROWDED_DAY = 1 / 3000;

const POINTS = [4, 3.5, 3, 3, 2.5, 1.5, 0, 1, 1];

export interface Counts {
  /** Records that the counts of words and streets are of. */
  records: number;
  /** Only birth dates that are crowded. */
  crowdedDays: ReadonlyMap<DateNumber, number>;
}

export function crowdedDays(days: ReadonlyMap<DateNumber, number>, records: number): Map<DateNumber, number> {
  const crowded = new Map<DateNumber, number>();
  for (const [day, count] of days) if (count >= CROWD && (count - 2) / records > CROWDED_DAY) crowded.set(day, count);
  return crowded;
}

/** Compares records of one vocabulary. Symmetric: compare(a, b) equals compare(b, a). */
export class Comparer {
  /** Used again for every pair: millions of pairs would keep the collector busy. */
  private readonly levels = emptyLevels();

  constructor(
    private readonly vocabulary: Vocabulary,
    private readonly counts: Counts,
  ) {}

  compare(a: NormalisedRecord, b: NormalisedRecord): number {
    const levels = this.names(a.names[0]!, b.names[0]!, this.levels);
    if (a.names.length > 1 || b.names.length > 1) this.otherGroups(a, b, levels);
    levels.generation =
      a.generation === 0 || b.generation === 0
        ? GenerationLevel.Unknown
        : a.generation === b.generation
          ? GenerationLevel.Same
          : GenerationLevel.Conflict;
    levels.dob = this.dob(a.dob, b.dob);
    levels.sex = a.sex === Sex.Unknown || b.sex === Sex.Unknown ? 2 : a.sex === b.sex ? 0 : 1;
    levels.place = this.short(a.city, b.city) * 4 + this.short(a.zip, b.zip);
    levels.street = this.street(a.street, b.street);
    levels.phone = this.phone(a.phone, b.phone);
    return packLevels(levels);
  }

  private names(a: Name, b: Name, out: Levels): Levels {
    const given = this.near(a.given, b.given);
    const family = this.near(a.family, b.family);
    const straight = POINTS[given]! + POINTS[family]!;
    if (straight <= 4.5) {
      const first = this.near(a.given, b.family);
      const second = this.near(a.family, b.given);
      if (POINTS[first]! + POINTS[second]! > straight + 1) {
        const one = first === Nearness.Same ? this.equal(a.given!, true, true) : first;
        const other = second === Nearness.Same ? this.equal(a.family!, true, true) : second;
        return secondIsGiven(a, b, first, second) ? setNames(out, other, one, 1) : setNames(out, one, other, 1);
      }
    }
    return setNames(
      out,
      given === Nearness.Same ? this.equal(a.given!, true, false) : given,
      family === Nearness.Same ? this.equal(a.family!, false, true) : family,
      0,
    );
  }

  /** Ideographic and phonetic groups: whichever pair of groups agrees best counts. */
  private otherGroups(a: NormalisedRecord, b: NormalisedRecord, levels: Levels): void {
    let best = pointsOf(levels);
    a.names.forEach((x, i) => {
      b.names.forEach((y, j) => {
        if (i === 0 && j === 0) return;
        const other = this.names(x, y, emptyLevels());
        const points = pointsOf(other);
        if (points <= best) return;
        best = points;
        Object.assign(levels, { given: other.given, family: other.family, order: other.order });
      });
    });
  }

  private near(a: Word | null, b: Word | null): Nearness {
    return a === null || b === null ? Nearness.Missing : this.vocabulary.nearness(a, b);
  }

  /** One of the occurrences is the person's own. */
  private equal(word: Word, asGiven: boolean, asFamily: boolean): number {
    const count = Math.max(asGiven ? word.asGiven : 0, asFamily ? word.asFamily : 0);
    return EXACT + rarity(Math.max(1, count - 1) / Math.max(2, this.counts.records));
  }

  private dob(a: DateNumber, b: DateNumber): number {
    if (a === 0 || b === 0) return DOB_MISSING;
    if (a === b && monthIn(a) !== 0) {
      const count = this.counts.crowdedDays.get(a);
      return count === undefined ? DobLevel.Same : EXACT + rarity(count / this.counts.records);
    }
    return compareDates(a, b);
  }

  private short(a: Word | null, b: Word | null): PlainLevel {
    if (a === null || b === null) return PlainLevel.Missing;
    const near = this.vocabulary.nearness(a, b);
    if (near === Nearness.Same) return PlainLevel.Same;
    return near === Nearness.Different || near === Nearness.Initial ? PlainLevel.Different : PlainLevel.Near;
  }

  private phone(a: Word | null, b: Word | null): PlainLevel {
    if (a === null || b === null) return PlainLevel.Missing;
    if (a === b) return a.asFamily >= CROWD ? PlainLevel.Missing : PlainLevel.Same;
    // With and without area code.
    const [short, long] = a.text.length < b.text.length ? [a.text, b.text] : [b.text, a.text];
    if (short.length >= 6 && long.endsWith(short)) return PlainLevel.Same;
    return editDistance(short, long, 1) <= 1 ? PlainLevel.Near : PlainLevel.Different;
  }

  private street(a: Street | null, b: Street | null): number {
    if (a === null || b === null) return StreetLevel.Missing;
    if (a === b && a.number !== '' && a.word !== null)
      return a.count < CROWD ? StreetLevel.Same : EXACT + rarity(a.count / this.counts.records);
    const near = this.near(a.word, b.word);
    if (near === Nearness.Missing) return a.number === b.number ? StreetLevel.OnlyNumber : StreetLevel.Missing;
    const known = a.number !== '' && b.number !== '';
    const sameNumber = known && a.number === b.number;
    if (near <= Nearness.Variant) {
      if (sameNumber) return StreetLevel.Same;
      return known && !nearNumbers(a.number, b.number)
        ? StreetLevel.SameNameOtherNumber
        : StreetLevel.SameNameNearNumber;
    }
    if (near < Nearness.Different) return sameNumber ? StreetLevel.NearNameSameNumber : StreetLevel.NearName;
    return sameNumber ? StreetLevel.OnlyNumber : StreetLevel.Different;
  }
}

/**
 * Of two records with exchanged names, which comparison was that of the given names? As their owners usually have them;
 * where that does not tell, the worse one: a different given name is what twins have.
 */
function secondIsGiven(a: Name, b: Name, first: Nearness, second: Nearness): boolean {
  const evidence = givenness(a.family) + givenness(b.given) - givenness(a.given) - givenness(b.family);
  return Math.abs(evidence) < 1 ? POINTS[second]! < POINTS[first]! : evidence > 0;
}

/** Above 0 for what is more often a given name than a family name. */
function givenness(word: Word | null): number {
  return word === null ? 0 : Math.log2((word.asGiven + 0.5) / (word.asFamily + 0.5));
}

function emptyLevels(): Levels {
  return { given: 0, family: 0, order: 0, generation: 0, dob: 0, sex: 0, place: 0, street: 0, phone: 0 };
}

function setNames(levels: Levels, given: number, family: number, order: 0 | 1): Levels {
  levels.given = given;
  levels.family = family;
  levels.order = order;
  return levels;
}

function pointsOf({ given, family, order }: Levels): number {
  return (given >= EXACT ? 4 : POINTS[given]!) + (family >= EXACT ? 4 : POINTS[family]!) - order;
}

function nearNumbers(a: string, b: string): boolean {
  // 12 and 12b; 12 and 21; 112 and 12. Not 5 and 7: two single digits say nothing.
  return parseInt(a, 10) === parseInt(b, 10) || (a.length + b.length > 2 && editDistance(a, b, 1) <= 1);
}

/** Of two dates that are not the same full date. */
export function compareDates(a: DateNumber, b: DateNumber): DobLevel {
  const [y1, m1, d1, y2, m2, d2] = [yearOf(a), monthIn(a), dayIn(a), yearOf(b), monthIn(b), dayIn(b)];
  if (m1 === 0 || m2 === 0 || d1 === 0 || d2 === 0) {
    const compatible = y1 === y2 && (m1 === 0 || m2 === 0 || m1 === m2);
    if (compatible) return DobLevel.Compatible;
    return Math.abs(y1 - y2) >= 15 ? DobLevel.Generation : DobLevel.Near;
  }
  if (y1 === y2 && m1 === d2 && m2 === d1) return DobLevel.Swapped;
  if (oneDigit(a, b)) return DobLevel.Typo;
  if (y1 === y2 && (m1 === m2 || d1 === d2)) return DobLevel.TwoParts;
  if (m1 === m2 && d1 === d2) return DobLevel.DayMonth;
  if (y1 === y2) return DobLevel.YearOnly;
  return Math.abs(y1 - y2) >= 15 ? DobLevel.Generation : DobLevel.Near;
}

/** One digit of eight differs, or two neighbours are exchanged. */
function oneDigit(a: number, b: number): boolean {
  let x = a;
  let y = b;
  let differing = 0;
  let at = -1;
  let first = 0;
  for (let i = 0; i < 8; i++) {
    const p = x % 10;
    const q = y % 10;
    x = (x - p) / 10;
    y = (y - q) / 10;
    if (p === q) continue;
    differing++;
    if (differing === 1) {
      at = i;
      first = p * 10 + q;
    } else if (differing > 2 || i !== at + 1 || first !== q * 10 + p) return false;
  }
  return differing > 0;
}

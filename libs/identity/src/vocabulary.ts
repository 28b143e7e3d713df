import { DEFAULT_NICKNAMES, nicknameGroups } from './nicknames';
import { phoneticCode } from './phonetic';
import type { Street, Word } from './record';
import { editDistance, jaroWinkler } from './similarity';
import { flatten } from './text';

/** How alike two words are, best first. */
export const enum Nearness {
  Same = 0,
  /** Another spelling or a short form of the same name. */
  Variant = 1,
  /** One of several words is shared. */
  Part = 2,
  /** One typing error, where one of the two is hardly ever written so. */
  Typo = 3,
  /** As near as that, but both are names in their own right (Anna, Hanna). */
  Neighbour = 4,
  Loose = 5,
  Different = 6,
  Missing = 7,
  Initial = 8,
}

const CACHE_BITS = 20;
const SMALL_CACHE_BITS = 12;

/** All words of one body of records, with how often each occurs; compares them, remembering recent answers. */
export class Vocabulary {
  private readonly words = new Map<string, Word>();
  private readonly streets = new Map<string, Street>();
  private readonly groups: Map<string, readonly number[]>;
  private readonly bits: number;
  private readonly cacheA: Int32Array;
  private readonly cacheB: Int32Array;
  private readonly cached: Uint8Array;

  /** With a parent: knows its words and counts, and leaves it as it is, so that what is looked up once is forgotten with it. */
  constructor(
    private readonly parent?: Vocabulary,
    nicknames: readonly string[] = DEFAULT_NICKNAMES,
  ) {
    this.groups = parent?.groups ?? nicknameGroups(nicknames);
    this.bits = parent ? SMALL_CACHE_BITS : CACHE_BITS;
    this.cacheA = new Int32Array(1 << this.bits).fill(-1);
    this.cacheB = new Int32Array(1 << this.bits);
    this.cached = new Uint8Array(1 << this.bits);
  }

  /** null for no words. Does not count an occurrence. */
  word(parts: readonly string[]): Word | null {
    const spaced = parts.join(' ');
    if (spaced === '') return null;
    const known = this.words.get(spaced) ?? this.parent?.words.get(spaced);
    if (known) return known;
    const text = parts.join('');
    const word: Word = {
      index: this.size,
      text,
      flat: flatten(text),
      code: phoneticCode(text),
      letters: lettersOf(text),
      parts: parts.length > 1 ? [...parts] : [text],
      asGiven: 0,
      asFamily: 0,
    };
    this.words.set(spaced, word);
    return word;
  }

  street(parts: readonly string[], number: string): Street {
    const word = this.word(parts);
    const key = `${word?.index ?? ''} ${number}`;
    let street = this.streets.get(key) ?? this.parent?.streets.get(key);
    if (!street) this.streets.set(key, (street = { word, number, count: 0 }));
    return street;
  }

  get size(): number {
    return (this.parent?.size ?? 0) + this.words.size;
  }

  /** Without those of the parent. */
  all(): IterableIterator<Word> {
    return this.words.values();
  }

  allStreets(): IterableIterator<Street> {
    return this.streets.values();
  }

  /** Counts have changed: what was remembered about typing errors no longer holds. */
  forget(): void {
    this.cacheA.fill(-1);
  }

  nearness(a: Word, b: Word): Nearness {
    if (a === b) return Nearness.Same;
    const [low, high] = a.index < b.index ? [a, b] : [b, a];
    const slot = (Math.imul(low.index, 0x9e3779b1) ^ Math.imul(high.index, 0x85ebca6b)) >>> (32 - this.bits);
    if (this.cacheA[slot] === low.index && this.cacheB[slot] === high.index) return this.cached[slot] as Nearness;
    const found = this.compare(low, high);
    this.cacheA[slot] = low.index;
    this.cacheB[slot] = high.index;
    this.cached[slot] = found;
    return found;
  }

  private compare(a: Word, b: Word): Nearness {
    const x = a.text;
    const y = b.text;
    if (x === y || a.flat === b.flat) return Nearness.Variant;
    if (x.length === 1 || y.length === 1) return x[0] === y[0] ? Nearness.Initial : Nearness.Different;
    if (this.shortForm(x, y)) return Nearness.Variant;
    if (a.parts.length > 1 || b.parts.length > 1) {
      const shared = this.sharedParts(a, b);
      if (shared !== Nearness.Different) return shared;
    }
    const shortest = Math.min(x.length, y.length);
    // Three edits change six letters at most, and what is similar has most of its letters in common.
    if (bitCount(a.letters ^ b.letters) > 6) return Nearness.Different;
    const distance = editDistance(x, y, 3);
    const similarity = jaroWinkler(x, y);
    const near = (distance === 1 && shortest >= 3) || (distance === 2 && shortest >= 7) || similarity >= 0.94;
    if (near) return bothEstablished(a, b) ? Nearness.Neighbour : Nearness.Typo;
    if (
      (distance <= 2 && shortest >= 4) ||
      (distance === 3 && shortest >= 7) ||
      (similarity >= 0.86 && shortest >= 4) ||
      (shortest >= 4 && a.code === b.code && a.code.length >= 3 && similarity >= 0.75) ||
      (shortest >= 4 && (x.startsWith(y) || y.startsWith(x)))
    )
      return Nearness.Loose;
    return Nearness.Different;
  }

  private shortForm(x: string, y: string): boolean {
    const first = this.groups.get(x);
    const second = first && this.groups.get(y);
    return second !== undefined && first!.some((group) => second.includes(group));
  }

  private sharedParts(a: Word, b: Word): Nearness {
    let shared = 0;
    let near = 0;
    let initials = 0;
    const [few, many] = a.parts.length <= b.parts.length ? [a.parts, b.parts] : [b.parts, a.parts];
    for (const part of few) {
      if (part.length > 2 && many.includes(part)) shared++;
      else if (part.length > 3 && many.some((other) => editDistance(part, other, 1) <= 1)) near++;
      else if (many.some((other) => (part.length === 1 || other.length === 1) && part[0] === other[0])) initials++;
    }
    if (shared === few.length && few.length === many.length) return Nearness.Variant;
    if (shared > 0 && shared + near + initials === few.length && few.length === many.length) return Nearness.Variant;
    if (shared > 0) return Nearness.Part;
    return near > 0 && few.length > 1 ? Nearness.Loose : near > 0 ? Nearness.Part : Nearness.Different;
  }
}

/** Both spellings are names that several people have, and neither is a rare misspelling of the other. */
function bothEstablished(a: Word, b: Word): boolean {
  const first = a.asGiven + a.asFamily;
  const second = b.asGiven + b.asFamily;
  const rarer = Math.min(first, second);
  return rarer >= 3 && rarer >= 0.02 * Math.max(first, second);
}

function lettersOf(text: string): number {
  let letters = 0;
  for (let i = 0; i < text.length; i++) {
    const at = text.charCodeAt(i) - 97;
    if (at >= 0 && at < 26) letters |= 1 << at;
  }
  return letters;
}

function bitCount(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

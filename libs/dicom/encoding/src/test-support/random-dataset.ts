import { dictionaryEntries, tagToHex, type DicomJson, type DicomJsonValue } from '@archipelago/dicom-core';

/** Small seeded generator (mulberry32): the same dataset for the same seed, everywhere. */
export class Seeded {
  constructor(private state: number) {}

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }
}

// In implicit VR an ambiguous VR reads as one of its choices, so those are left to tests of their own.
const entries = dictionaryEntries().filter(
  (entry) => entry.tag !== undefined && entry.tag > 0x00080005 && entry.tag < 0x7fe00000 && !/[/-]/.test(entry.vr),
);

const NUMBERS: Record<string, readonly number[]> = {
  US: [0, 1, 513, 65535],
  SS: [-32768, -2, 0, 258],
  UL: [0, 66051, 4294967295],
  SL: [-2147483648, -3, 16909060],
  FL: [0, 1.5, -0.25],
  FD: [Math.PI, -1e300, 0],
  SV: [-5, 9007199254740991],
  UV: [7, 9007199254740991],
  IS: [-12, 0, 77],
  DS: [1.25, -3, 1e-7],
};

const TEXTS: Record<string, readonly string[]> = {
  AE: ['STORE', 'A B'],
  AS: ['032Y'],
  CS: ['ORIGINAL', 'A'],
  DA: ['20240229'],
  DT: ['20240229120000.5+0100'],
  TM: ['120000.123'],
  UI: ['1.2.840.10008.1.2', '1.2.3'],
  UR: ['https://example.org/a?b=c'],
  PN: ['Müller^Jürgen', 'Yamada^Tarou=山田^太郎=やまだ^たろう', 'X'],
};
const FREE = ['plain', 'ünï', 'odd', 'a longer text with spaces', '한국어'];

function value(random: Seeded, vr: string): DicomJsonValue {
  if (NUMBERS[vr]) return random.pick(NUMBERS[vr]);
  if (vr === 'AT') return tagToHex(random.pick(entries).tag as number);
  const text = random.pick(TEXTS[vr] ?? FREE);
  if (vr !== 'PN') return text;
  const [Alphabetic, Ideographic, Phonetic] = text.split('=');
  return Ideographic ? { Alphabetic, Ideographic, Phonetic } : { Alphabetic };
}

const UNIT: Record<string, number> = { OB: 1, UN: 1, OW: 2, OF: 4, OL: 4, OD: 8, OV: 8 };
const SINGLE = new Set(['LT', 'ST', 'UT', 'UR']);

/** A dataset of random elements with their dictionary's VR, nested up to `depth`, text in ISO_IR 192. */
export function randomDataset(random: Seeded, size: number, depth: number): DicomJson {
  const json: DicomJson = { '00080005': { vr: 'CS', Value: ['ISO_IR 192'] } };
  return fill(json, random, size, depth);
}

function fill(json: DicomJson, random: Seeded, size: number, depth: number): DicomJson {
  for (let i = 0; i < size; i++) {
    const entry = random.pick(entries);
    const key = tagToHex(entry.tag as number);
    if (key.endsWith('0000')) continue;
    if (entry.vr === 'SQ') {
      if (depth > 0) {
        const items = Array.from({ length: random.below(3) }, () => fill({}, random, random.below(5), depth - 1));
        json[key] = items.length > 0 ? { vr: 'SQ', Value: items } : { vr: 'SQ' };
      }
    } else if (UNIT[entry.vr]) {
      const bytes = Buffer.alloc(UNIT[entry.vr] * 2 * random.below(5));
      for (let at = 0; at < bytes.length; at++) bytes[at] = random.below(256);
      json[key] = bytes.length > 0 ? { vr: entry.vr, InlineBinary: bytes.toString('base64') } : { vr: entry.vr };
    } else {
      const count = SINGLE.has(entry.vr) ? 1 : random.below(4);
      const values = Array.from({ length: count }, () => value(random, entry.vr));
      json[key] = values.length > 0 ? { vr: entry.vr, Value: values } : { vr: entry.vr };
    }
  }
  return json;
}

import { dayIn, monthIn, yearOf } from './date';
import type { NormalisedRecord, Word } from './record';
import { phoneticCode } from './phonetic';

/** At most this many keys for each record. */
export const MOST_KEYS = 40;

/**
 * Keys under which a record is found: two records that share one are compared. Several passes, each of which survives
 * errors that others do not; none depends on which name is the given one, nor on which of day and month comes first.
 * The text of a key is stable, so that a database can index it; its first letters name the pass.
 */
export function blockingKeys(record: NormalisedRecord): string[] {
  const keys = new Set<string>();
  const { dob } = record;
  const year = yearOf(dob);
  const fullDate = dayIn(dob) !== 0;
  const day = fullDate ? canonicalDay(dob) : '';
  const zip = record.zip?.text ?? '';
  const city = record.city?.code ?? '';
  for (const { given, family } of record.names) {
    const g = codesOf(given);
    const f = codesOf(family);
    for (const a of g) {
      for (const b of f) {
        const both = a < b ? `${a} ${b}` : `${b} ${a}`;
        keys.add(`n ${both}`);
        if (year !== 0) keys.add(`ny ${both} ${year}`);
        if (fullDate) keys.add(`nd ${both} ${day.slice(-5)}`);
        if (zip !== '') keys.add(`nz ${both} ${zip}`);
        else if (city !== '') keys.add(`nc ${both} ${city}`);
      }
    }
    for (const code of [...g, ...f]) {
      if (fullDate) keys.add(`dn ${day} ${code}`);
      if (zip !== '') keys.add(`zn ${zip} ${code}`);
      if (zip !== '' && year !== 0) keys.add(`zy ${zip} ${code} ${year}`);
      if (zip === '' && city !== '' && year !== 0) keys.add(`cy ${city} ${code} ${year}`);
    }
    if (fullDate) {
      if (given) keys.add(`dl ${day} ${given.text[0]}`);
      if (family) keys.add(`dl ${day} ${family.text[0]}`);
    }
    if (keys.size > MOST_KEYS) break;
  }
  if (fullDate) {
    keys.add(`d ${day}`);
    if (zip !== '') keys.add(`dz ${day} ${zip}`);
    if (city !== '') keys.add(`dc ${day} ${city}`);
  }
  if (record.phone) keys.add(`p ${record.phone.text.slice(-6)}`);
  addressKeys(record, zip, city, keys);
  for (const id of record.furtherIds) keys.add(`i ${id}`);
  if (record.id !== '' && record.issuer !== '') keys.add(`i ${record.issuer}|${record.id}`);
  for (const accession of record.accessions) keys.add(`a ${accession}`);
  return keys.size <= MOST_KEYS ? [...keys] : [...keys].slice(0, MOST_KEYS);
}

function addressKeys(record: NormalisedRecord, zip: string, city: string, keys: Set<string>): void {
  const { street } = record;
  if (!street?.word) return;
  const words = [...street.word.parts].sort((a, b) => b.length - a.length || (a < b ? -1 : 1)).slice(0, 2);
  for (const word of words) {
    const code = phoneticCode(word);
    if (street.number !== '') keys.add(`s ${code} ${street.number}`);
    if (street.number !== '' && zip !== '') keys.add(`sz ${code} ${street.number} ${zip}`);
    else if (city !== '') keys.add(`sc ${code} ${street.number} ${city}`);
  }
}

/** The codes of a name; of several words, of the first two and of the whole. */
function codesOf(word: Word | null): string[] {
  if (word === null) return [];
  if (word.parts.length === 1) return [word.code];
  return [...new Set(word.parts.slice(0, 2).map((part) => phoneticCode(part)))];
}

/** Day and month in rising order: a date with both exchanged has the same. */
function canonicalDay(dob: number): string {
  const month = monthIn(dob);
  const dayOfMonth = dayIn(dob);
  const [a, b] = month <= dayOfMonth ? [month, dayOfMonth] : [dayOfMonth, month];
  return `${yearOf(dob)}-${two(a)}-${two(b)}`;
}

const two = (n: number): string => (n < 10 ? `0${n}` : String(n));

/** FNV-1a, 32 bits, with a final mix; two seeds give two independent hashes. */
function hash(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}

/** Which blocks are looked into. */
export interface BlockBounds {
  /** Larger blocks are left out: who is in them is found through others. */
  largest: number;
}

/** Records by blocking key. Holds hashes, no texts: 12 bytes a key. */
export class BlockIndex {
  private readonly starts: Int32Array;
  private readonly members: Int32Array;
  private readonly checks: Uint32Array;
  private readonly mask: number;
  private readonly seen: Int32Array;
  private turn = 0;

  constructor(
    private readonly records: readonly NormalisedRecord[],
    private readonly bounds: BlockBounds,
  ) {
    let bits = 10;
    while (1 << bits < records.length * 16 && bits < 24) bits++;
    this.mask = (1 << bits) - 1;
    this.starts = new Int32Array((1 << bits) + 2);
    let slots = new Uint32Array(records.length * 16);
    let checks = new Uint32Array(records.length * 16);
    let owners = new Int32Array(records.length * 16);
    let n = 0;
    records.forEach((record, owner) => {
      for (const key of blockingKeys(record)) {
        if (n === slots.length) [slots, checks, owners] = [grow(slots), grow(checks), growSigned(owners)];
        const slot = hash(key, 0x811c9dc5) & this.mask;
        slots[n] = slot;
        checks[n] = hash(key, 0x1b873593);
        owners[n] = owner;
        this.starts[slot + 2]!++;
        n++;
      }
    });
    for (let i = 2; i < this.starts.length; i++) this.starts[i]! += this.starts[i - 1]!;
    this.members = new Int32Array(n);
    this.checks = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      const at = this.starts[slots[i]! + 1]!++;
      this.members[at] = owners[i]!;
      this.checks[at] = checks[i]!;
    }
    this.seen = new Int32Array(records.length).fill(-1);
  }

  /** Calls `found` once for each record that shares a block with this one (and is above `above`). */
  candidates(record: NormalisedRecord, found: (index: number) => void, above = -1): void {
    const turn = this.turn++;
    for (const key of blockingKeys(record)) {
      const slot = hash(key, 0x811c9dc5) & this.mask;
      const check = hash(key, 0x1b873593);
      const start = this.starts[slot]!;
      const end = this.starts[slot + 1]!;
      if (end - start > this.bounds.largest && this.sizeOf(start, end, check) > this.bounds.largest) continue;
      for (let i = start; i < end; i++) {
        const member = this.members[i]!;
        if (this.checks[i] !== check || this.seen[member] === turn) continue;
        this.seen[member] = turn;
        if (member > above && this.records[member] !== record) found(member);
      }
    }
  }

  private sizeOf(start: number, end: number, check: number): number {
    let size = 0;
    for (let i = start; i < end; i++) if (this.checks[i] === check) size++;
    return size;
  }
}

function grow(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2 + 16);
  larger.set(array);
  return larger;
}
function growSigned(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2 + 16);
  larger.set(array);
  return larger;
}

import { encodeText } from './charset';
import type { GenDataset, GenElement, GenValue } from './dataset';

/** How elements are laid out: the encoding half of a transfer syntax (PS3.5 annex A). */
export interface Encoding {
  explicit: boolean;
  bigEndian: boolean;
}

/** VRs with a 32-bit length in explicit VR (PS3.5 table 7.1-1). */
const LONG = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
/** VRs whose text is in the SpecificCharacterSet. */
const LOCAL_TEXT = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);
const WORD_BYTES: Record<string, number> = {
  US: 2,
  SS: 2,
  OW: 2,
  UL: 4,
  SL: 4,
  FL: 4,
  OF: 4,
  OL: 4,
  FD: 8,
  OD: 8,
  OV: 8,
  SV: 8,
  UV: 8,
  AT: 2,
};

/**
 * Encodes a dataset without file meta information. Sequences get undefined lengths when `undefinedLengths`,
 * else explicit ones. SpecificCharacterSet of nested items is inherited (PS3.5 7.5.3).
 */
export function encodeDataset(
  dataset: GenDataset,
  encoding: Encoding,
  options: { undefinedLengths?: boolean; charset?: readonly string[] } = {},
): Buffer {
  const own = dataset.get(0x00080005)?.value;
  const charset = own === undefined ? (options.charset ?? []) : asTerms(own);
  const parts: Buffer[] = [];
  for (const element of dataset.sorted()) {
    if (element.vr === 'SQ') encodeSequence(element, encoding, { ...options, charset }, parts);
    else {
      const value = encodeValue(element, encoding, charset);
      parts.push(elementHeader(element.tag, element.vr, value.length, encoding), value);
    }
  }
  return Buffer.concat(parts);
}

function asTerms(value: GenValue): string[] {
  if (typeof value === 'string') return value.split('\\');
  return Array.isArray(value) ? value.map(String) : [];
}

function encodeSequence(
  element: GenElement,
  encoding: Encoding,
  options: { undefinedLengths?: boolean; charset?: readonly string[] },
  parts: Buffer[],
): void {
  const items = Array.isArray(element.value) ? (element.value as GenDataset[]) : [];
  const body: Buffer[] = [];
  for (const item of items) {
    const bytes = encodeDataset(item, encoding, options);
    body.push(itemHeader(0xfffee000, options.undefinedLengths ? 0xffffffff : bytes.length, encoding), bytes);
    if (options.undefinedLengths) body.push(itemHeader(0xfffee00d, 0, encoding));
  }
  if (options.undefinedLengths) body.push(itemHeader(0xfffee0dd, 0, encoding));
  const bytes = Buffer.concat(body);
  parts.push(elementHeader(element.tag, 'SQ', options.undefinedLengths ? 0xffffffff : bytes.length, encoding), bytes);
}

/** Tag, VR and length of an element. */
export function elementHeader(tag: number, vr: string, length: number, encoding: Encoding): Buffer {
  const out = Buffer.alloc(!encoding.explicit || !LONG.has(vr) ? 8 : 12);
  writeTag(out, 0, tag, encoding.bigEndian);
  if (!encoding.explicit) return put32(out, 4, length, encoding.bigEndian);
  out.write(vr, 4, 'latin1');
  if (LONG.has(vr)) return put32(out, 8, length, encoding.bigEndian);
  if (length > 0xffff) throw new Error(`generator: value of ${tag.toString(16)} (${vr}) is too long: ${length}`);
  if (encoding.bigEndian) out.writeUInt16BE(length, 6);
  else out.writeUInt16LE(length, 6);
  return out;
}

/** Item, item delimitation or sequence delimitation (PS3.5 7.5). */
export function itemHeader(tag: number, length: number, encoding: Encoding): Buffer {
  const out = Buffer.alloc(8);
  writeTag(out, 0, tag, encoding.bigEndian);
  return put32(out, 4, length, encoding.bigEndian);
}

function writeTag(out: Buffer, at: number, tag: number, bigEndian: boolean): void {
  if (bigEndian) out.writeUInt32BE(tag >>> 0, at);
  else {
    out.writeUInt16LE(tag >>> 16, at);
    out.writeUInt16LE(tag & 0xffff, at + 2);
  }
}

function put32(out: Buffer, at: number, value: number, bigEndian: boolean): Buffer {
  if (bigEndian) out.writeUInt32BE(value >>> 0, at);
  else out.writeUInt32LE(value >>> 0, at);
  return out;
}

function encodeValue(element: GenElement, encoding: Encoding, charset: readonly string[]): Buffer {
  const { vr, value } = element;
  if (value === null) return Buffer.alloc(0);
  if (Buffer.isBuffer(value)) {
    const even = value.length % 2 ? Buffer.concat([value, Buffer.from([0])]) : value;
    return encoding.bigEndian ? swapWords(even, vr) : even;
  }
  if (vr === 'AT' || (WORD_BYTES[vr] && typeof value !== 'string')) return encodeNumbers(element, encoding);
  const text = Array.isArray(value) ? value.map(String).join('\\') : String(value);
  const bytes = LOCAL_TEXT.has(vr) ? encodeText(text, charset) : Buffer.from(text, 'latin1');
  if (bytes.length % 2 === 0) return bytes;
  return Buffer.concat([bytes, Buffer.from(vr === 'UI' ? '\0' : ' ')]);
}

/** A copy with words in the other byte order, where the VR has words (PS3.5 7.3). */
export function swapWords(bytes: Buffer, vr: string): Buffer {
  const size = WORD_BYTES[vr] ?? 1;
  if (size === 1) return bytes;
  const copy = Buffer.from(bytes);
  if (size === 2) return copy.swap16();
  return size === 4 ? copy.swap32() : copy.swap64();
}

function encodeNumbers(element: GenElement, encoding: Encoding): Buffer {
  const { vr, value } = element;
  const numbers = (Array.isArray(value) ? value : [value]) as number[];
  const size = vr === 'AT' ? 4 : (WORD_BYTES[vr] ?? 1);
  const out = Buffer.alloc(numbers.length * size);
  numbers.forEach((number, index) => {
    const at = index * size;
    if (vr === 'AT') writeTag(out, at, number, encoding.bigEndian);
    else writeNumber(out, at, vr, number, encoding.bigEndian);
  });
  return out;
}

function writeNumber(out: Buffer, at: number, vr: string, value: number, big: boolean): void {
  switch (vr) {
    case 'US':
    case 'OW':
      if (big) out.writeUInt16BE(value & 0xffff, at);
      else out.writeUInt16LE(value & 0xffff, at);
      return;
    case 'SS':
      if (big) out.writeInt16BE(value, at);
      else out.writeInt16LE(value, at);
      return;
    case 'UL':
    case 'OL':
      put32(out, at, value, big);
      return;
    case 'SL':
      if (big) out.writeInt32BE(value, at);
      else out.writeInt32LE(value, at);
      return;
    case 'FL':
    case 'OF':
      if (big) out.writeFloatBE(value, at);
      else out.writeFloatLE(value, at);
      return;
    case 'FD':
    case 'OD':
      if (big) out.writeDoubleBE(value, at);
      else out.writeDoubleLE(value, at);
      return;
    default:
      if (big) out.writeBigInt64BE(BigInt.asIntN(64, BigInt(value)), at);
      else out.writeBigInt64LE(BigInt.asIntN(64, BigInt(value)), at);
  }
}

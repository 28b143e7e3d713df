import { deflateRawSync } from 'node:zlib';
import {
  charsetOf,
  dictionaryVr,
  formatDecimalString,
  isGroupLengthTag,
  parseTag,
  personNameFromJson,
  transferSyntax,
  UTF8,
  vrRule,
  type Charset,
  type DicomJson,
  type DicomJsonElement,
  type DicomJsonValue,
  type TransferSyntax,
} from '@archipelago/dicom-core';
import { swapInPlace } from './byte-swap';
import { DatasetError } from './dataset-error';
import { GrowingBuffer } from './growing-buffer';
import { LONG, vrCode, vrFlags, vrUnit } from './vr-code';

const SPECIFIC_CHARACTER_SET = 0x00080005;
const MAX_DEPTH = 64;

/** A text does not fit the character set: the whole dataset is written again in ISO_IR 192. */
class DoesNotFit extends Error {}

/**
 * Writes a small dataset held in memory: query identifiers and responses, lists of failed UIDs. Keys are tags as in the
 * DICOM JSON model; a missing `vr` is the dictionary's. Sequences get defined lengths, values their padding.
 *
 * `charset`: terms of SpecificCharacterSet to write text in, by default what the dataset itself says (0008,0005). When a
 * text does not fit, the whole dataset, nested items included, is written in ISO_IR 192. (0008,0005) stands in the result
 * when text outside ASCII needed it, or when the dataset had it.
 *
 * @throws DatasetError not-encodable: a value that its VR cannot hold, a bulk data reference, too deep nesting
 */
export function writeDataset(json: DicomJson, transferSyntaxUid: string, charset?: readonly string[]): Buffer {
  const syntax = transferSyntax(transferSyntaxUid);
  const own = json['00080005']?.Value?.map((term) => String(term ?? ''));
  const wanted = charsetOf(charset ?? own);
  let bytes: Buffer;
  try {
    bytes = new DatasetWriter(syntax, wanted).dataset(json, own !== undefined);
  } catch (error) {
    if (!(error instanceof DoesNotFit)) throw error;
    bytes = new DatasetWriter(syntax, UTF8).dataset(json, true);
  }
  if (!syntax.deflated) return bytes;
  const deflated = deflateRawSync(bytes);
  return deflated.length % 2 === 0 ? deflated : Buffer.concat([deflated, Buffer.alloc(1)]);
}

/** How elements are written: what a transfer syntax says of it. */
export type Encoding = Pick<TransferSyntax, 'implicit' | 'bigEndian'>;

/**
 * Elements alone, in the order of their tags, without (0008,0005): text in `charset`, sequences with defined lengths. Null
 * when a text does not fit the character set. A text VR with InlineBinary holds bytes that are in that set already.
 *
 * @throws DatasetError as writeDataset; not-encodable also for text that no character set holds (lone surrogates)
 */
export function encodeElements(json: DicomJson, encoding: Encoding, charset: Charset): Buffer | null {
  try {
    return Buffer.from(new DatasetWriter(encoding, charset).elementsOnly(json));
  } catch (error) {
    if (error instanceof DoesNotFit) return null;
    throw error;
  }
}

class DatasetWriter {
  private beyondAscii = false;

  constructor(
    private readonly syntax: Encoding,
    private readonly charset: Charset,
  ) {}

  dataset(json: DicomJson, namesCharset: boolean): Buffer {
    const body = this.elements(json, 0);
    if (!(namesCharset || this.beyondAscii) || this.charset.terms.length === 0) return body.bytes;
    const head = new GrowingBuffer(64);
    const terms = Buffer.from(this.charset.terms.join('\\'), 'latin1');
    this.element(head, SPECIFIC_CHARACTER_SET, 'CS', terms);
    return Buffer.concat([body.before, head.view(), body.after]);
  }

  elementsOnly(json: DicomJson): Buffer {
    return this.elements(json, 0).bytes;
  }

  /** `before` and `after`: what stands before and behind the place of (0008,0005). */
  private elements(json: DicomJson, depth: number): { bytes: Buffer; before: Buffer; after: Buffer } {
    if (depth > MAX_DEPTH) throw new DatasetError('too-deep', 0, 0);
    const out = new GrowingBuffer(512);
    let split = 0;
    for (const [tag, key] of sortedTags(json)) {
      if (isGroupLengthTag(tag) || tag === SPECIFIC_CHARACTER_SET) continue;
      const element = json[key];
      const vr = (element.vr || dictionaryVr(tag) || 'UN').split('/')[0];
      this.element(out, tag, vr, this.value(tag, vr, element, depth));
      if (tag < SPECIFIC_CHARACTER_SET) split = out.length;
    }
    const bytes = out.view();
    return { bytes, before: bytes.subarray(0, split), after: bytes.subarray(split) };
  }

  private element(out: GrowingBuffer, tag: number, vr: string, value: Buffer): void {
    const { bigEndian, implicit } = this.syntax;
    const odd = value.length % 2 === 1;
    const length = value.length + (odd ? 1 : 0);
    this.tag(out, tag);
    if (implicit) this.u32(out, length);
    else {
      const code = length > 0xfffe && (vrFlags(vrCode(vr)) & LONG) === 0 ? vrCode('UN') : vrCode(vr);
      out.append(Buffer.of(code >> 8, code & 0xff), 0, 2);
      if ((vrFlags(code) & LONG) !== 0) {
        out.u16(0);
        this.u32(out, length);
      } else if (bigEndian) out.append(Buffer.of(length >> 8, length & 0xff), 0, 2);
      else out.u16(length);
    }
    out.append(value, 0, value.length);
    if (odd) out.append(Buffer.of(vrRule(vr)?.padding ?? 0), 0, 1);
  }

  private tag(out: GrowingBuffer, tag: number): void {
    out.tag(tag);
    if (this.syntax.bigEndian) swapInPlace(out.bytes, out.length - 4, out.length, 2);
  }

  private u32(out: GrowingBuffer, value: number): void {
    out.u32(value);
    if (this.syntax.bigEndian) swapInPlace(out.bytes, out.length - 4, out.length, 4);
  }

  private value(tag: number, vr: string, element: DicomJsonElement, depth: number): Buffer {
    const rule = vrRule(vr);
    if (!rule) throw new DatasetError('invalid-vr', tag, 0);
    if (element.BulkDataURI !== undefined) throw new DatasetError('not-encodable', tag, 0, 'bulk data reference');
    if (rule.kind === 'sequence') return this.items((element.Value ?? []) as DicomJson[], depth);
    if (element.InlineBinary !== undefined) return this.ordered(Buffer.from(element.InlineBinary, 'base64'), vr);
    const values = element.Value ?? [];
    if (rule.kind === 'text' || rule.kind === 'number-text') return this.text(tag, vr, rule.charset, values);
    if (rule.kind === 'bytes') {
      if (values.length > 0) throw new DatasetError('not-encodable', tag, 0, `${vr} needs InlineBinary`);
      return Buffer.alloc(0);
    }
    return this.ordered(Buffer.concat(values.map((value) => number(tag, vr, value))), vr);
  }

  private ordered(littleEndian: Buffer, vr: string): Buffer {
    if (this.syntax.bigEndian) swapInPlace(littleEndian, 0, littleEndian.length, vrUnit(vrCode(vr)));
    return littleEndian;
  }

  private items(items: readonly DicomJson[], depth: number): Buffer {
    const out = new GrowingBuffer(256);
    for (const item of items) {
      const { bytes } = this.elements(item, depth + 1);
      this.tag(out, 0xfffee000);
      this.u32(out, bytes.length);
      out.append(bytes, 0, bytes.length);
    }
    return out.view();
  }

  private text(tag: number, vr: string, hasCharset: boolean, values: readonly DicomJsonValue[]): Buffer {
    const text = values.map((value) => valueText(tag, vr, value)).join('\\');
    // eslint-disable-next-line no-control-regex
    if (/^[\x00-\x7f]*$/.test(text)) return Buffer.from(text, 'latin1');
    if (!hasCharset) throw new DatasetError('not-encodable', tag, 0, `${vr} holds ASCII only`);
    this.beyondAscii = true;
    const bytes = this.charset.encode(text, vr);
    if (!bytes) {
      if (this.charset === UTF8) throw new DatasetError('not-encodable', tag, 0, 'no well-formed text');
      throw new DoesNotFit();
    }
    return bytes;
  }
}

function sortedTags(json: DicomJson): [number, string][] {
  const tags = Object.keys(json).map((key): [number, string] => {
    const tag = parseTag(key);
    if (tag === undefined) throw new DatasetError('invalid-tag', 0, 0);
    return [tag, key];
  });
  return tags.sort((a, b) => a[0] - b[0]);
}

function valueText(tag: number, vr: string, value: DicomJsonValue): string {
  if (value === null) return '';
  if (typeof value === 'object') return vr === 'PN' ? personNameFromJson(value) : fail(tag, vr);
  if (typeof value === 'string') return value;
  if (vr === 'DS') return formatDecimalString(value);
  if (vr === 'IS' && !Number.isInteger(value)) return fail(tag, vr);
  return String(value);
}

function fail(tag: number, vr: string): never {
  throw new DatasetError('not-encodable', tag, 0, `no value of ${vr}`);
}

const FLOAT_NAMES: Record<string, number> = { NaN: NaN, inf: Infinity, '-inf': -Infinity };

function number(tag: number, vr: string, value: DicomJsonValue): Buffer {
  if (vr === 'AT') {
    const target = typeof value === 'string' ? parseTag(value) : undefined;
    if (target === undefined) return fail(tag, vr);
    const out = new GrowingBuffer(4);
    out.tag(target);
    return out.view();
  }
  const bytes = Buffer.alloc(NUMBER_SIZES[vr]);
  try {
    if (vr === 'SV') bytes.writeBigInt64LE(BigInt(value as number | string));
    else if (vr === 'UV') bytes.writeBigUInt64LE(BigInt(value as number | string));
    else {
      const plain = typeof value === 'string' ? (FLOAT_NAMES[value] ?? Number(value)) : (value as number);
      NUMBER_WRITERS[vr](bytes, plain);
    }
  } catch {
    return fail(tag, vr);
  }
  return bytes;
}

const NUMBER_SIZES: Record<string, number> = { US: 2, SS: 2, UL: 4, SL: 4, FL: 4, FD: 8, SV: 8, UV: 8 };

const NUMBER_WRITERS: Record<string, (bytes: Buffer, value: number) => void> = {
  US: (bytes, value) => void bytes.writeUInt16LE(integer(value)),
  SS: (bytes, value) => void bytes.writeInt16LE(integer(value)),
  UL: (bytes, value) => void bytes.writeUInt32LE(integer(value)),
  SL: (bytes, value) => void bytes.writeInt32LE(integer(value)),
  FL: (bytes, value) => void bytes.writeFloatLE(value),
  FD: (bytes, value) => void bytes.writeDoubleLE(value),
};

function integer(value: number): number {
  if (!Number.isInteger(value)) throw new RangeError('no integer');
  return value;
}

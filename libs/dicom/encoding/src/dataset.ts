import {
  charsetOf,
  dictionaryVr,
  parseDecimalString,
  parseIntegerString,
  requireTag,
  splitValues,
  type Charset,
  type DicomJson,
} from '@archipelago/dicom-core';
import type { ElementPath, LeftOutValue, PixelTable, Tag } from './api';
import { findTag, indexElements, indexItems, type CanonicalIndex } from './canonical-index';
import { datasetToJson } from './dataset-json';
import { DatasetError } from './dataset-error';
import { AMBIGUOUS_SIGN, SQ, standardVr, TEXT, UN, vrFlags, vrName, vrUnit, type VrCode } from './vr-code';

const SPECIFIC_CHARACTER_SET = 0x00080005;

/** A value that is not in the header: `leftOut` or `pixel` says where it lies in the dataset. */
export interface BulkReference {
  path: ElementPath;
  vr: string;
  leftOut?: LeftOutValue;
  pixel?: PixelTable;
}

export interface DatasetOptions {
  /** The left-out values and the pixel table that belong to the header: toDicomJson() refers to them. */
  leftOut?: readonly LeftOutValue[];
  pixel?: PixelTable | null;
}

export interface DicomJsonOptions {
  /** The URI of a value that is not in the header; undefined (or no function) leaves the value away. */
  bulkDataUri?: (bulk: BulkReference) => string | undefined;
}

/** What all levels of one header share. */
export interface DatasetSource {
  bytes: Buffer;
  options: DatasetOptions;
  leftOutByPath?: Map<string, LeftOutValue>;
}

/**
 * A view of a canonical header, decoded where it is looked at. Tags are given as numbers or keywords; an unknown keyword
 * is a RangeError. Text is decoded with the character set of the item or the nearest level around it.
 */
export class Dataset {
  private decoder: Charset | undefined;

  constructor(
    /** @internal */ readonly source: DatasetSource,
    /** @internal */ readonly index: CanonicalIndex,
    private readonly inherited: Charset | undefined,
    readonly path: ElementPath,
  ) {}

  /** Tags in ascending order of the bytes (ascending by number, but for oddities in nested items). */
  tags(): Tag[] {
    return [...this.index.tags];
  }

  has(tag: Tag | string): boolean {
    return this.find(tag) >= 0;
  }

  /** VR as encoded; UN of an element that the dictionary knows as text or number is resolved. */
  vr(tag: Tag | string): string | undefined {
    const at = this.find(tag);
    return at < 0 ? undefined : vrName(this.vrAt(at));
  }

  get charset(): Charset {
    if (!this.decoder) {
      const at = findTag(this.index, SPECIFIC_CHARACTER_SET);
      const own = at < 0 ? undefined : this.rawText(at).trim();
      this.decoder = own === undefined ? (this.inherited ?? charsetOf(undefined)) : charsetOf(own);
    }
    return this.decoder;
  }

  /** First value as text, trimmed; undefined when the element is absent or empty. Numbers come as text too. */
  string(tag: Tag | string): string | undefined {
    return this.strings(tag)[0];
  }

  /** All values as text. Binary values (OB and the like) have none. */
  strings(tag: Tag | string): string[] {
    const at = this.find(tag);
    if (at < 0) return [];
    const vr = this.vrAt(at);
    if ((vrFlags(vr) & TEXT) !== 0) return splitValues(this.textAt(at, vr), vrName(vr));
    return this.numbersAt(at, vr).map(String);
  }

  /** First value as a number; undefined when absent, empty or no number. */
  number(tag: Tag | string): number | undefined {
    return this.numbers(tag)[0];
  }

  /** Numbers of US, SS, UL, SL, FL, FD, SV, UV, AT, IS and DS; values that are none are left out. */
  numbers(tag: Tag | string): number[] {
    const at = this.find(tag);
    if (at < 0) return [];
    const vr = this.vrAt(at);
    if ((vrFlags(vr) & TEXT) === 0) return this.numbersAt(at, vr);
    const read = vrName(vr) === 'IS' ? parseIntegerString : parseDecimalString;
    const values = splitValues(this.textAt(at, vr), vrName(vr)).map(read);
    return values.filter((value): value is number => value !== undefined);
  }

  /** The value field in little endian: a view of the header. Undefined when absent or a sequence. */
  bytes(tag: Tag | string): Buffer | undefined {
    const at = this.find(tag);
    if (at < 0 || this.index.vrs[at] === SQ) return undefined;
    return this.bytesAt(at);
  }

  /** Items of a sequence; none when it is absent, empty or not a sequence. */
  items(tag: Tag | string): Dataset[] {
    const at = this.find(tag);
    return at < 0 ? [] : this.itemsAt(at);
  }

  /**
   * What a whole header (not an item of it) holds in these elements, sequences too, as one string of bytes: headers with
   * equal fingerprints for the same tags decode to the same values. An absent element and an empty one differ.
   */
  fingerprint(tags: readonly Tag[]): string {
    let print = this.rawElement(SPECIFIC_CHARACTER_SET);
    for (const tag of tags) print += this.rawElement(tag);
    return print;
  }

  /** The whole as DICOM JSON model (PS3.18 Annex F). */
  toDicomJson(options: DicomJsonOptions = {}): DicomJson {
    return datasetToJson(this, options);
  }

  /** @internal */
  itemsAt(at: number): Dataset[] {
    const { index } = this;
    if (index.vrs[at] !== SQ) return [];
    const items = indexItems(this.source.bytes, index.starts[at], index.ends[at]);
    return items.map((item, i) => new Dataset(this.source, item, this.charset, [...this.path, index.tags[at], i]));
  }

  /** @internal */
  bytesAt(at: number): Buffer {
    return this.source.bytes.subarray(this.index.starts[at], this.index.ends[at]);
  }

  /** @internal VR to read the value with. */
  vrAt(at: number): VrCode {
    const vr = this.index.vrs[at];
    if (vr !== UN) return vr;
    // Too long for its own VR's 16-bit length, or of unknown VR in an explicit dataset (PS3.5 section 6.2.2).
    const tag = this.index.tags[at];
    const known = standardVr(tag);
    if (known === 0 || known === AMBIGUOUS_SIGN || known === SQ) return UN;
    const length = this.index.ends[at] - this.index.starts[at];
    return length % vrUnit(known) === 0 && dictionaryVr(tag) === vrName(known) ? known : UN;
  }

  /** @internal */
  textAt(at: number, vr: VrCode): string {
    return this.charset.decode(this.bytesAt(at), vrName(vr));
  }

  /** @internal */
  numbersAt(at: number, vr: VrCode): number[] {
    return readNumbers(this.bytesAt(at), vrName(vr));
  }

  private rawText(at: number): string {
    return this.source.bytes.toString('latin1', this.index.starts[at], this.index.ends[at]);
  }

  /** Lengths are part of it: no value can pass for two. */
  private rawElement(tag: Tag): string {
    const { index } = this;
    const at = findTag(index, tag);
    return at < 0 ? '' : `${tag}:${index.vrs[at]}:${index.ends[at] - index.starts[at]}:${this.rawText(at)}`;
  }

  private find(tag: Tag | string): number {
    return findTag(this.index, requireTag(tag));
  }
}

function readNumbers(bytes: Buffer, vr: string): number[] {
  const result: number[] = [];
  const step = numberReaders[vr];
  if (!step) return result;
  for (let at = 0; at + step.size <= bytes.length; at += step.size) result.push(step.read(bytes, at));
  return result;
}

const numberReaders: Record<string, { size: number; read: (bytes: Buffer, at: number) => number } | undefined> = {
  US: { size: 2, read: (bytes, at) => bytes.readUInt16LE(at) },
  SS: { size: 2, read: (bytes, at) => bytes.readInt16LE(at) },
  UL: { size: 4, read: (bytes, at) => bytes.readUInt32LE(at) },
  SL: { size: 4, read: (bytes, at) => bytes.readInt32LE(at) },
  FL: { size: 4, read: (bytes, at) => bytes.readFloatLE(at) },
  FD: { size: 8, read: (bytes, at) => bytes.readDoubleLE(at) },
  SV: { size: 8, read: (bytes, at) => Number(bytes.readBigInt64LE(at)) },
  UV: { size: 8, read: (bytes, at) => Number(bytes.readBigUInt64LE(at)) },
  AT: { size: 4, read: (bytes, at) => bytes.readUInt16LE(at) * 0x10000 + bytes.readUInt16LE(at + 2) },
};

/**
 * A view of a canonical header as HeaderReader makes it (not compressed). Nothing is copied: the header must stay as it
 * is while the view is used.
 *
 * @throws DatasetError when the bytes are no canonical header (also later, from items())
 */
export function readHeader(header: Buffer, options: DatasetOptions = {}): Dataset {
  const index = indexElements(header, 0, header.length);
  if (index.end !== header.length) throw new DatasetError('unexpected-item', 0xfffee00d, index.end);
  return new Dataset({ bytes: header, options }, index, undefined, []);
}

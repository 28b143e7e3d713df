import {
  EXPLICIT_VR_BE,
  EXPLICIT_VR_LE,
  IMPLEMENTATION_CLASS_UID,
  IMPLEMENTATION_VERSION_NAME,
  IMPLICIT_VR_LE,
} from '@archipelago/dicom-core';
import { DatasetError } from './dataset-error';
import { GrowingBuffer } from './growing-buffer';
import { KNOWN, LONG, vrFlags } from './vr-code';

/** What group 0002 says (PS3.10 section 7.1). */
export interface Part10Meta {
  sopClassUid: string;
  sopInstanceUid: string;
  transferSyntaxUid: string;
  implementationClassUid?: string;
  implementationVersionName?: string;
  sourceAeTitle?: string;
  sendingAeTitle?: string;
  receivingAeTitle?: string;
}

export type Part10Warning =
  | 'no-preamble'
  | 'no-meta'
  | 'no-group-length'
  | 'wrong-group-length'
  | 'no-transfer-syntax'
  | 'implicit-meta'
  | 'preamble-in-use';

/** Empty string: the element is not there. `transferSyntaxUid` is then guessed from the dataset's first bytes. */
export interface Part10MetaRead extends Required<Part10Meta> {
  /** Where the dataset begins in the file. */
  datasetOffset: number;
  warnings: Part10Warning[];
}

/** Group 0002 may not be longer than this. */
export const MAX_META_BYTES = 256 * 1024;

const FIELDS: readonly (readonly [number, string, keyof Part10Meta])[] = [
  [0x00020002, 'UI', 'sopClassUid'],
  [0x00020003, 'UI', 'sopInstanceUid'],
  [0x00020010, 'UI', 'transferSyntaxUid'],
  [0x00020012, 'UI', 'implementationClassUid'],
  [0x00020013, 'SH', 'implementationVersionName'],
  [0x00020016, 'AE', 'sourceAeTitle'],
  [0x00020017, 'AE', 'sendingAeTitle'],
  [0x00020018, 'AE', 'receivingAeTitle'],
];

/** Preamble, 'DICM', (0002,0000) with a length of 0, (0002,0001). */
const START = Buffer.concat([
  Buffer.alloc(128),
  Buffer.from('DICM\x02\0\0\0UL\x04\0\0\0\0\0\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01', 'latin1'),
]);
/** Where the value of (0002,0000) stands; it counts the bytes behind itself. */
const GROUP_LENGTH_AT = 140;

/** Of a VR whose length has 16 bits. */
function textElement(out: GrowingBuffer, tag: number, vr: string, text: string): void {
  const length = text.length + (text.length & 1);
  out.tag(tag);
  out.u16(vr.charCodeAt(0) | (vr.charCodeAt(1) << 8));
  out.u16(length);
  out.reserve(length);
  out.bytes.write(text, out.length, 'latin1');
  if (length !== text.length) out.bytes[out.length + text.length] = vr === 'UI' ? 0 : 0x20;
  out.length += length;
}

/**
 * Preamble, 'DICM' and group 0002. The preamble is always zero: one that makes the file something else as well (a
 * program, a page) is never passed on (PS3.10 section 7.5).
 */
export function writePart10Meta(meta: Part10Meta): Buffer {
  const all: Part10Meta = {
    implementationClassUid: IMPLEMENTATION_CLASS_UID,
    implementationVersionName: IMPLEMENTATION_VERSION_NAME,
    ...meta,
  };
  const out = new GrowingBuffer(640);
  out.append(START, 0, START.length);
  for (const [tag, vr, key] of FIELDS) {
    const text = all[key];
    if (text) textElement(out, tag, vr, text);
  }
  out.bytes.writeUInt32LE(out.length - GROUP_LENGTH_AT - 4, GROUP_LENGTH_AT);
  return out.view();
}

/**
 * The native syntax that a dataset's first bytes show, undefined when they show none. Explicit VR by the VR of the
 * first element, the byte order by its group (small in the right one).
 */
export function guessTransferSyntax(bytes: Buffer, at = 0): string | undefined {
  if (bytes.length < at + 8) return undefined;
  const little = bytes.readUInt16LE(at);
  const big = bytes.readUInt16BE(at);
  const vr = (bytes[at + 4] << 8) | bytes[at + 5];
  if ((vrFlags(vr) & KNOWN) !== 0 && Math.min(little, big) <= 0xff) {
    return little <= big ? EXPLICIT_VR_LE : EXPLICIT_VR_BE;
  }
  const length = bytes.readUInt32LE(at + 4);
  return little <= 0xff && (length <= 0x10000 || length === 0xffffffff) ? IMPLICIT_VR_LE : undefined;
}

/**
 * Reads preamble and group 0002 from the first bytes of a file, tolerantly: a missing preamble, a missing or wrong group
 * length, a missing transfer syntax are warnings. Null when more bytes are needed (never with `end`, which says that
 * these are all).
 *
 * @throws DatasetError not-dicom when it cannot be a DICOM file
 */
export function readPart10Meta(firstBytes: Buffer, end = false): Part10MetaRead | null {
  if (firstBytes.length < 144 && !end) return null;
  const warnings: Part10Warning[] = [];
  let at = 0;
  if (firstBytes.toString('latin1', 128, 132) === 'DICM') {
    at = 132;
    if (!firstBytes.subarray(0, 128).every((byte) => byte === 0)) warnings.push('preamble-in-use');
  } else {
    warnings.push('no-preamble');
    if (firstBytes.toString('latin1', 0, 4) === 'DICM') at = 4;
  }
  const read = readGroup(firstBytes, at, warnings, end);
  if (!read) return null;
  if (read.datasetOffset === at && at === 0) warnings.push('no-meta');
  if (read.transferSyntaxUid !== '') return read;
  warnings.push('no-transfer-syntax');
  if (firstBytes.length < read.datasetOffset + 8 && !end) return null;
  const guess = guessTransferSyntax(firstBytes, read.datasetOffset);
  const empty = read.datasetOffset >= firstBytes.length && at > 0;
  if (guess === undefined && !empty) throw new DatasetError('not-dicom', 0, read.datasetOffset);
  return { ...read, transferSyntaxUid: guess ?? IMPLICIT_VR_LE };
}

function readGroup(bytes: Buffer, start: number, warnings: Part10Warning[], end: boolean): Part10MetaRead | null {
  const values = new Map<number, string>();
  let declaredEnd: number | undefined;
  let at = start;
  for (;;) {
    if (at - start > MAX_META_BYTES) throw new DatasetError('header-too-large', 0x00020000, at);
    if (bytes.length < at + 8) {
      if (!end) return null;
      break;
    }
    if (bytes.readUInt16LE(at) !== 2) break;
    const next = readElement(bytes, at, warnings);
    if (next === undefined || next.end > bytes.length) {
      if (!end && (next === undefined || next.end - start <= MAX_META_BYTES)) return null;
      throw new DatasetError('truncated', 0x00020000, at);
    }
    if (next.tag === 0x00020000 && next.end - next.value === 4) {
      declaredEnd = next.end + bytes.readUInt32LE(next.value);
    }
    // eslint-disable-next-line no-control-regex
    const text = bytes.toString('latin1', next.value, Math.min(next.end, next.value + 256)).replace(/[ \0]+$/, '');
    if (!values.has(next.tag)) values.set(next.tag, text.trim());
    at = next.end;
  }
  if (at > start && declaredEnd === undefined) warnings.push('no-group-length');
  if (declaredEnd !== undefined && declaredEnd !== at) warnings.push('wrong-group-length');
  const result = { datasetOffset: at, warnings } as Part10MetaRead;
  for (const [tag, , key] of FIELDS) result[key] = values.get(tag) ?? '';
  return result;
}

interface MetaElement {
  tag: number;
  value: number;
  end: number;
}

/** Undefined when the element's header is not whole. Group 0002 in implicit VR (wrong) is read too. */
function readElement(bytes: Buffer, at: number, warnings: Part10Warning[]): MetaElement | undefined {
  const tag = 0x00020000 + bytes.readUInt16LE(at + 2);
  const vr = (bytes[at + 4] << 8) | bytes[at + 5];
  if ((vrFlags(vr) & KNOWN) === 0) {
    if (!warnings.includes('implicit-meta')) warnings.push('implicit-meta');
    return { tag, value: at + 8, end: at + 8 + bytes.readUInt32LE(at + 4) };
  }
  if ((vrFlags(vr) & LONG) === 0) return { tag, value: at + 8, end: at + 8 + bytes.readUInt16LE(at + 6) };
  if (bytes.length < at + 12) return undefined;
  return { tag, value: at + 12, end: at + 12 + bytes.readUInt32LE(at + 8) };
}

export interface Part10Stream {
  meta: Part10MetaRead;
  /** The dataset's bytes; to be read once. */
  dataset: AsyncGenerator<Buffer>;
}

/**
 * A file as a stream: its meta information, then its dataset, chunk by chunk.
 *
 * @throws DatasetError as readPart10Meta
 */
export async function readPart10(source: AsyncIterable<Buffer>): Promise<Part10Stream> {
  const iterator = source[Symbol.asyncIterator]();
  let first: Buffer = Buffer.alloc(0);
  let meta: Part10MetaRead | null = null;
  while (!meta) {
    const next = await iterator.next();
    if (!next.done) first = first.length === 0 ? next.value : Buffer.concat([first, next.value]);
    meta = readPart10Meta(first, next.done === true);
  }
  const rest = first.subarray(meta.datasetOffset);
  return { meta, dataset: remaining(rest, iterator) };
}

async function* remaining(rest: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (rest.length > 0) yield rest;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

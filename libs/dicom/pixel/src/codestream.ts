import { PixelError, type PixelAttributes } from './api';
import type { Codec } from './syntaxes';

/** What a codestream says about itself, read without decoding. */
export interface CodestreamInfo {
  kind: 'jpeg' | 'jpeg-lossless' | 'jpeg-ls' | 'j2k';
  rows: number;
  columns: number;
  components: number;
  precision: number;
  signed: boolean;
  /** JPEG: the three components are YCbCr by the file's own marks; undefined: it does not say. */
  ycc?: boolean;
  /** JPEG 2000: a multiple component transform is used, which every decoder reverses. */
  mct?: boolean;
}

const truncated = (): PixelError => new PixelError('truncated', 'the codestream stops in its header');
const damaged = (what: string): PixelError => new PixelError('bad-codestream', what);

/**
 * Reads the headers of a JPEG, JPEG-LS or JPEG 2000 codestream and checks that it is whole.
 * Sources: ISO 10918-1 annex B, ISO 14495-1 annex C, ISO 15444-1 annex A.
 * @throws PixelError 'truncated' or 'bad-codestream'
 */
export function probe(data: Buffer): CodestreamInfo {
  if (data.length < 4) throw truncated();
  const start = data.readUInt16BE(0);
  if (start === 0xff4f) return probeJ2k(data);
  if (start === 0xffd8) return probeJpeg(data);
  throw damaged('the frame does not begin with a codestream');
}

/** A JP2 file in place of a bare codestream is wrong (PS3.5 A.4.4) but common: the contained codestream is taken. */
export function unwrapJp2(data: Buffer): Buffer {
  if (data.length < 12 || data.readUInt32BE(4) !== 0x6a502020) return data;
  for (let at = 0; at + 8 <= data.length;) {
    const length = data.readUInt32BE(at);
    if (data.readUInt32BE(at + 4) === 0x6a703263) return data.subarray(at + 8);
    if (length < 8) break;
    at += length;
  }
  throw damaged('a JP2 file without a codestream');
}

function probeJpeg(data: Buffer): CodestreamInfo {
  let info: CodestreamInfo | undefined;
  let adobe: number | undefined;
  let jfif = false;
  let ids = '';
  for (let at = 2; ;) {
    while (at < data.length && data[at] === 0xff && data[at + 1] === 0xff) at++;
    if (at + 4 > data.length) throw truncated();
    if (data[at] !== 0xff) throw damaged('a JPEG marker is missing');
    const marker = data[at + 1]!;
    const length = data.readUInt16BE(at + 2);
    if (length < 2) throw damaged('a JPEG segment is too short');
    if (at + 2 + length > data.length) throw truncated();
    const body = data.subarray(at + 4, at + 2 + length);
    if (marker === 0xee && body.length >= 12 && body.toString('latin1', 0, 5) === 'Adobe') adobe = body[11];
    if (marker === 0xe0 && body.toString('latin1', 0, 4) === 'JFIF') jfif = true;
    if (isFrameHeader(marker)) {
      info = frameHeader(marker, body);
      ids = Array.from({ length: info.components }, (_, i) => String.fromCharCode(body[6 + 3 * i]!)).join('');
    }
    if (marker === 0xda) {
      if (!info) throw damaged('a JPEG scan before its frame header');
      // Entropy-coded data never holds FFD9: without it the frame is cut, and decoders would fill the rest with grey.
      if (data.lastIndexOf(Buffer.from([0xff, 0xd9])) < at) throw new PixelError('truncated', 'no end of image marker');
      return { ...info, ycc: isYcc(info, adobe, jfif, ids) };
    }
    at += 2 + length;
  }
}

function isFrameHeader(marker: number): boolean {
  return marker === 0xf7 || (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc);
}

function frameHeader(marker: number, body: Buffer): CodestreamInfo {
  if (body.length < 6) throw truncated();
  const components = body[5]!;
  if (body.length < 6 + 3 * components) throw truncated();
  const kinds: Record<number, CodestreamInfo['kind']> = {
    0xc0: 'jpeg',
    0xc1: 'jpeg',
    0xc2: 'jpeg',
    0xc3: 'jpeg-lossless',
    0xf7: 'jpeg-ls',
  };
  const kind = kinds[marker];
  if (!kind) throw damaged('a JPEG process that is not supported');
  return {
    kind,
    rows: body.readUInt16BE(1),
    columns: body.readUInt16BE(3),
    components,
    precision: body[0]!,
    signed: false,
  };
}

/** The usual marks of a JPEG file: Adobe's transform flag, JFIF (always YCbCr), component names. */
function isYcc(info: CodestreamInfo, adobe: number | undefined, jfif: boolean, ids: string): boolean | undefined {
  if (info.kind !== 'jpeg' || info.components !== 3) return undefined;
  if (adobe !== undefined) return adobe === 1;
  if (jfif) return true;
  return ids === 'RGB' ? false : undefined;
}

function probeJ2k(data: Buffer): CodestreamInfo {
  let info: CodestreamInfo | undefined;
  let mct = false;
  for (let at = 2; ;) {
    if (at + 4 > data.length) throw truncated();
    const marker = data.readUInt16BE(at);
    if (marker < 0xff00) throw damaged('a JPEG 2000 marker is missing');
    if (marker === 0xff90) {
      if (!info) throw damaged('a JPEG 2000 tile before SIZ');
      checkTileParts(data, at);
      return { ...info, mct };
    }
    const length = data.readUInt16BE(at + 2);
    if (length < 2) throw damaged('a JPEG 2000 segment is too short');
    if (at + 2 + length > data.length) throw truncated();
    if (marker === 0xff51) info = sizHeader(data.subarray(at + 4, at + 2 + length));
    if (marker === 0xff52 && length >= 7) mct = data[at + 8] === 1;
    at += 2 + length;
  }
}

function sizHeader(body: Buffer): CodestreamInfo {
  if (body.length < 36) throw truncated();
  const components = body.readUInt16BE(34);
  if (components < 1 || body.length < 36 + 3 * components) throw damaged('JPEG 2000 components');
  const depth = body[36]!;
  for (let i = 0; i < components; i++) {
    const at = 36 + 3 * i;
    if (body[at] !== depth || body[at + 1] !== 1 || body[at + 2] !== 1)
      throw damaged('JPEG 2000 components of different kinds');
  }
  return {
    kind: 'j2k',
    columns: body.readUInt32BE(2) - body.readUInt32BE(10),
    rows: body.readUInt32BE(6) - body.readUInt32BE(14),
    components,
    precision: (depth & 0x7f) + 1,
    signed: (depth & 0x80) !== 0,
  };
}

/** Decoders show what there is of a cut codestream; a partial image as if whole is worse than none. */
function checkTileParts(data: Buffer, first: number): void {
  let at = first;
  while (at + 12 <= data.length && data.readUInt16BE(at) === 0xff90) {
    const length = data.readUInt32BE(at + 6);
    if (length === 0) {
      if (data.lastIndexOf(Buffer.from([0xff, 0xd9])) < at) throw new PixelError('truncated', 'no end of codestream');
      return;
    }
    if (length < 14) throw damaged('a JPEG 2000 tile-part is too short');
    if (at + length > data.length) throw new PixelError('truncated', 'a JPEG 2000 tile-part is cut');
    at += length;
  }
  if (at + 2 > data.length || data.readUInt16BE(at) !== 0xffd9) {
    throw new PixelError('truncated', 'no end of codestream after the last tile-part');
  }
}

/** @throws PixelError 'codestream-mismatch' when the codestream contradicts the header it came with */
export function checkAgainstHeader(info: CodestreamInfo, a: PixelAttributes, codec: Codec): void {
  const mismatch = (what: string): PixelError =>
    new PixelError('codestream-mismatch', `codestream and header differ: ${what}`);
  const expected: Record<string, CodestreamInfo['kind'][]> = {
    // A lossy codestream under a lossless syntax (and the reverse) is found in the wild; it says itself what it is.
    jpeg: ['jpeg', 'jpeg-lossless'],
    'jpeg-lossless': ['jpeg-lossless', 'jpeg'],
    'jpeg-ls': ['jpeg-ls'],
    j2k: ['j2k'],
    htj2k: ['j2k'],
  };
  if (!expected[codec]?.includes(info.kind)) throw mismatch('coding process');
  if (info.rows !== a.rows || info.columns !== a.columns) throw mismatch('size');
  if (info.components !== a.samplesPerPixel) throw mismatch('components');
  if (info.precision > a.bitsAllocated) throw mismatch('precision');
  // JPEG and JPEG-LS do not know signs; JPEG 2000 does, and which of the two is right cannot be known.
  if (info.kind === 'j2k' && info.signed !== (a.pixelRepresentation === 1)) throw mismatch('sign');
}

/** Fewest bytes that could hold the frame: what JPEG's and RLE's codes can reach at best (0: no bound known). */
export function fewestBytes(codec: Codec, samples: number, bytesPerSample: number): number {
  if (codec === 'rle') return Math.floor((samples * bytesPerSample) / 64);
  if (codec === 'jpeg' || codec === 'jpeg-lossless') return Math.floor(samples / 256);
  return 0;
}

import { transcodeNative } from '@archipelago/dicom-encoding';
import { PixelError, type DecodedFrame, type InstanceSource, type PixelAttributes, type TranscodeResult } from './api';
import { checkAttributes, decodedFrameBytes } from './attributes';
import { canTranscode } from './choose';
import { probe } from './codestream';
import { decodedFrames, nativeBytes, openInstance, type OpenInstance } from './open';
import { mapInOrder } from './ordered';
import type { PixelPool } from './pool';
import { csValue, elementHead, emitParts, partsLength, rewriteElements, usValue, type Edit } from './rewrite';
import { EXPLICIT_LE, pixelSyntax, type PixelSyntax } from './syntaxes';
import { readPieces } from './window';

const PIXEL_DATA = 0x7fe00010;

/**
 * The object in another transfer syntax, frame by frame, never the whole object in memory (deflated sources excepted).
 * The first frame is coded before this resolves, so that an object that cannot be transcoded mostly says so before
 * anything has been sent; a damage in a later frame is thrown by `body`.
 * Header changes: PhotometricInterpretation and PlanarConfiguration as the samples now are; group lengths, offset
 * tables and digital signatures (no longer true) dropped; LossyImageCompression kept, and set where a lossy syntax
 * left it out. BitsAllocated, BitsStored, SOP Instance UID and all else stay.
 * @throws PixelError, and what transcodeNative throws
 */
export async function transcodeDataset(
  source: InstanceSource,
  toTs: string,
  pool: PixelPool,
): Promise<TranscodeResult> {
  const from = pixelSyntax(source.transferSyntaxUid);
  const to = pixelSyntax(toTs);
  if (source.transferSyntaxUid === toTs) {
    return {
      transferSyntaxUid: toTs,
      body: readPieces(source, 0, source.datasetLength),
      length: source.datasetLength,
      lossy: false,
    };
  }
  if (!from || !to || !canTranscode(from.uid, to.uid)) {
    throw new PixelError('unsupported-syntax', 'this pair of transfer syntaxes is not transcoded');
  }
  if (!from.codec && !to.codec) {
    const body = transcodeNative(readPieces(source, 0, source.datasetLength), from.uid, to.uid);
    return { transferSyntaxUid: to.uid, body, lossy: false };
  }
  const open = await openInstance(source);
  if (!open.scan.pixel) return withoutPixels(open, to);
  return to.codec ? encode(open, to, pool) : decode(open, to, pool);
}

/** An object without pixels in an encapsulated syntax is explicit little endian already. */
function withoutPixels(open: OpenInstance, to: PixelSyntax): TranscodeResult {
  const body = readPieces(open.reader, 0, open.length);
  const plain =
    open.syntax.implicit || open.syntax.bigEndian ? transcodeNative(body, open.syntax.uid, EXPLICIT_LE) : body;
  if (to.codec || to.uid === EXPLICIT_LE) return { transferSyntaxUid: to.uid, body: plain, lossy: false };
  return { transferSyntaxUid: to.uid, body: transcodeNative(plain, EXPLICIT_LE, to.uid), lossy: false };
}

async function decode(open: OpenInstance, to: PixelSyntax, pool: PixelPool): Promise<TranscodeResult> {
  const { attributes: a } = open;
  checkAttributes(a, pool.limits);
  const bytes = nativeBytes(a);
  if (bytes > 0xfffffffe) throw new PixelError('too-large', 'decoded pixel data does not fit a native object (4 GiB)');
  const frames = decodedFrames(open, pool);
  const first = await firstOf(frames);
  const edits = pixelEdits(open, first.photometricInterpretation, 0);
  const { before, after } = split(open, edits, open.syntax);
  const padded = bytes + (bytes % 2);
  const head = elementHead(PIXEL_DATA, a.bitsAllocated > 8 ? 'OW' : 'OB', padded, open.syntax);
  const plain = concat([
    emitParts([...before, head], open),
    nativePixels(first, frames, a),
    emitParts([Buffer.alloc(bytes % 2), ...after], open),
  ]);
  const length = partsLength(before) + head.length + padded + partsLength(after);
  if (to.uid === EXPLICIT_LE) return { transferSyntaxUid: to.uid, body: plain, length, lossy: false };
  return { transferSyntaxUid: to.uid, body: transcodeNative(plain, EXPLICIT_LE, to.uid), lossy: false };
}

async function encode(open: OpenInstance, to: PixelSyntax, pool: PixelPool): Promise<TranscodeResult> {
  const { attributes: a } = open;
  checkAttributes(a, pool.limits);
  if (!open.syntax.codec && a.photometricInterpretation.endsWith('_422')) {
    throw new PixelError('unsupported-syntax', 'subsampled native colour is not compressed');
  }
  const decoded = decodedFrames(open, pool);
  const first = await firstOf(decoded);
  const now: PixelAttributes = {
    ...a,
    photometricInterpretation: first.photometricInterpretation,
    planarConfiguration: 0,
  };
  const firstCoded = await pool.encode(to.uid, now, first.data).catch(async (error: unknown) => {
    await decoded.return(undefined);
    throw error;
  });
  const coded = mapInOrder(rest(decoded, first), pool.size + 1, (frame) => pool.encode(to.uid, now, frame.data));
  const mct = (to.codec === 'j2k' || to.codec === 'htj2k') && Boolean(probe(firstCoded).mct);
  // RLE is by plane (PS3.5 8.2.2), every other coding by pixel.
  const edits = pixelEdits(open, mct ? 'YBR_RCT' : first.photometricInterpretation, to.codec === 'rle' ? 1 : 0);
  const { before, after } = split(open, edits, open.syntax);
  const explicit = (part: AsyncIterable<Buffer>): AsyncIterable<Buffer> =>
    open.syntax.implicit || open.syntax.bigEndian ? transcodeNative(part, open.syntax.uid, EXPLICIT_LE) : part;
  const body = concat([
    explicit(emitParts(before, open)),
    encapsulated(firstCoded, coded),
    ...(after.length ? [explicit(emitParts(after, open))] : []),
  ]);
  return { transferSyntaxUid: to.uid, body, lossy: false };
}

async function firstOf(frames: AsyncGenerator<DecodedFrame>): Promise<DecodedFrame> {
  const first = await frames.next();
  if (first.done) throw new PixelError('no-pixel-data', 'no frames');
  return first.value;
}

/** What of the header changes with the coding of the pixels. */
function pixelEdits(open: OpenInstance, photometric: string, planar: number): Map<number, Edit> {
  const { syntax, attributes: a, scan } = open;
  const edits = new Map<number, Edit>([
    [0x7fe00001, null],
    [0x7fe00002, null],
    // MAC Parameters and Digital Signatures: made over the bytes of the former coding (PS3.15 C.1).
    [0x4ffe0001, null],
    [0xfffafffa, null],
    [0x00280004, { vr: 'CS', value: csValue(photometric) }],
  ]);
  if (a.samplesPerPixel > 1) edits.set(0x00280006, { vr: 'US', value: usValue(planar, syntax) });
  const said = scan.values.get(0x00282110)?.toString('latin1').trim();
  if (syntax.loss === 'lossy' && said !== '01') edits.set(0x00282110, { vr: 'CS', value: csValue('01') });
  return edits;
}

/** The elements before and after Pixel Data, edited. */
function split(open: OpenInstance, edits: Map<number, Edit>, syntax: PixelSyntax) {
  const { elements } = open.scan;
  const at = elements.findIndex((element) => element.tag === PIXEL_DATA);
  return {
    before: rewriteElements(elements.slice(0, at), edits, syntax, PIXEL_DATA),
    after: rewriteElements(elements.slice(at + 1), new Map([...edits].filter(([, edit]) => edit === null)), syntax, 0),
  };
}

async function* rest(frames: AsyncGenerator<DecodedFrame>, first: DecodedFrame): AsyncGenerator<DecodedFrame> {
  for await (const frame of frames) {
    if (frame.photometricInterpretation !== first.photometricInterpretation) {
      throw new PixelError('codestream-mismatch', 'frames of different colour models');
    }
    yield frame;
  }
}

async function* nativePixels(
  first: DecodedFrame,
  frames: AsyncGenerator<DecodedFrame>,
  a: PixelAttributes,
): AsyncGenerator<Buffer> {
  const packer = a.bitsAllocated === 1 ? new BitPacker(a.rows * a.columns * a.samplesPerPixel) : undefined;
  const bytes = decodedFrameBytes(a);
  let count = 0;
  const take = (frame: DecodedFrame): Buffer => {
    if (frame.data.length !== bytes) throw new PixelError('codec-failed', 'a frame of another size');
    count++;
    return packer ? packer.push(frame.data) : frame.data;
  };
  yield take(first);
  for await (const frame of rest(frames, first)) yield take(frame);
  if (count !== a.numberOfFrames)
    throw new PixelError('bad-fragments', 'another number of frames than the header says');
  if (packer) yield packer.end();
}

/** Frames of single bits, each beginning on a byte, joined without gaps (PS3.5 8.1.1). */
class BitPacker {
  private carry = 0;
  private carried = 0;

  constructor(private readonly bits: number) {}

  push(frame: Buffer): Buffer {
    const total = this.carried + this.bits;
    const out = Buffer.alloc(Math.floor(total / 8));
    for (let i = 0; i < Math.ceil(this.bits / 8); i++) {
      const valid = Math.min(8, this.bits - 8 * i);
      const wide = this.carry | ((frame[i]! & ((1 << valid) - 1)) << this.carried);
      const have = this.carried + valid;
      if (have >= 8) {
        out[Math.floor((8 * i + this.carried) / 8)] = wide & 0xff;
        this.carry = wide >>> 8;
        this.carried = have - 8;
      } else {
        this.carry = wide;
        this.carried = have;
      }
    }
    return out;
  }

  end(): Buffer {
    return this.carried ? Buffer.from([this.carry]) : Buffer.alloc(0);
  }
}

/** One fragment a frame; the Basic Offset Table is left empty, for it would have to be known first (PS3.5 A.4). */
async function* encapsulated(first: Buffer, others: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const explicit = pixelSyntax(EXPLICIT_LE)!;
  yield elementHead(PIXEL_DATA, 'OB', 0xffffffff, explicit);
  yield item(0xfffee000, 0);
  yield* fragment(first);
  for await (const coded of others) yield* fragment(coded);
  yield item(0xfffee0dd, 0);
}

function* fragment(coded: Buffer): Generator<Buffer> {
  const odd = coded.length % 2;
  yield item(0xfffee000, coded.length + odd);
  yield coded;
  if (odd) yield Buffer.alloc(1);
}

function item(tag: number, length: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeUInt16LE(tag >>> 16, 0);
  out.writeUInt16LE(tag & 0xffff, 2);
  out.writeUInt32LE(length, 4);
  return out;
}

async function* concat(parts: readonly AsyncIterable<Buffer>[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    for await (const chunk of part) if (chunk.length > 0) yield chunk;
  }
}

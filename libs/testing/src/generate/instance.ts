import { deflateRawSync } from 'node:zlib';
import { closeSync, openSync, writeSync } from 'node:fs';
import { GenDataset } from './dataset';
import { encodeFrame } from './frames';
import type { PixelPlan } from './pixels';
import { transferSyntax, type TransferSyntaxInfo } from './transfer-syntaxes';
import { elementHeader, encodeDataset, itemHeader, swapWords, type Encoding } from './writer';

/** How the bytes are laid out, beyond the transfer syntax. */
export interface EncodingOptions {
  /** Sequences and items with undefined lengths (default: explicit lengths). */
  undefinedLengths?: boolean;
  /** Encapsulated: write a Basic Offset Table (default true), an Extended one, or leave the item empty. */
  offsetTable?: 'basic' | 'extended' | 'empty';
  /** Encapsulated: split each frame in fragments of at most this many bytes (even; default one fragment a frame). */
  fragmentBytes?: number;
  /** Bytes of (FFFC,FFFC) at the end; default none. */
  trailingPadding?: number;
}

const LE: Encoding = { explicit: true, bigEndian: false };
export const IMPLEMENTATION_CLASS_UID = '2.25.191931157301874029874635287104893024751';

/** One generated DICOM object: the header as elements, the pixels as a plan; bytes on demand. */
export class GeneratedInstance {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly patientId: string;
  readonly transferSyntaxUid: string;
  private readonly syntax: TransferSyntaxInfo;

  constructor(
    readonly kind: string,
    readonly header: GenDataset,
    readonly pixels: PixelPlan | undefined,
    transferSyntaxUid: string,
    readonly options: EncodingOptions = {},
  ) {
    this.syntax = transferSyntax(transferSyntaxUid);
    // An object without pixel data has no frames to compress: encapsulated syntaxes are not for it (PS3.5 A.4).
    if (!pixels && this.syntax.encapsulated) this.syntax = transferSyntax('explicit-le');
    if (options.offsetTable === 'extended' && options.fragmentBytes) {
      throw new Error('generator: an Extended Offset Table asks for one fragment a frame (PS3.3 C.7.6.3.1.8)');
    }
    this.transferSyntaxUid = this.syntax.uid;
    this.sopClassUid = header.text('SOPClassUID');
    this.sopInstanceUid = header.text('SOPInstanceUID');
    this.studyInstanceUid = header.text('StudyInstanceUID');
    this.seriesInstanceUid = header.text('SeriesInstanceUID');
    this.patientId = header.text('PatientID');
  }

  /** The dataset as it goes over the wire (no file meta information), at once in memory. */
  dataset(): Buffer {
    return collect(this.datasetChunks());
  }

  /** A Part 10 file at once in memory (PS3.10 7). */
  part10(): Buffer {
    return collect(this.part10Chunks());
  }

  /** The Part 10 file in pieces; native and encapsulated pixels one frame at a time. */
  *part10Chunks(): Generator<Buffer> {
    yield this.fileMeta();
    yield* this.datasetChunks();
  }

  /** The dataset in pieces of a frame. A chunk is valid until the next one is asked for. Deflated: one piece. */
  *datasetChunks(): Generator<Buffer> {
    if (this.syntax.deflated) {
      yield deflateRawSync(collect(this.plainChunks()), { level: 6 });
      return;
    }
    for (const chunk of this.plainChunks()) yield chunk;
  }

  private *plainChunks(): Generator<Buffer> {
    const layout = { undefinedLengths: this.options.undefinedLengths };
    const before = this.pixels ? asCoded(this.header, this.pixels, this.syntax) : this.header.clone();
    const after = new GenDataset();
    for (const element of before.sorted()) {
      if (element.tag <= 0x7fe00010) continue;
      before.delete(element.tag);
      after.set(element.tag, element.vr, element.value);
    }
    const charset = this.header.get(0x00080005)?.value;
    if (charset !== undefined) after.set(0x00080005, 'CS', charset);
    if (this.pixels && this.syntax.encapsulated) yield* this.encapsulated(before, this.pixels, layout);
    else {
      yield encodeDataset(before, this.syntax, layout);
      if (this.pixels) yield* this.native(this.pixels);
    }
    after.delete(0x00080005);
    if (this.options.trailingPadding) after.set(0xfffcfffc, 'OB', Buffer.alloc(this.options.trailingPadding));
    const tail = encodeDataset(after, this.syntax, { ...layout, charset: charsetTerms(charset) });
    if (tail.length) yield tail;
  }

  private *native(pixels: PixelPlan): Generator<Buffer> {
    const length = pixels.frameBytes * pixels.frames;
    const padded = length + (length % 2);
    // Explicit VR: OW above 8 bits, OB or OW for 8 (PS3.5 A.2); implicit VR is OW by definition (A.1).
    const vr = pixels.bitsAllocated > 8 || !this.syntax.explicit ? 'OW' : 'OB';
    yield elementHeader(0x7fe00010, vr, padded, this.syntax);
    for (let index = 0; index < pixels.frames; index++) {
      const frame = pixels.frame(index);
      const words = pixels.bitsAllocated === 16 ? 'OW' : pixels.bitsAllocated === 32 ? 'OL' : 'OB';
      yield this.syntax.bigEndian ? swapWords(frame, words) : frame;
    }
    if (padded !== length) yield Buffer.alloc(1);
  }

  /** Encapsulated pixel data (PS3.5 A.4): offset table item, fragments, delimiter. */
  private *encapsulated(
    before: GenDataset,
    pixels: PixelPlan,
    layout: { undefinedLengths?: boolean },
  ): Generator<Buffer> {
    const table = this.options.offsetTable ?? 'basic';
    // The offsets come before the frames: with a table, all compressed frames are held; with none, one at a time.
    const frames =
      table === 'empty' ? undefined : Array.from({ length: pixels.frames }, (_, i) => this.fragments(pixels, i));
    const offsets: number[] = [];
    const lengths: number[] = [];
    let offset = 0;
    for (const fragments of frames ?? []) {
      offsets.push(offset);
      lengths.push(fragments.reduce((sum, each) => sum + each.length, 0));
      offset += fragments.reduce((sum, each) => sum + 8 + each.length, 0);
    }
    if (table === 'extended') {
      before.set(0x7fe00001, 'OV', u64(offsets));
      before.set(0x7fe00002, 'OV', u64(lengths));
    }
    yield encodeDataset(before, this.syntax, layout);
    yield elementHeader(0x7fe00010, 'OB', 0xffffffff, LE);
    const basic = table === 'basic' ? u32(offsets) : Buffer.alloc(0);
    yield itemHeader(0xfffee000, basic.length, LE);
    yield basic;
    for (let index = 0; index < pixels.frames; index++) {
      for (const fragment of frames?.[index] ?? this.fragments(pixels, index)) {
        yield itemHeader(0xfffee000, fragment.length, LE);
        yield fragment;
      }
    }
    yield itemHeader(0xfffee0dd, 0, LE);
  }

  private fragments(pixels: PixelPlan, index: number): Buffer[] {
    const coded = encodeFrame(this.syntax, pixels, pixels.frame(index));
    // "Coded" may be the plan's own buffer, which the next frame overwrites.
    const even = coded.length % 2 ? Buffer.concat([coded, Buffer.alloc(1)]) : Buffer.from(coded);
    const size = this.options.fragmentBytes ?? even.length;
    const out: Buffer[] = [];
    for (let at = 0; at < even.length; at += size) out.push(even.subarray(at, at + size));
    return out;
  }

  /** Preamble, prefix and file meta information (PS3.10 7.1). */
  fileMeta(): Buffer {
    const meta = new GenDataset()
      .set(0x00020001, 'OB', Buffer.from([0, 1]))
      .set(0x00020002, 'UI', this.sopClassUid)
      .set(0x00020003, 'UI', this.sopInstanceUid)
      .set(0x00020010, 'UI', this.transferSyntaxUid)
      .set(0x00020012, 'UI', IMPLEMENTATION_CLASS_UID)
      .set(0x00020013, 'SH', 'ARCHIPELAGO_GEN');
    const body = encodeDataset(meta, LE);
    const length = encodeDataset(new GenDataset().set(0x00020000, 'UL', body.length), LE);
    return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), length, body]);
  }
}

/** The Image Pixel attributes that depend on the coding (PS3.5 8.2). */
function asCoded(header: GenDataset, pixels: PixelPlan, syntax: TransferSyntaxInfo): GenDataset {
  const out = header.clone();
  if (syntax.encapsulated && pixels.samplesPerPixel === 3) {
    if (syntax.name === 'rle') out.put({ PlanarConfiguration: 1 });
    if (syntax.name === 'jpeg-baseline' || syntax.name === 'jpeg-extended')
      out.put({ PhotometricInterpretation: 'YBR_FULL_422' });
    if (/j2k/.test(syntax.name))
      out.put({ PhotometricInterpretation: /lossless/.test(syntax.name) ? 'YBR_RCT' : 'YBR_ICT' });
  }
  if (syntax.lossy) {
    const method = /j2k/.test(syntax.name)
      ? 'ISO_15444_1'
      : /jpeg-ls/.test(syntax.name)
        ? 'ISO_14495_1'
        : 'ISO_10918_1';
    out.put({ LossyImageCompression: '01', LossyImageCompressionRatio: '10', LossyImageCompressionMethod: method });
  }
  return out;
}

/** All chunks in one buffer; a plan overwrites its frame buffer, so several frames must be copied as they come. */
function collect(chunks: Iterable<Buffer>): Buffer {
  const parts: Buffer[] = [];
  for (const chunk of chunks) {
    parts.push(Buffer.from(chunk));
  }
  return Buffer.concat(parts);
}

function charsetTerms(value: unknown): string[] {
  if (typeof value === 'string') return value.split('\\');
  return Array.isArray(value) ? value.map(String) : [];
}

function u32(values: readonly number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => out.writeUInt32LE(value, index * 4));
  return out;
}

function u64(values: readonly number[]): Buffer {
  const out = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => out.writeBigUInt64LE(BigInt(value), index * 8));
  return out;
}

/** Writes a Part 10 file frame by frame: a 1 GiB object never lies in memory. Returns the bytes written. */
export function writeInstance(path: string, instance: GeneratedInstance): number {
  const file = openSync(path, 'w');
  try {
    let total = 0;
    for (const chunk of instance.part10Chunks()) {
      for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at);
      total += chunk.length;
    }
    return total;
  } finally {
    closeSync(file);
  }
}

/** The dataset (or the file) as an async stream of chunks that stay valid; lets other work run between frames. */
export async function* streamInstance(instance: GeneratedInstance, part10 = false): AsyncGenerator<Buffer> {
  for (const chunk of part10 ? instance.part10Chunks() : instance.datasetChunks()) {
    yield Buffer.from(chunk);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

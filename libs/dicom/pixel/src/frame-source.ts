import type { PixelTable } from '@archipelago/dicom-encoding';
import { PixelError, type PixelAttributes, type PixelLimits, type RangeReader } from './api';
import { checkAttributes, DEFAULT_LIMITS, frameBits } from './attributes';

/** One frame's bytes as stored: fragments joined, or the native samples in the dataset's byte order. */
export interface StoredFrame {
  index: number;
  data: Buffer;
}

/** Fragments of each frame, in order. */
export type FrameFragments = readonly { offset: number; length: number }[];

/**
 * Frame by frame: reads one, yields it, forgets it.
 * Encapsulated: which fragments make a frame is decided by (1) a single frame, (2) a usable offset table,
 * (3) as many fragments as frames, (4) codestream start markers. Native: by size; 1-bit frames that do not end on a
 * byte boundary (PS3.5 8.1.1) are shifted to begin on one.
 * @throws PixelError 'bad-fragments', 'truncated', 'too-large', 'bad-attributes'
 */
export async function* frameSource(
  table: PixelTable,
  reader: RangeReader,
  attributes: PixelAttributes,
  limits: PixelLimits = {},
): AsyncGenerator<StoredFrame> {
  checkAttributes(attributes, limits);
  if (!table.encapsulated) {
    yield* nativeFrames(table, reader, attributes);
    return;
  }
  const most = limits.maxCodedFrameBytes ?? DEFAULT_LIMITS.maxCodedFrameBytes;
  const frames = await assignFragments(table, reader, attributes.numberOfFrames);
  for (const [index, fragments] of frames.entries()) {
    const bytes = fragments.reduce((sum, each) => sum + each.length, 0);
    if (bytes > most) throw new PixelError('too-large', 'a compressed frame is larger than allowed');
    const parts: Buffer[] = [];
    for (const { offset, length } of fragments) {
      const part = await reader.read(offset, offset + length);
      if (part.length !== length) throw new PixelError('truncated', 'the store gave fewer bytes than a fragment has');
      parts.push(part);
    }
    yield { index, data: parts.length === 1 ? parts[0]! : Buffer.concat(parts) };
  }
}

async function* nativeFrames(table: PixelTable, reader: RangeReader, a: PixelAttributes): AsyncGenerator<StoredFrame> {
  const bits = frameBits(a);
  if (Math.ceil((bits * a.numberOfFrames) / 8) > table.length) {
    throw new PixelError('truncated', 'fewer samples than the header says');
  }
  for (let index = 0; index < a.numberOfFrames; index++) {
    const first = index * bits;
    const start = table.offset + Math.floor(first / 8);
    const end = table.offset + Math.ceil((first + bits) / 8);
    const data = await reader.read(start, end);
    if (data.length !== end - start) throw new PixelError('truncated', 'the store gave fewer bytes than a frame has');
    yield { index, data: bits % 8 === 0 ? data : alignBits(data, first % 8, bits) };
  }
}

/** Bits [shift, shift + bits) of `data`, least significant first, moved to begin at bit 0; the rest zero. */
function alignBits(data: Buffer, shift: number, bits: number): Buffer {
  const out = Buffer.alloc(Math.ceil(bits / 8));
  for (let i = 0; i < out.length; i++) out[i] = ((data[i]! >> shift) | ((data[i + 1] ?? 0) << (8 - shift))) & 0xff;
  if (bits % 8) out[out.length - 1]! &= (1 << (bits % 8)) - 1;
  return out;
}

/** @throws PixelError 'bad-fragments' when frames and fragments cannot be matched */
export async function assignFragments(
  table: PixelTable,
  reader: RangeReader,
  frames: number,
): Promise<FrameFragments[]> {
  const { fragments } = table;
  if (fragments.length === 0) throw new PixelError('bad-fragments', 'no fragments');
  if (fragments.length < frames) throw new PixelError('bad-fragments', 'fewer fragments than frames');
  if (frames === 1) return [fragments];
  const starts =
    startsByTable(table, frames) ??
    (fragments.length === frames ? undefined : await startsByMarker(table, reader, frames));
  if (!starts) return fragments.map((fragment) => [fragment]);
  return starts.map((start, i) => fragments.slice(start, starts[i + 1] ?? fragments.length));
}

/** Offsets count from the first byte of the item after the table (PS3.5 A.4). One wrong offset: no use of any. */
function startsByTable(table: PixelTable, frames: number): number[] | undefined {
  const { fragments, offsetTable } = table;
  if (offsetTable.length !== frames || offsetTable[0] !== 0) return undefined;
  const base = fragments[0]!.offset;
  const byOffset = new Map(fragments.map((fragment, index) => [fragment.offset - base, index]));
  const starts: number[] = [];
  for (const offset of offsetTable) {
    const index = byOffset.get(offset);
    if (index === undefined || (starts.length > 0 && index <= starts[starts.length - 1]!)) return undefined;
    starts.push(index);
  }
  return starts;
}

async function startsByMarker(table: PixelTable, reader: RangeReader, frames: number): Promise<number[]> {
  const starts: number[] = [];
  for (const [index, { offset, length }] of table.fragments.entries()) {
    const head = length >= 4 ? await reader.read(offset, offset + 4) : Buffer.alloc(4);
    if (head.length < 4) throw new PixelError('truncated', 'the store gave fewer bytes than a fragment has');
    const marker = head.readUInt32BE(0);
    if (marker >>> 8 === 0xffd8ff || marker === 0xff4fff51 || marker === 0x0000000c) starts.push(index);
  }
  if (starts.length !== frames || starts[0] !== 0) {
    throw new PixelError('bad-fragments', 'fragments cannot be matched with frames');
  }
  return starts;
}

import { createInflateRaw } from 'node:zlib';
import {
  PixelError,
  type DecodedFrame,
  type InstanceSource,
  type PixelAttributes,
  type PixelLimits,
  type RangeReader,
} from './api';
import { decodedFrameBytes, isSubsampled } from './attributes';
import { interleave } from './codec';
import { frameSource } from './frame-source';
import { mapInOrder } from './ordered';
import type { PixelPool } from './pool';
import { readAttributes, scanDataset, type ScannedDataset } from './scan';
import { EXPLICIT_LE, pixelSyntax, type PixelSyntax } from './syntaxes';
import { readPieces } from './window';

/** An object ready for reading: a deflated one is inflated in memory, for it has no random access. */
export interface OpenInstance {
  /** The layout of what `reader` gives; for a deflated object explicit little endian. */
  syntax: PixelSyntax;
  reader: RangeReader;
  length: number;
  scan: ScannedDataset;
  attributes: PixelAttributes;
}

const MAX_INFLATED = 512 * 1024 * 1024;

/** @throws PixelError */
export async function openInstance(source: InstanceSource): Promise<OpenInstance> {
  const stored = pixelSyntax(source.transferSyntaxUid);
  if (!stored) throw new PixelError('unsupported-syntax', 'pixels of this transfer syntax are not decoded');
  let reader: RangeReader = source;
  let length = source.datasetLength;
  let syntax = stored;
  if (stored.deflated) {
    const inflated = await inflateAll(source);
    reader = { read: (start, end) => Promise.resolve(inflated.subarray(start, end)) };
    length = inflated.length;
    syntax = pixelSyntax(EXPLICIT_LE)!;
  }
  const scan = await scanDataset(reader, length, syntax);
  return { syntax, reader, length, scan, attributes: readAttributes(scan.values, syntax.bigEndian) };
}

async function inflateAll(source: InstanceSource): Promise<Buffer> {
  const inflate = createInflateRaw();
  const parts: Buffer[] = [];
  let total = 0;
  const feed = (async () => {
    for await (const piece of readPieces(source, 0, source.datasetLength)) {
      if (!inflate.write(piece))
        await new Promise<void>((resolve) => inflate.once('drain', resolve).once('close', resolve));
    }
    inflate.end();
  })();
  feed.catch((error: Error) => inflate.destroy(error));
  try {
    for await (const part of inflate) {
      total += (part as Buffer).length;
      if (total > MAX_INFLATED) throw new PixelError('too-large', 'a deflated dataset inflates beyond the bound');
      parts.push(part as Buffer);
    }
  } catch (error) {
    if (error instanceof PixelError) throw error;
    throw new PixelError('bad-codestream', 'a deflated dataset cannot be inflated');
  } finally {
    inflate.destroy();
  }
  return Buffer.concat(parts);
}

/**
 * Decoded frames in order, little endian and interleaved. Native frames are read as they are; coded ones go through
 * the pool, a few in flight.
 */
export async function* decodedFrames(
  open: OpenInstance,
  pool: PixelPool,
  limits: PixelLimits = pool.limits,
): AsyncGenerator<DecodedFrame> {
  const { scan, attributes: a, syntax } = open;
  if (!scan.pixel || scan.pixel.tag !== 0x7fe00010) throw new PixelError('no-pixel-data', 'no Pixel Data (7FE0,0010)');
  if (scan.pixel.encapsulated !== (syntax.codec !== null)) {
    throw new PixelError('bad-fragments', 'encapsulation does not fit the transfer syntax');
  }
  const reader = syntax.bigEndian ? littleEndianReader(open.reader, scan.pixel, a.bitsAllocated) : open.reader;
  const frames = frameSource(scan.pixel, reader, a, limits);
  if (syntax.codec) {
    yield* mapInOrder(frames, pool.size + 1, (frame) => pool.decode(syntax.uid, a, frame.data));
    return;
  }
  const { bitsAllocated, bitsStored, pixelRepresentation, samplesPerPixel, photometricInterpretation } = a;
  for await (const frame of frames) {
    const data = isSubsampled(a) ? frame.data : interleave(a, frame.data);
    yield { data, photometricInterpretation, bitsAllocated, bitsStored, pixelRepresentation, samplesPerPixel };
  }
}

/** Big endian words turned while reading (PS3.5 7.3): OW of 8-bit samples has its bytes swapped in pairs too. */
function littleEndianReader(
  reader: RangeReader,
  table: { offset: number; length: number; vr: string },
  bits: number,
): RangeReader {
  const word = bits === 64 ? 8 : bits === 32 ? 4 : bits === 16 || table.vr === 'OW' ? 2 : 1;
  if (word === 1) return reader;
  return {
    async read(start, end) {
      const from = start - ((start - table.offset) % word);
      const to = Math.min(end + ((word - ((end - table.offset) % word)) % word), table.offset + table.length);
      const copy = Buffer.from(await reader.read(from, to));
      if (copy.length % word) throw new PixelError('truncated', 'pixel data of an odd length');
      if (word === 2) copy.swap16();
      else if (word === 4) copy.swap32();
      else copy.swap64();
      return copy.subarray(start - from, end - from);
    },
  };
}

/** Bytes of all frames as native pixel data, without padding: frames of single bits follow without a gap. */
export function nativeBytes(a: PixelAttributes): number {
  if (a.bitsAllocated === 1) return Math.ceil((a.rows * a.columns * a.samplesPerPixel * a.numberOfFrames) / 8);
  return decodedFrameBytes(a) * a.numberOfFrames;
}

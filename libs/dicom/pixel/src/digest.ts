import { createHash, type Hash } from 'node:crypto';
import type { DecodedFrame, InstanceSource } from './api';
import { decodedFrames, openInstance, type OpenInstance } from './open';
import type { PixelPool } from './pool';
import { scanDataset } from './scan';
import { pixelSyntax } from './syntaxes';
import { readPieces } from './window';

export interface PixelDigest {
  /** Hex, 64 characters. */
  sha256: string;
  /**
   * samples: over decoded samples, comparable across lossless syntaxes. values: float pixel data. coded: a syntax that
   * is not decoded here (video, ...): over the bytes, comparable within one syntax. none: no pixel data.
   */
  basis: 'samples' | 'values' | 'coded' | 'none';
}

/**
 * Digest of the pixel value, for "same or different". Defined as SHA-256 over a line
 * `rows,columns,samples,bitsAllocated,signed,photometric,frames` and then every frame's samples, little endian,
 * interleaved by pixel, chroma at the resolution stored, in a cell of BitsAllocated bits (single bits: each frame
 * padded to a byte). A signed sample narrower than its cell is sign-extended if its unused bits are all zero. Other
 * unused bits count as they are: overlays hidden there are content, and a coding that lost them is different.
 * @throws PixelError when the pixels cannot be decoded: then nothing is known, and nobody may say "same"
 */
export async function pixelDigest(source: InstanceSource, pool: PixelPool): Promise<PixelDigest> {
  if (source.pixel === null) return none();
  if (!pixelSyntax(source.transferSyntaxUid)) return codedDigest(source);
  const open = await openInstance(source);
  const { pixel } = open.scan;
  if (!pixel) return none();
  const hash = createHash('sha256');
  if (pixel.tag !== 0x7fe00010) return floatDigest(open, hash);
  let frames = 0;
  for await (const frame of decodedFrames(open, pool)) {
    if (frames === 0) hash.update(line(open, frame));
    hash.update(canonical(frame));
    frames++;
  }
  return { sha256: hash.digest('hex'), basis: 'samples' };
}

function none(): PixelDigest {
  return { sha256: createHash('sha256').digest('hex'), basis: 'none' };
}

function line(open: OpenInstance, frame: DecodedFrame): string {
  const { attributes: a } = open;
  const values = [a.rows, a.columns, frame.samplesPerPixel, frame.bitsAllocated, frame.pixelRepresentation];
  return `${values.join(',')},${frame.photometricInterpretation},${a.numberOfFrames}\n`;
}

function canonical(frame: DecodedFrame): Buffer {
  const { data, bitsAllocated, bitsStored, pixelRepresentation } = frame;
  if (pixelRepresentation === 0 || bitsStored === bitsAllocated || (bitsAllocated !== 16 && bitsAllocated !== 8))
    return data;
  const out = Buffer.from(data);
  const step = bitsAllocated / 8;
  const sign = 1 << (bitsStored - 1);
  const upper = (0xffff << bitsStored) & (step === 2 ? 0xffff : 0xff);
  for (let at = 0; at < out.length; at += step) {
    const value = step === 2 ? out[at]! | (out[at + 1]! << 8) : out[at]!;
    if ((value & upper) !== 0 || (value & sign) === 0) continue;
    if (step === 2) out.writeUInt16LE(value | upper, at);
    else out[at] = value | upper;
  }
  return out;
}

async function floatDigest(open: OpenInstance, hash: Hash): Promise<PixelDigest> {
  const pixel = open.scan.pixel!;
  const size = pixel.tag === 0x7fe00009 ? 8 : 4;
  hash.update(
    `${open.attributes.rows},${open.attributes.columns},float${size * 8},${open.attributes.numberOfFrames}\n`,
  );
  for await (const piece of readPieces(
    open.reader,
    pixel.offset,
    pixel.offset + pixel.length - (pixel.length % size),
  )) {
    const copy = open.syntax.bigEndian
      ? size === 4
        ? Buffer.from(piece).swap32()
        : Buffer.from(piece).swap64()
      : piece;
    hash.update(copy);
  }
  return { sha256: hash.digest('hex'), basis: 'values' };
}

/** The bytes of the fragments of a syntax that is not decoded. Needs the table of the header reader, else reads it. */
async function codedDigest(source: InstanceSource): Promise<PixelDigest> {
  const explicit = { ...pixelSyntax('1.2.840.10008.1.2.1')!, uid: source.transferSyntaxUid };
  const pixel = source.pixel ?? (await scanDataset(source, source.datasetLength, explicit)).pixel;
  if (!pixel) return none();
  const hash = createHash('sha256').update(`coded:${source.transferSyntaxUid}\n`);
  const ranges = pixel.encapsulated ? pixel.fragments : [{ offset: pixel.offset, length: pixel.length }];
  for (const { offset, length } of ranges) {
    for await (const piece of readPieces(source, offset, offset + length)) hash.update(piece);
  }
  return { sha256: hash.digest('hex'), basis: 'coded' };
}

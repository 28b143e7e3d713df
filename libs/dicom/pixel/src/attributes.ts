import { PixelError, type PixelAttributes, type PixelLimits } from './api';

export const DEFAULT_LIMITS: Required<PixelLimits> = {
  maxFrameBytes: 256 * 1024 * 1024,
  maxCodedFrameBytes: 256 * 1024 * 1024,
  maxFrames: 1_000_000,
};

/**
 * Refuses contradictory or absurd attributes before anything is allocated (PS3.3 C.7.6.3, PS3.5 8.1.1).
 * @throws PixelError 'bad-attributes' or 'too-large'
 */
export function checkAttributes(a: PixelAttributes, limits: PixelLimits = {}): void {
  const bounds = { ...DEFAULT_LIMITS, ...limits };
  for (const value of [a.rows, a.columns, a.samplesPerPixel, a.bitsAllocated, a.bitsStored, a.numberOfFrames]) {
    if (!Number.isSafeInteger(value) || value < 1) throw bad('an attribute is missing, zero or not a whole number');
  }
  if (a.rows > 65535 || a.columns > 65535) throw bad('Rows or Columns');
  if (a.samplesPerPixel > 4) throw bad('SamplesPerPixel');
  if (![1, 8, 16, 32, 64].includes(a.bitsAllocated)) throw bad('BitsAllocated');
  if (a.bitsStored > a.bitsAllocated) throw bad('BitsStored beyond BitsAllocated');
  if (a.highBit >= a.bitsAllocated || a.highBit < a.bitsStored - 1) throw bad('HighBit');
  if (a.pixelRepresentation !== 0 && a.pixelRepresentation !== 1) throw bad('PixelRepresentation');
  if (a.planarConfiguration !== 0 && a.planarConfiguration !== 1) throw bad('PlanarConfiguration');
  if (frameBits(a) > bounds.maxFrameBytes * 8) throw new PixelError('too-large', 'a frame is larger than allowed');
  if (a.numberOfFrames > bounds.maxFrames) throw new PixelError('too-large', 'more frames than allowed');
}

function bad(what: string): PixelError {
  return new PixelError('bad-attributes', `Image Pixel attributes: ${what}`);
}

/** Bits of one native frame as stored; YBR_FULL_422 has two samples a pixel (PS3.3 C.7.6.3.1.2). */
export function frameBits(a: PixelAttributes): number {
  const samples = a.samplesPerPixel === 3 && isSubsampled(a) ? 2 : a.samplesPerPixel;
  return a.rows * a.columns * samples * a.bitsAllocated;
}

/** Bytes of one decoded frame, all samples at full resolution; 1-bit frames rounded up. */
export function decodedFrameBytes(a: PixelAttributes): number {
  return Math.ceil((a.rows * a.columns * a.samplesPerPixel * a.bitsAllocated) / 8);
}

export function isSubsampled(a: Pick<PixelAttributes, 'photometricInterpretation'>): boolean {
  return a.photometricInterpretation === 'YBR_FULL_422' || a.photometricInterpretation === 'YBR_PARTIAL_422';
}

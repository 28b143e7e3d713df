import { deflateRawSync } from 'node:zlib';
import type { PixelPlan } from './pixels';
import type { TransferSyntaxInfo } from './transfer-syntaxes';

/** Compresses one native little endian frame. Filled in by `prepareGenerator` for syntaxes whose codec loads async. */
export type FrameEncoder = (syntax: TransferSyntaxInfo, pixels: PixelPlan, frame: Buffer) => Buffer;
const encoders = new Map<string, FrameEncoder>();

export function registerFrameEncoder(uid: string, encoder: FrameEncoder): void {
  encoders.set(uid, encoder);
}

export function encodeFrame(syntax: TransferSyntaxInfo, pixels: PixelPlan, frame: Buffer): Buffer {
  if (syntax.name === 'encapsulated-uncompressed') return Buffer.from(frame);
  if (syntax.name === 'deflated-image-frame') return deflateRawSync(frame);
  const encoder = encoders.get(syntax.uid);
  if (!encoder) throw new Error(`generator: call prepareGenerator() before writing ${syntax.name}`);
  return encoder(syntax, pixels, frame);
}

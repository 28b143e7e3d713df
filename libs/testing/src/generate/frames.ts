import type { PixelPlan } from './pixels';
import type { TransferSyntaxInfo } from './transfer-syntaxes';

/** Compresses one native little endian frame. Filled in by `prepareGenerator`, for the codecs load asynchronously. */
export type FrameEncoder = (syntax: TransferSyntaxInfo, pixels: PixelPlan, frame: Buffer) => Buffer;
const encoders = new Map<string, FrameEncoder>();

export function registerFrameEncoder(uid: string, encoder: FrameEncoder): void {
  encoders.set(uid, encoder);
}

/** @throws Error before `prepareGenerator` */
export function encodeFrame(syntax: TransferSyntaxInfo, pixels: PixelPlan, frame: Buffer): Buffer {
  const encoder = encoders.get(syntax.uid);
  if (!encoder) throw new Error(`generator: await prepareGenerator() before writing ${syntax.name}`);
  return encoder(syntax, pixels, frame);
}

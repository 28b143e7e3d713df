import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { DatasetError } from './dataset-error';

/** Raw deflate, level 1: the header block of a pack. */
export function compressHeader(header: Buffer): Buffer {
  return deflateRawSync(header, { level: 1 });
}

/**
 * `rawLength` is what the pack's index says; more than that is never made.
 *
 * @throws DatasetError inflate-failed when the block is damaged or not of that length
 */
export function decompressHeader(compressed: Buffer, rawLength: number): Buffer {
  let raw: Buffer;
  try {
    raw = inflateRawSync(compressed, { maxOutputLength: Math.max(1, rawLength) });
  } catch {
    throw new DatasetError('inflate-failed', 0, 0, 'header block');
  }
  if (raw.length !== rawLength) throw new DatasetError('inflate-failed', 0, raw.length, 'header block');
  return raw;
}

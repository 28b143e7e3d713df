import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { DatasetError } from './dataset-error';

/** Headers over this are inflated in several chunks: a length in a damaged index costs no memory. */
const LARGEST_CHUNK = 65_536;

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
    // room for one byte more: the output fits one chunk, and zlib is not asked twice (a third of the time)
    raw = inflateRawSync(compressed, { maxOutputLength: rawLength + 1, chunkSize: Math.max(64, Math.min(rawLength + 1, LARGEST_CHUNK)) });
  } catch {
    throw new DatasetError('inflate-failed', 0, 0, 'header block');
  }
  if (raw.length !== rawLength) throw new DatasetError('inflate-failed', 0, raw.length, 'header block');
  return raw;
}

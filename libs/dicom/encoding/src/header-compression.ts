import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { DatasetError } from './dataset-error';

/** Headers over this are inflated in several chunks: a length in a damaged index costs no memory. */
const LARGEST_CHUNK = 65_536;

/** A header up to so many bytes is compressed with a small window and hash table, in one chunk. */
const SMALL_HEADER = 8192;

/**
 * Raw deflate, level 1: the header block of a pack. zlib's usual tables are 256 KiB, which cost more to clear (and the
 * garbage collector to account for) than a small header to compress.
 */
export function compressHeader(header: Buffer): Buffer {
  if (header.length > SMALL_HEADER) return deflateRawSync(header, { level: 1 });
  const chunkSize = Math.max(64, header.length + 64);
  return deflateRawSync(header, { level: 1, memLevel: 6, windowBits: 13, chunkSize });
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
    raw = inflateRawSync(compressed, {
      maxOutputLength: rawLength + 1,
      chunkSize: Math.max(64, Math.min(rawLength + 1, LARGEST_CHUNK)),
    });
  } catch {
    throw new DatasetError('inflate-failed', 0, 0, 'header block');
  }
  if (raw.length !== rawLength) throw new DatasetError('inflate-failed', 0, raw.length, 'header block');
  return raw;
}

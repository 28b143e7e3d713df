/** Finds what is whole in a segment that was not sealed: after a crash, a failed sync, or damage. */
import { createHash, type Hash } from 'node:crypto';
import type { PackEntry } from './api';
import { packHash } from './digest';
import { decodeEntryJson } from './entry-json';
import { datasetHash } from './dataset-hash';
import { PackFormatError } from './errors';
import {
  LIMITS,
  TRAILER_FIXED,
  aligned,
  decodeSegmentRecord,
  decodeTrailer,
  isZero,
  paddingAfter,
  trailerLength,
  trailerMark,
} from './format';
import type { SegmentRecord, Trailer } from './format';
import { PIECE, pieces, type PackSource } from './source';

export interface FoundEntry {
  entry: PackEntry;
  /** Compressed header block. */
  header: Buffer;
  /** Where the trailer ends; the next entry begins at the next multiple of BLOCK_ALIGN. */
  trailerEnd: number;
  meta: Buffer;
  wireDigest: Buffer;
  trailer: Buffer;
}

export interface ScanResult {
  record: SegmentRecord;
  recordBytes: Buffer;
  /** Whole entries in order: trailer with the segment's nonce, its checksum, its place, and both digests right. */
  entries: FoundEntry[];
  /**
   * Places where a trailer's mark stands but the entry is not whole. At the end of a segment that is how a torn write
   * looks; before a whole entry it is damage.
   */
  broken: number[];
  /** True when whole entries follow each other from the record on with nothing but zeros to the next block between them. */
  contiguous: boolean;
  /** Where the last whole entry's block ends (the record's when there is none): the file may be shorter. */
  end: number;
  size: number;
}

/** @throws PackFormatError when the record at the start cannot be read */
export async function scanSegment(source: PackSource): Promise<ScanResult> {
  const first = await source.read(0, Math.min(source.size, LIMITS.segmentRecordBytes));
  const record = decodeSegmentRecord(first);
  const entries: FoundEntry[] = [];
  const broken: number[] = [];
  let end = aligned(record.bytes);
  let contiguous = await isPadding(source, record.bytes);
  for await (const at of findMarks(source, trailerMark(record.nonce), record.bytes)) {
    const found = await readEntry(source, record, at, end);
    if (!found) {
      broken.push(at);
      continue;
    }
    if (found.entry.offset !== end || !(await isPadding(source, found.trailerEnd))) contiguous = false;
    found.entry.ordinal = entries.length;
    entries.push(found);
    end = aligned(found.trailerEnd);
  }
  return { record, recordBytes: first.subarray(0, record.bytes), entries, broken, contiguous, end, size: source.size };
}

/** Whether zeros follow up to the next block, as far as the file goes. */
async function isPadding(source: PackSource, from: number): Promise<boolean> {
  return isZero(await source.read(from, Math.min(source.size, aligned(from))));
}

/** True when any segment's trailer mark is in the file: something may have been acknowledged. */
export async function hasAnyTrailer(source: PackSource): Promise<boolean> {
  const mark = trailerMark(Buffer.alloc(0));
  for await (const at of findMarks(source, mark, 0)) return at >= 0;
  return false;
}

/** Offsets of the mark from `start` on, ascending. */
async function* findMarks(source: PackSource, mark: Buffer, start: number): AsyncGenerator<number> {
  const overlap = mark.length - 1;
  for (let at = start; at < source.size; at += PIECE) {
    const bytes = await source.read(at, Math.min(source.size, at + PIECE + overlap));
    for (let i = bytes.indexOf(mark); i >= 0 && i < PIECE; i = bytes.indexOf(mark, i + 1)) yield at + i;
  }
}

/** @param after no entry may begin before it @returns null when the entry is not whole */
async function readEntry(
  source: PackSource,
  record: SegmentRecord,
  at: number,
  after: number,
): Promise<FoundEntry | null> {
  try {
    if (at + TRAILER_FIXED > source.size) return null;
    const total = trailerLength(await source.read(at, at + TRAILER_FIXED));
    if (at + total > source.size) return null;
    const bytes = await source.read(at, at + total);
    const trailer = decodeTrailer(bytes);
    if (trailer.trailerOffset !== at || trailer.entryOffset < Math.max(after, record.bytes)) return null;
    const said = decodeEntryJson(trailer.entryJson, trailer.datasetLength);
    const meta = await source.read(trailer.entryOffset, trailer.datasetOffset);
    if (!sameDigest([meta], trailer.metaDigest)) return null;
    const hash = datasetHash();
    for await (const piece of pieces(source, trailer.datasetOffset, at)) hash.update(piece);
    if (!hash.digest().equals(trailer.wireDigest)) return null;
    const entry = { ...said, ...places(trailer) };
    return {
      entry,
      header: trailer.header,
      trailerEnd: at + total,
      meta,
      wireDigest: trailer.wireDigest,
      trailer: bytes,
    };
  } catch (error) {
    if (error instanceof PackFormatError) return null;
    throw error;
  }
}

function sameDigest(parts: Buffer[], expected: Buffer): boolean {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest().equals(expected);
}

type Places = Omit<PackEntry, keyof ReturnType<typeof decodeEntryJson>>;

function places(t: Trailer): Places {
  return {
    ordinal: t.ordinal,
    offset: t.entryOffset,
    length: t.trailerOffset - t.entryOffset,
    datasetOffset: t.datasetOffset,
    datasetLength: t.datasetLength,
    wireDigest: t.wireDigest.toString('hex'),
    headerDigest: t.headerDigest.toString('hex'),
    headerOffset: t.trailerOffset + TRAILER_FIXED + t.entryJson.length,
    headerLength: t.header.length,
    headerRawLength: t.headerRawLength,
  };
}

/** The pack hash up to the end of the last entry's block, as the writer would have it. */
export function chainOf(scan: ScanResult): Hash {
  const chain = packHash().update(scan.recordBytes).update(paddingAfter(scan.recordBytes.length));
  for (const { meta, wireDigest, trailer, trailerEnd } of scan.entries) {
    chain.update(meta).update(wireDigest).update(trailer).update(paddingAfter(trailerEnd));
  }
  return chain;
}

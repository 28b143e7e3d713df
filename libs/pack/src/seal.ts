import type { Hash } from 'node:crypto';
import { deflateRaw } from 'node:zlib';
import { promisify } from 'node:util';
import type { PackEntry, PackIndex } from './api';
import { encodeIndex } from './entry-json';
import { FOOTER_BYTES, FORMAT_VERSION, LIMITS, encodeFooter, encodeFooterStart, type SegmentRecord } from './format';

const deflate = promisify(deflateRaw) as (data: Buffer, options: { level: number }) => Promise<Buffer>;

/** Level 1: the index is full of repetition, and the edge's processor time is scarce. */
const INDEX_LEVEL = 1;

export interface TailInput {
  record: SegmentRecord;
  /** As committed: headerOffset still names the trailer's copy. */
  entries: readonly PackEntry[];
  /** Compressed header blocks in the order of entries. */
  headers: readonly Buffer[];
  /** Where the last entry's block ends. */
  end: number;
  /** Pack hash fed with everything up to `end`. */
  chain: Hash;
}

export interface Tail {
  buffers: Buffer[];
  packSize: number;
  /** Pack digest, hex. */
  sha256: string;
  sealedAt: string;
  index: PackIndex;
}

/** Header blocks, index and footer: what turns a segment into a pack. */
export async function buildTail(input: TailInput, now = new Date()): Promise<Tail> {
  const { record, end } = input;
  let at = end;
  const entries = input.entries.map((entry) => {
    const placed = { ...entry, headerOffset: at };
    at += entry.headerLength;
    return placed;
  });
  const { packId, edgeId, site, createdAt } = record;
  const sealedAt = now.toISOString();
  const index: PackIndex = { format: FORMAT_VERSION as 1, packId, edgeId, site, createdAt, sealedAt, entries };
  const raw = encodeIndex(index);
  const compressed = await deflate(raw, { level: INDEX_LEVEL });
  if (entries.length > LIMITS.entries || raw.length > LIMITS.indexRawBytes || compressed.length > LIMITS.indexBytes) {
    throw new RangeError('the segment is too large for an index');
  }
  const packSize = at + compressed.length + FOOTER_BYTES;
  const start = encodeFooterStart({
    entries: entries.length,
    packSize,
    tailOffset: end,
    indexOffset: at,
    indexLength: compressed.length,
    indexRawLength: raw.length,
    sealedAt: now.getTime(),
  });
  for (const header of input.headers) input.chain.update(header);
  const digest = input.chain.update(compressed).update(start).digest();
  const buffers = [...input.headers, compressed, encodeFooter(start, digest)];
  return { buffers, packSize, sha256: digest.toString('hex'), sealedAt, index };
}

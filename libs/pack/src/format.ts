/**
 * The fixed parts of pack format version 1 (docs/pack-format.md). All integers little endian. Decoders take bytes from
 * anyone: every length is checked against what is there and against a limit before it is used.
 */
import { createHash } from 'node:crypto';
import { PackFormatError } from './errors';

export const FORMAT_VERSION = 1;
const SEGMENT_MAGIC = Buffer.from('ARCHSEG\x01', 'latin1');
const TRAILER_MAGIC = Buffer.from('ARCHTRL\x01', 'latin1');
const FOOTER_MAGIC = Buffer.from('ARCHEND\x01', 'latin1');

/**
 * Entries begin at multiples of this, with zeros in between: what a write that goes past the page cache (O_DIRECT) asks
 * for, and no page of one object is written again for the next.
 */
export const BLOCK_ALIGN = 4096;

/** The next multiple of BLOCK_ALIGN. */
export function aligned(offset: number): number {
  return Math.ceil(offset / BLOCK_ALIGN) * BLOCK_ALIGN;
}

const ZEROS = Buffer.alloc(BLOCK_ALIGN);

/** The zeros between `end` and the next multiple of BLOCK_ALIGN. */
export function paddingAfter(end: number): Buffer {
  return ZEROS.subarray(0, aligned(end) - end);
}

export function isZero(bytes: Buffer): boolean {
  return bytes.equals(ZEROS.subarray(0, bytes.length));
}

export const NONCE_BYTES = 16;
export const CHECKSUM_BYTES = 32;
const SEGMENT_FIXED = 36;
export const TRAILER_FIXED = 176;
export const FOOTER_BYTES = 128;
/** Bytes of the footer that the pack digest covers; the digest itself and the checksum follow. */
export const FOOTER_DIGESTED = 64;

/** Which digest wire digests are: 1 is BLAKE3 with 32 bytes; 0 was SHA-256, before the first release. */
const WIRE_DIGEST = 1;

/** Limits of the format: a reader refuses what is beyond them, a writer never writes it. */
export const LIMITS = {
  /** The record at the start of a segment. */
  segmentRecordBytes: 4096,
  /** Preamble, DICM and group 0002. */
  metaBytes: 64 * 1024,
  /** Context and tables of one entry as JSON. */
  entryJsonBytes: 32 * 1024 * 1024,
  headerBytes: 32 * 1024 * 1024,
  headerRawBytes: 64 * 1024 * 1024,
  entries: 262_144,
  indexBytes: 128 * 1024 * 1024,
  indexRawBytes: 256 * 1024 * 1024,
  /** Tail: header blocks, index, footer; what ingest holds in memory. */
  tailBytes: 512 * 1024 * 1024,
} as const;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Pack and edge ids are lower-case UUIDs; they are the only names that ever become part of a path. */
export function isPackId(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

export function sha256(...parts: Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Reads an unsigned 64-bit integer that must be a safe JavaScript integer. */
function readU64(bytes: Buffer, offset: number): number {
  const value = bytes.readBigUInt64LE(offset);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new PackFormatError('a 64-bit number is out of range');
  return Number(value);
}

function writeU64(bytes: Buffer, value: number, offset: number): void {
  bytes.writeBigUInt64LE(BigInt(value), offset);
}

/** What the start of a segment says. */
export interface SegmentRecord {
  nonce: Buffer;
  packId: string;
  edgeId: string;
  site: string;
  /** ISO 8601 UTC. */
  createdAt: string;
  /** Length of the record; the first entry begins at the next multiple of BLOCK_ALIGN. */
  bytes: number;
}

export function encodeSegmentRecord(record: Omit<SegmentRecord, 'bytes'>): Buffer {
  const { packId, edgeId, site, createdAt } = record;
  const json = Buffer.from(JSON.stringify({ packId, edgeId, site, createdAt }), 'utf8');
  const bytes = Buffer.alloc(SEGMENT_FIXED + json.length + CHECKSUM_BYTES);
  if (bytes.length > LIMITS.segmentRecordBytes) throw new RangeError('the site name is too long');
  SEGMENT_MAGIC.copy(bytes, 0);
  bytes.writeUInt16LE(FORMAT_VERSION, 8);
  bytes.writeUInt16LE(WIRE_DIGEST, 10);
  bytes.writeUInt32LE(bytes.length, 12);
  record.nonce.copy(bytes, 16);
  bytes.writeUInt32LE(json.length, 32);
  json.copy(bytes, SEGMENT_FIXED);
  sha256(bytes.subarray(0, -CHECKSUM_BYTES)).copy(bytes, bytes.length - CHECKSUM_BYTES);
  return bytes;
}

/** @param bytes the file's first bytes; more than the record may be given. @throws PackFormatError */
export function decodeSegmentRecord(bytes: Buffer): SegmentRecord {
  expectVersion(bytes, SEGMENT_MAGIC, SEGMENT_FIXED, 'segment record');
  if (bytes.readUInt16LE(10) !== WIRE_DIGEST) throw new PackFormatError('segment record: another wire digest');
  const total = bytes.readUInt32LE(12);
  const jsonLength = bytes.readUInt32LE(32);
  if (
    total > LIMITS.segmentRecordBytes ||
    total > bytes.length ||
    total !== SEGMENT_FIXED + jsonLength + CHECKSUM_BYTES
  ) {
    throw new PackFormatError('segment record: wrong length');
  }
  expectChecksum(bytes.subarray(0, total), 'segment record');
  const value = parseObject(bytes.subarray(SEGMENT_FIXED, SEGMENT_FIXED + jsonLength), 'segment record');
  const { packId, edgeId, site, createdAt } = value;
  if (!isPackId(packId) || !isPackId(edgeId) || typeof site !== 'string' || typeof createdAt !== 'string') {
    throw new PackFormatError('segment record: wrong fields');
  }
  return { nonce: Buffer.from(bytes.subarray(16, 32)), packId, edgeId, site, createdAt, bytes: total };
}

/** What follows each object. */
export interface Trailer {
  nonce: Buffer;
  ordinal: number;
  /** Where the trailer itself begins; equals datasetOffset + datasetLength. */
  trailerOffset: number;
  entryOffset: number;
  datasetOffset: number;
  datasetLength: number;
  wireDigest: Buffer;
  headerDigest: Buffer;
  /** SHA-256 of bytes [entryOffset, datasetOffset): preamble, DICM, group 0002. */
  metaDigest: Buffer;
  headerRawLength: number;
  /** Context and tables, JSON (entry-json.ts). */
  entryJson: Buffer;
  /** Compressed header block. */
  header: Buffer;
}

export function encodeTrailer(t: Trailer): Buffer {
  const length = TRAILER_FIXED + t.entryJson.length + t.header.length + CHECKSUM_BYTES;
  const bytes = Buffer.allocUnsafe(length);
  TRAILER_MAGIC.copy(bytes, 0);
  t.nonce.copy(bytes, 8);
  bytes.writeUInt16LE(FORMAT_VERSION, 24);
  bytes.writeUInt16LE(0, 26);
  bytes.writeUInt32LE(t.ordinal, 28);
  writeU64(bytes, t.trailerOffset, 32);
  writeU64(bytes, t.entryOffset, 40);
  writeU64(bytes, t.datasetOffset, 48);
  writeU64(bytes, t.datasetLength, 56);
  t.wireDigest.copy(bytes, 64);
  t.headerDigest.copy(bytes, 96);
  t.metaDigest.copy(bytes, 128);
  bytes.writeUInt32LE(t.entryJson.length, 160);
  bytes.writeUInt32LE(t.header.length, 164);
  bytes.writeUInt32LE(t.headerRawLength, 168);
  bytes.writeUInt32LE(length, 172);
  t.entryJson.copy(bytes, TRAILER_FIXED);
  t.header.copy(bytes, TRAILER_FIXED + t.entryJson.length);
  sha256(bytes.subarray(0, -CHECKSUM_BYTES)).copy(bytes, length - CHECKSUM_BYTES);
  return bytes;
}

/** The bytes to search for when trailers of a segment are looked for. */
export function trailerMark(nonce: Buffer): Buffer {
  return Buffer.concat([TRAILER_MAGIC, nonce]);
}

/**
 * Whole length that the fixed part states. @throws PackFormatError when it is not within limits.
 * @param fixed the first TRAILER_FIXED bytes
 */
export function trailerLength(fixed: Buffer): number {
  expectVersion(fixed, TRAILER_MAGIC, TRAILER_FIXED, 'trailer', 24);
  const json = fixed.readUInt32LE(160);
  const header = fixed.readUInt32LE(164);
  const raw = fixed.readUInt32LE(168);
  const total = fixed.readUInt32LE(172);
  if (json > LIMITS.entryJsonBytes || header > LIMITS.headerBytes || raw > LIMITS.headerRawBytes) {
    throw new PackFormatError('trailer: beyond limits');
  }
  if (total !== TRAILER_FIXED + json + header + CHECKSUM_BYTES) throw new PackFormatError('trailer: wrong length');
  return total;
}

/** @param bytes the whole trailer. @throws PackFormatError */
export function decodeTrailer(bytes: Buffer): Trailer {
  const total = trailerLength(bytes);
  if (bytes.length !== total) throw new PackFormatError('trailer: wrong length');
  expectChecksum(bytes, 'trailer');
  const jsonEnd = TRAILER_FIXED + bytes.readUInt32LE(160);
  const t: Trailer = {
    nonce: bytes.subarray(8, 24),
    ordinal: bytes.readUInt32LE(28),
    trailerOffset: readU64(bytes, 32),
    entryOffset: readU64(bytes, 40),
    datasetOffset: readU64(bytes, 48),
    datasetLength: readU64(bytes, 56),
    wireDigest: bytes.subarray(64, 96),
    headerDigest: bytes.subarray(96, 128),
    metaDigest: bytes.subarray(128, 160),
    headerRawLength: bytes.readUInt32LE(168),
    entryJson: bytes.subarray(TRAILER_FIXED, jsonEnd),
    header: bytes.subarray(jsonEnd, total - CHECKSUM_BYTES),
  };
  const metaLength = t.datasetOffset - t.entryOffset;
  if (metaLength < 0 || metaLength > LIMITS.metaBytes || t.trailerOffset !== t.datasetOffset + t.datasetLength) {
    throw new PackFormatError('trailer: contradicting offsets');
  }
  return t;
}

/** The pack's last FOOTER_BYTES bytes. */
export interface Footer {
  entries: number;
  packSize: number;
  tailOffset: number;
  indexOffset: number;
  indexLength: number;
  indexRawLength: number;
  /** Milliseconds since the epoch. */
  sealedAt: number;
  packDigest: Buffer;
}

/** The part of the footer that the pack digest covers. */
export function encodeFooterStart(f: Omit<Footer, 'packDigest'>): Buffer {
  const bytes = Buffer.alloc(FOOTER_DIGESTED);
  FOOTER_MAGIC.copy(bytes, 0);
  bytes.writeUInt16LE(FORMAT_VERSION, 8);
  bytes.writeUInt32LE(f.entries, 12);
  writeU64(bytes, f.packSize, 16);
  writeU64(bytes, f.tailOffset, 24);
  writeU64(bytes, f.indexOffset, 32);
  bytes.writeUInt32LE(f.indexLength, 40);
  bytes.writeUInt32LE(f.indexRawLength, 44);
  writeU64(bytes, f.sealedAt, 48);
  return bytes;
}

export function encodeFooter(start: Buffer, packDigest: Buffer): Buffer {
  const body = Buffer.concat([start, packDigest]);
  return Buffer.concat([body, sha256(body)]);
}

/** @param bytes exactly the last FOOTER_BYTES of a pack of `packSize` bytes. @throws PackFormatError */
export function decodeFooter(bytes: Buffer, packSize: number): Footer {
  expectVersion(bytes, FOOTER_MAGIC, FOOTER_BYTES, 'footer');
  expectChecksum(bytes.subarray(0, FOOTER_BYTES), 'footer');
  const f: Footer = {
    entries: bytes.readUInt32LE(12),
    packSize: readU64(bytes, 16),
    tailOffset: readU64(bytes, 24),
    indexOffset: readU64(bytes, 32),
    indexLength: bytes.readUInt32LE(40),
    indexRawLength: bytes.readUInt32LE(44),
    sealedAt: readU64(bytes, 48),
    packDigest: Buffer.from(bytes.subarray(FOOTER_DIGESTED, FOOTER_DIGESTED + CHECKSUM_BYTES)),
  };
  const indexEnd = packSize - FOOTER_BYTES;
  if (f.packSize !== packSize) throw new PackFormatError('footer: the pack has another size');
  if (f.entries > LIMITS.entries || f.indexLength > LIMITS.indexBytes || f.indexRawLength > LIMITS.indexRawBytes) {
    throw new PackFormatError('footer: beyond limits');
  }
  if (
    f.tailOffset > f.indexOffset ||
    f.indexOffset + f.indexLength !== indexEnd ||
    packSize - f.tailOffset > LIMITS.tailBytes
  ) {
    throw new PackFormatError('footer: contradicting offsets');
  }
  if (f.sealedAt > 8.64e15) throw new PackFormatError('footer: impossible date');
  return f;
}

function expectVersion(bytes: Buffer, magic: Buffer, minimum: number, what: string, versionAt = 8): void {
  if (bytes.length < minimum || !bytes.subarray(0, 8).equals(magic)) throw new PackFormatError(`${what}: not found`);
  const version = bytes.readUInt16LE(versionAt);
  if (version !== FORMAT_VERSION) throw new PackFormatError(`${what}: format version ${version} is not known`);
}

function expectChecksum(bytes: Buffer, what: string): void {
  if (!sha256(bytes.subarray(0, -CHECKSUM_BYTES)).equals(bytes.subarray(-CHECKSUM_BYTES))) {
    throw new PackFormatError(`${what}: wrong checksum`);
  }
}

/** JSON text that must be an object. @throws PackFormatError */
export function parseObject(json: Buffer, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json.toString('utf8'));
  } catch (cause) {
    throw new PackFormatError(`${what}: not JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new PackFormatError(`${what}: not an object`);
  return value as Record<string, unknown>;
}

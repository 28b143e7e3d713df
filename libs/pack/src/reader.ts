import { datasetHash } from './dataset-hash';
import { inflateRaw } from 'node:zlib';
import { promisify } from 'node:util';
import type { PackEntry, PackIndex } from './api';
import { PackDigester, layoutOf } from './digest';
import { decodeEntryJson, decodeIndex } from './entry-json';
import { decompressHeader } from '@archipelago/dicom-encoding';
import { PackFormatError, PackIntegrityError } from './errors';
import {
  FOOTER_BYTES,
  LIMITS,
  TRAILER_FIXED,
  aligned,
  decodeFooter,
  decodeSegmentRecord,
  decodeTrailer,
  isZero,
  trailerLength,
} from './format';
import type { Footer } from './format';
import { pieces, type PackSource } from './source';

const inflate = promisify(inflateRaw) as (data: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

/** Index and header blocks of a pack, from its last bytes alone. */
export class PackTail {
  private constructor(
    readonly footer: Footer,
    readonly index: PackIndex,
    private readonly bytes: Buffer,
    private readonly start: number,
  ) {}

  /**
   * @param bytes the pack's last bytes, at least from tailOffset on (one range read)
   * @param packSize the pack's whole size in bytes
   * @throws PackFormatError
   */
  static async parse(bytes: Buffer, packSize: number): Promise<PackTail> {
    if (bytes.length < FOOTER_BYTES || bytes.length > packSize) throw new PackFormatError('not the tail of a pack');
    const footer = decodeFooter(bytes.subarray(-FOOTER_BYTES), packSize);
    const start = packSize - bytes.length;
    if (footer.tailOffset < start) throw new PackFormatError('the tail begins before the bytes given');
    const compressed = bytes.subarray(footer.indexOffset - start, footer.indexOffset - start + footer.indexLength);
    const index = decodeIndex(await inflateIndex(compressed, footer.indexRawLength), footer);
    return new PackTail(footer, index, bytes, start);
  }

  /** The header block of an entry, decompressed: canonical Explicit VR LE. @throws PackFormatError */
  header(entry: PackEntry): Buffer {
    try {
      return decompressHeader(this.compressedHeader(entry), entry.headerRawLength);
    } catch (cause) {
      throw new PackFormatError(`entry ${entry.ordinal}: the header block cannot be inflated`, { cause });
    }
  }

  compressedHeader(entry: PackEntry): Buffer {
    const from = entry.headerOffset - this.start;
    if (from < 0 || from + entry.headerLength > this.bytes.length)
      throw new PackFormatError('header block outside of the tail');
    return this.bytes.subarray(from, from + entry.headerLength);
  }

  /** Pack digest as the footer states it, hex. */
  get sha256(): string {
    return this.footer.packDigest.toString('hex');
  }
}

async function inflateIndex(compressed: Buffer, rawLength: number): Promise<Buffer> {
  let raw: Buffer;
  try {
    raw = await inflate(compressed, { maxOutputLength: Math.max(1, rawLength) });
  } catch (cause) {
    throw new PackFormatError('index: cannot be inflated', { cause });
  }
  if (raw.length !== rawLength) throw new PackFormatError('index: wrong length');
  return raw;
}

export interface PackVerification {
  /** Pack digest recomputed from the bytes. */
  sha256: string;
  entries: number;
  bytes: number;
}

/** Reads a sealed pack of format version 1 from anything that gives ranges of bytes. */
export class PackReader {
  private constructor(
    private readonly source: PackSource,
    readonly tail: PackTail,
  ) {}

  /**
   * @param tailOffset where the tail begins, if known: saves a read
   * @throws PackFormatError when it is no pack
   */
  static async open(source: PackSource, tailOffset?: number): Promise<PackReader> {
    const { size } = source;
    if (size < FOOTER_BYTES) throw new PackFormatError('too short for a pack');
    let start = tailOffset;
    if (start === undefined) start = decodeFooter(await source.read(size - FOOTER_BYTES, size), size).tailOffset;
    if (start < 0 || start > size - FOOTER_BYTES || size - start > LIMITS.tailBytes)
      throw new PackFormatError('no such tail');
    return new PackReader(source, await PackTail.parse(await source.read(start, size), size));
  }

  get index(): PackIndex {
    return this.tail.index;
  }

  /** Header block of an entry, decompressed. */
  header(entry: PackEntry): Buffer {
    return this.tail.header(entry);
  }

  /** The dataset as it came over the wire. */
  dataset(entry: PackEntry): AsyncIterable<Buffer> {
    return pieces(this.source, entry.datasetOffset, entry.datasetOffset + entry.datasetLength);
  }

  /** The Part 10 file. */
  file(entry: PackEntry): AsyncIterable<Buffer> {
    return pieces(this.source, entry.offset, entry.offset + entry.length);
  }

  /** @throws PackIntegrityError when the dataset is not what was received */
  async verifyEntry(entry: PackEntry): Promise<void> {
    const hash = datasetHash();
    for await (const piece of this.dataset(entry)) hash.update(piece);
    if (hash.digest().toString('hex') !== entry.wireDigest)
      throw new PackIntegrityError(`entry ${entry.ordinal}: wrong dataset digest`);
  }

  /**
   * Reads every byte once and compares the pack digest, every dataset's digest, and every trailer with the index.
   * @param expected pack digest from elsewhere (announcement, catalog); the footer's own without it
   * @throws PackIntegrityError, PackFormatError
   */
  async verify(expected?: string): Promise<PackVerification> {
    const digester = new PackDigester(layoutOf(this.index, this.source.size));
    for await (const piece of pieces(this.source, 0, this.source.size)) digester.update(piece);
    const sha256 = digester.digest();
    if (sha256 !== this.tail.sha256 || (expected !== undefined && sha256 !== expected)) {
      throw new PackIntegrityError('wrong pack digest');
    }
    this.index.entries.forEach((entry, i) => {
      if (digester.datasetDigests[i] !== entry.wireDigest)
        throw new PackIntegrityError(`entry ${i}: wrong dataset digest`);
    });
    await this.verifyTrailers();
    return { sha256, entries: this.index.entries.length, bytes: this.source.size };
  }

  /** Entries and trailers must fill the pack from its record to its tail, and say what the index says. */
  private async verifyTrailers(): Promise<void> {
    const { size } = this.source;
    const record = decodeSegmentRecord(await this.source.read(0, Math.min(size, LIMITS.segmentRecordBytes)));
    if (record.packId !== this.index.packId) throw new PackFormatError('the record names another pack');
    let at = await this.padded(record.bytes);
    for (const entry of this.index.entries) {
      if (entry.offset !== at) throw new PackFormatError('bytes between entries');
      const start = entry.offset + entry.length;
      const fixed = await this.source.read(start, Math.min(size, start + TRAILER_FIXED));
      const end = start + trailerLength(fixed);
      if (aligned(end) > this.tail.footer.tailOffset) throw new PackFormatError('a trailer runs into the tail');
      const trailer = decodeTrailer(await this.source.read(start, end));
      at = await this.padded(end);
      const said = decodeEntryJson(trailer.entryJson, trailer.datasetLength);
      if (
        !trailer.nonce.equals(record.nonce) ||
        trailer.entryOffset !== entry.offset ||
        trailer.datasetOffset !== entry.datasetOffset ||
        trailer.wireDigest.toString('hex') !== entry.wireDigest ||
        trailer.headerDigest.toString('hex') !== entry.headerDigest ||
        said.sopInstanceUid !== entry.sopInstanceUid ||
        !trailer.header.equals(this.tail.compressedHeader(entry))
      ) {
        throw new PackIntegrityError(`entry ${entry.ordinal}: trailer and index differ`);
      }
    }
    if (at !== this.tail.footer.tailOffset) throw new PackFormatError('bytes between entries and tail');
  }

  /** @returns where the next entry begins behind what ends at `end`. @throws PackFormatError when other than zeros lie between */
  private async padded(end: number): Promise<number> {
    const next = aligned(end);
    if (next > this.source.size || !isZero(await this.source.read(end, next))) {
      throw new PackFormatError('bytes between entries');
    }
    return next;
  }
}

/** The pack digest of these bytes, hex. @throws PackFormatError when they are no pack */
export async function computePackDigest(source: PackSource): Promise<string> {
  const reader = await PackReader.open(source);
  const digester = new PackDigester(layoutOf(reader.index, source.size));
  for await (const piece of pieces(source, 0, source.size)) digester.update(piece);
  return digester.digest();
}

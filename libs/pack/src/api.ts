/** Public shapes of the spool and of pack format version 1 (docs/pack-format.md). */
import type { HeaderResult, LeftOutValue, PixelTable } from '@archipelago/dicom-encoding';
import type { HeldDataset } from './held-dataset';

export type Origin = 'acquired' | 'derived' | 'fetched' | 'migrated';

export type HarvestLevel = 'study' | 'series' | 'image' | 'full';

/** Who sent an object, to whom, when and how: written with every entry. */
export interface EntryContext {
  origin: Origin;
  /** Name of the archive it was fetched or migrated from; own name otherwise. */
  source: string;
  callingAeTitle: string;
  calledAeTitle: string;
  remoteAddress: string;
  site: string;
  /** ISO 8601 UTC. */
  receivedAt: string;
  sopClassUid: string;
  sopInstanceUid: string;
  transferSyntaxUid: string;
  /**
   * Not an object but what an archive said of one (C-FIND answer, or its header without bulk values): how deep. Absent
   * for objects. `sopInstanceUid` of a study's or series' answer is that study's or series' UID, its SOP class that of the query.
   */
  harvest?: HarvestLevel;
  /** Status given to the sender beside success (0xB000-class warnings), and the reader's warnings. */
  warnings: string[];
}

/** One instance in a pack. Offsets count from the pack's first byte. */
export interface PackEntry extends EntryContext {
  ordinal: number;
  /** The Part 10 file: preamble, DICM, group 0002, dataset. */
  offset: number;
  length: number;
  datasetOffset: number;
  datasetLength: number;
  /** Wire digest: BLAKE3-256, hex, of the dataset bytes as they came over the wire. */
  wireDigest: string;
  headerDigest: string;
  /**
   * The compressed header block. In the entry that commit() returns: the copy in the entry's trailer; in the index of a
   * sealed pack: the copy in the tail, where all header blocks lie side by side.
   */
  headerOffset: number;
  headerLength: number;
  headerRawLength: number;
  /** Offsets count from the dataset's first byte. */
  leftOut: LeftOutValue[];
  pixel: PixelTable | null;
}

export interface PackIndex {
  format: 1;
  packId: string;
  edgeId: string;
  site: string;
  createdAt: string;
  sealedAt: string;
  entries: PackEntry[];
}

export interface SealedPack {
  packId: string;
  path: string;
  bytes: number;
  /** Where the header blocks and index begin: ingest reads from here to the end in one range read. */
  tailOffset: number;
  entries: number;
  /**
   * Pack digest, hex: SHA-256 over the pack's bytes with each dataset replaced by its wire digest
   * (docs/pack-format.md). Every byte counts, and no dataset is hashed twice. See computePackDigest().
   */
  sha256: string;
  sealedAt: string;
}

/** An object that is whole in memory and on its way to the file: see EntryWriter.hand(). */
export interface HandedEntry {
  /** As those of PackEntry. */
  datasetOffset: number;
  datasetLength: number;
  wireDigest: string;
  /** To be released; null where it is too large to be held. */
  held: HeldDataset | null;
  /** It can be read from the file. Rejects as commit() does: the object is rolled back then. */
  written: Promise<PackEntry>;
}

/** One object being received. Writes go to the segment as they come; nothing larger than a chunk is held. */
export interface EntryWriter {
  /** The pack that it goes into; final once it is committed. */
  readonly packId: string;
  /** The chunk may be reused by the caller once the returned promise settles (or at once when there is none). */
  write(chunk: Buffer): void | Promise<void>;
  /**
   * Writes the trailer and waits for the group commit's fdatasync: after it resolves the object may be acknowledged. In a
   * segment that is not durable it does not wait: the object can be read, and nothing is promised.
   * @throws SegmentPoisonedError when a sync failed: nothing more in this segment may be acknowledged
   */
  commit(header: HeaderResult, warnings?: string[]): Promise<PackEntry>;
  /**
   * In place of commit(), where nothing is promised to the sender: ends the object at once and writes it afterwards.
   * @throws SpoolUsageError in a durable segment, or when the header reader saw another number of bytes
   */
  hand(header: HeaderResult, warnings?: string[]): HandedEntry;
  /** Cuts the segment back to the last trailer. */
  rollback(): Promise<void>;
}

export interface SegmentWriter {
  readonly packId: string;
  readonly bytes: number;
  readonly entries: number;
  /** Milliseconds since the epoch of the last begin, write, commit or rollback: for sealing after idle time. */
  readonly lastActivity: number;
  /** True while an object is between begin() and commit() or rollback(). */
  readonly busy: boolean;
  /** Set once a sync or a write failed for good: seal and go on in another segment. */
  readonly poisoned: Error | null;
  begin(context: EntryContext): Promise<EntryWriter>;
  /** Index and footer, sync, rename to *.pack, sync the directory. An empty segment is removed and resolves with null. */
  seal(): Promise<SealedPack | null>;
}

/** Public shapes of this library. PS3.5 (data structures and encoding), PS3.10 (files). */

/** Tag as an unsigned 32-bit number: group << 16 | element. */
export type Tag = number;

/** Place of an element: tags with item numbers between them, e.g. [0x52009230, 0, 0x00289110]. */
export type ElementPath = readonly number[];

/** A value that the header block leaves out (binary over 4 KiB): bytes [offset, offset + length) of the dataset. */
export interface LeftOutValue {
  path: ElementPath;
  vr: string;
  offset: number;
  length: number;
}

/** Where the pixel data (7FE0,0010), (7FE0,0008) or (7FE0,0009) lies in the dataset, noted while streaming. */
export interface PixelTable {
  tag: Tag;
  vr: string;
  /** Offset of the value field in the dataset, and its length; of an encapsulated one: up to and with the delimiter. */
  offset: number;
  length: number;
  encapsulated: boolean;
  /** Encapsulated: the fragments' value fields (without the Basic Offset Table item), in order. */
  fragments: { offset: number; length: number }[];
  /** Encapsulated: Basic Offset Table as found; Extended Offset Table when present takes its place. */
  offsetTable: number[];
  /** First fragment index of each frame, where it can be known without decoding; else undefined. */
  frameStarts?: number[];
}

/** What the streaming reader knows at the end of a dataset. */
export interface HeaderResult {
  /**
   * The header in canonical encoding: Explicit VR LE, every sequence and item with undefined length, group lengths
   * and (FFFC,FFFC) dropped, left-out values with length 0, elements after the pixel data included. Not compressed.
   * README.md, "Canonical header", says it exactly.
   */
  header: Buffer;
  /**
   * SHA-256 over (tag, value) without group lengths, padding, VR and byte order: equal in every encoding. Long values
   * enter by their own digest, of the pixel data only the presence. README.md, "Header digest".
   */
  headerDigest: Buffer;
  leftOut: LeftOutValue[];
  pixel: PixelTable | null;
  /** Bytes pushed. Of a deflated dataset these are the deflated ones, while every offset counts inflated bytes. */
  length: number;
  /** Identity as found in the dataset (trimmed; empty string when absent). */
  sopClassUid: string;
  sopInstanceUid: string;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  patientId: string;
  /** Oddities that did not stop reading, as stable codes: 'trailing-bytes', 'elements-out-of-order', 'unknown-vr', ... */
  warnings: string[];
}

/** Bounds of the reader; beyond them the dataset is refused with a DatasetError. */
export interface HeaderLimits {
  /** Most bytes of header kept in memory (default 8 MiB). */
  maxHeaderBytes?: number;
  /** Deepest nesting of sequences (default 64). */
  maxDepth?: number;
  /** Most bytes that a deflated dataset may inflate to (default 4 GiB), and at most this many times its size (default 1000). */
  maxInflatedBytes?: number;
  maxInflateRatio?: number;
  /** Binary values longer than this are left out of the header block (default 4096). */
  leftOutOver?: number;
}

/** Streaming: push chunks of the dataset (after group 0002) as they come; never holds pixel data or bulk values. */
export interface HeaderReaderLike {
  /** @throws DatasetError when the bytes cannot be a dataset in the given transfer syntax */
  push(chunk: Buffer): void;
  /** @throws DatasetError when the dataset stops in the middle of an element */
  end(): HeaderResult;
}

import type { PixelTable } from '@archipelago/dicom-encoding';

/** Why pixel data cannot be handled. Stable codes: they go into logs and decide what the peer is told. */
export type PixelErrorCode =
  /** Nobody can decode or write this syntax here (video, JPIP, JPEG XL, unknown). */
  | 'unsupported-syntax'
  /** The object has no pixel data, or none of a kind that has frames (float, spectroscopy). */
  | 'no-pixel-data'
  /** Image Pixel attributes missing or contradictory. */
  | 'bad-attributes'
  /** A frame, the object or a dimension beyond the configured bounds. */
  | 'too-large'
  /** Offset table, fragments and NumberOfFrames do not fit together. */
  | 'bad-fragments'
  /** Fewer bytes than the header promises. */
  | 'truncated'
  /** The codestream is damaged. */
  | 'bad-codestream'
  /** The codestream's own size, bits or components contradict the DICOM header. */
  | 'codestream-mismatch'
  /** The codec failed, ran too long or ran out of memory. */
  | 'codec-failed'
  | 'timeout'
  /** The pool was closed. */
  | 'closed';

/** A permanent failure of one object's pixels; never a crash of the process. */
export class PixelError extends Error {
  override readonly name = 'PixelError';
  constructor(
    readonly code: PixelErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** Image Pixel module (PS3.3 C.7.6.3), as the header says; checked by `checkAttributes`. */
export interface PixelAttributes {
  rows: number;
  columns: number;
  samplesPerPixel: number;
  bitsAllocated: number;
  bitsStored: number;
  highBit: number;
  /** 0 unsigned, 1 two's complement. */
  pixelRepresentation: number;
  photometricInterpretation: string;
  planarConfiguration: number;
  numberOfFrames: number;
}

/** Bounds; beyond them a PixelError 'too-large'. No buffer is allocated for what the header declares beyond them. */
export interface PixelLimits {
  /** Most bytes of one decoded frame (default 256 MiB). */
  maxFrameBytes?: number;
  /** Most bytes of one compressed frame (default 256 MiB). */
  maxCodedFrameBytes?: number;
  /** Most frames of one object (default 1,000,000). */
  maxFrames?: number;
}

/** Random access to a dataset's bytes (after group 0002): a segment file, a pack, a buffer. [start, end) */
export interface RangeReader {
  read(start: number, end: number): Promise<Buffer>;
}

/** One object as stored. */
export interface InstanceSource extends RangeReader {
  transferSyntaxUid: string;
  /** Bytes of the dataset. */
  datasetLength: number;
  /** From the header reader, when already known; else found by reading. null: has no pixel data. */
  pixel?: PixelTable | null;
}

/** A decoded frame: samples little endian, interleaved by pixel (planar configuration 0). */
export interface DecodedFrame {
  data: Buffer;
  /** As the samples now are: RGB after a colour transform, else as in the header. */
  photometricInterpretation: string;
  bitsAllocated: number;
  bitsStored: number;
  pixelRepresentation: number;
  samplesPerPixel: number;
}

/** The result of a transcode: the dataset in the new syntax, in pieces; never more than a few frames in memory. */
export interface TranscodeResult {
  transferSyntaxUid: string;
  body: AsyncIterable<Buffer>;
  /** Bytes of `body`, where known before it is produced (native targets; undefined for compressed and deflated). */
  length?: number;
  /** Whether this step itself lost information (never true: we only decode, or encode without loss). */
  lossy: boolean;
}

/** What to send to a peer that accepts only some syntaxes. */
export interface SyntaxChoice {
  ts: string;
  /** as-is: bytes as stored; native: only re-encode elements; decode: decompress; encode: compress without loss. */
  how: 'as-is' | 'native' | 'decode' | 'encode';
}

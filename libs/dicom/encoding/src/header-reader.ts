import { transferSyntax } from '@archipelago/dicom-core';
import type { HeaderLimits, HeaderReaderLike, HeaderResult } from './api';
import { DatasetError } from './dataset-error';
import type { GrowingBuffer } from './growing-buffer';
import { DIGEST_BULK_OVER } from './header-digest';
import { HeaderSink } from './header-sink';
import { Inflater } from './inflater';
import { Tokenizer } from './tokenizer';

const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: Required<HeaderLimits> = {
  maxHeaderBytes: 8 * MIB,
  maxDepth: 64,
  maxInflatedBytes: 4096 * MIB,
  maxInflateRatio: 1000,
  leftOutOver: 4096,
};

/**
 * Streaming header reader: push() the dataset's bytes as they arrive (chunks may be reused by the caller after the
 * call), then end(). Keeps the header only, within `limits`; pixel data and long binary values pass by.
 *
 * A dataset in a deflated syntax is inflated on the way: offsets in the result then count bytes of the inflated dataset,
 * `length` the bytes pushed. After a DatasetError the reader is of no further use.
 */
export class HeaderReader implements HeaderReaderLike {
  private readonly sink: HeaderSink;
  private readonly tokenizer: Tokenizer;
  private readonly inflater: Inflater | undefined;
  private pushed = 0;
  private ended = false;

  constructor(
    readonly transferSyntaxUid: string,
    limits: HeaderLimits = {},
  ) {
    const bounds = { ...DEFAULT_LIMITS, ...limits };
    // Below that the digest would depend on the limit.
    this.sink = new HeaderSink(bounds.maxHeaderBytes, Math.max(bounds.leftOutOver, DIGEST_BULK_OVER));
    this.tokenizer = new Tokenizer(this.sink, transferSyntaxUid, bounds.maxDepth);
    if (transferSyntax(transferSyntaxUid).deflated) {
      const output = (bytes: Buffer): void => this.tokenizer.push(bytes);
      this.inflater = new Inflater(output, bounds.maxInflatedBytes, bounds.maxInflateRatio);
    }
  }

  /** @throws DatasetError when the bytes cannot be a dataset in the given transfer syntax, or pass a limit */
  push(chunk: Buffer): void {
    if (this.ended) throw new Error('the reader has ended');
    this.pushed += chunk.length;
    if (this.inflater) this.inflater.push(chunk);
    else this.tokenizer.push(chunk);
  }

  /** The pixel data of the dataset itself has begun: what stands before it is whole. */
  get pixelReached(): boolean {
    return this.sink.pixel !== undefined;
  }

  /** The header up to the pixel data. Only when `pixelReached`; reading may go on. */
  beforePixel(): Pick<HeaderResult, 'header' | 'leftOut'> {
    const { header, starts, leftOut } = this.sink;
    const ordered = this.tokenizer.warnings.has('elements-out-of-order')
      ? joinElements(header, inTagOrder(starts, header.length, 0))
      : header.view();
    return { header: Buffer.from(ordered), leftOut: [...leftOut] };
  }

  /** @throws DatasetError when the dataset stops in the middle of an element, item, sequence or deflate stream */
  end(): HeaderResult {
    if (this.ended) throw new Error('the reader has ended');
    this.ended = true;
    if (this.pushed === 0) throw new DatasetError('truncated', 0, 0, 'no bytes');
    this.inflater?.end();
    this.tokenizer.end();
    const { sink, tokenizer } = this;
    const warnings = [...tokenizer.warnings, ...sink.identity.charsetWarnings];
    // One byte after the deflate stream makes its length even (PS3.5 A.5).
    if (this.inflater && this.inflater.trailing > 1) warnings.push('trailing-bytes');
    const pixel = sink.pixelTable(this.transferSyntaxUid);
    const ordered = this.finish(tokenizer.warnings.has('elements-out-of-order'));
    const { sopClassUid, sopInstanceUid, studyInstanceUid, seriesInstanceUid, patientId } = sink.identity;
    return {
      header: ordered.header,
      headerDigest: ordered.digest,
      leftOut: sink.leftOut,
      pixel,
      length: this.pushed,
      sopClassUid,
      sopInstanceUid,
      studyInstanceUid,
      seriesInstanceUid,
      patientId,
      warnings,
    };
  }

  /** Elements of the dataset itself are put in the order of their tags when they did not come in it. */
  private finish(outOfOrder: boolean): { header: Buffer; digest: Buffer } {
    const { header, digest, starts } = this.sink;
    if (!outOfOrder) return { header: header.view(), digest: digest.finish() };
    const elements = inTagOrder(starts, header.length, digest.record.length);
    const sorted = joinElements(header, elements);
    return { header: sorted, digest: digest.finish(elements.map(({ from, to }) => ({ start: from, end: to }))) };
  }
}

interface ElementRange {
  tag: number;
  /** In the header. */
  start: number;
  end: number;
  /** In the digest's record. */
  from: number;
  to: number;
}

function inTagOrder(starts: readonly number[], headerEnd: number, recordEnd: number): ElementRange[] {
  const elements: ElementRange[] = [];
  for (let i = 0; i < starts.length; i += 3) {
    const last = i + 3 >= starts.length;
    elements.push({
      tag: starts[i],
      start: starts[i + 1],
      end: last ? headerEnd : starts[i + 4],
      from: starts[i + 2],
      to: last ? recordEnd : starts[i + 5],
    });
  }
  return elements.sort((a, b) => a.tag - b.tag);
}

function joinElements(header: GrowingBuffer, elements: readonly ElementRange[]): Buffer {
  return Buffer.concat(elements.map(({ start, end }) => header.bytes.subarray(start, end)));
}

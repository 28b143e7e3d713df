import { Inflate } from 'pako';
import { DatasetError } from './dataset-error';

/** Below this much output the ratio says nothing: a blank image deflates a thousandfold too. */
const RATIO_FREE = 8 * 1024 * 1024;
const PIECE = 64 * 1024;
const Z_SYNC_FLUSH = 2;

/**
 * Inflates a raw deflate stream (PS3.5 A.5) as it comes, in pieces of 64 KiB, and refuses bombs while it inflates.
 * pako, because node's zlib either works asynchronously or makes the whole output of a chunk at once.
 */
export class Inflater {
  /** Bytes behind the end of the deflate stream. */
  trailing = 0;
  private readonly zlib = new Inflate({ raw: true, chunkSize: PIECE });
  private made = 0;
  private ended = false;

  constructor(output: (bytes: Buffer) => void, maxBytes: number, maxRatio: number) {
    this.zlib.onData = (data) => {
      const bytes = data as Uint8Array;
      this.made += bytes.length;
      // By what inflating used, not by what was pushed: the sizes of the chunks must not decide what is refused.
      const bomb = this.made > RATIO_FREE && this.made > this.stream.total_in * maxRatio;
      if (bomb || this.made > maxBytes) throw new DatasetError('inflate-limit', 0, this.made);
      output(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    };
    this.zlib.onEnd = (status) => {
      if (status !== 0) throw new DatasetError('inflate-failed', 0, this.made);
      this.ended = true;
    };
  }

  /** @throws DatasetError inflate-failed, inflate-limit, and what the output's reader throws */
  push(chunk: Buffer): void {
    if (this.ended) {
      this.trailing += chunk.length;
      return;
    }
    this.zlib.push(chunk, Z_SYNC_FLUSH);
    if (this.ended) this.trailing += this.stream.avail_in;
  }

  /** zlib's own counters: bytes used, bytes left of the last chunk. */
  private get stream(): { total_in: number; avail_in: number } {
    return (this.zlib as unknown as { strm: { total_in: number; avail_in: number } }).strm;
  }

  /** @throws DatasetError when the deflate stream is not whole */
  end(): void {
    if (!this.ended) throw new DatasetError('truncated', 0, this.made, 'the deflate stream is not whole');
  }
}

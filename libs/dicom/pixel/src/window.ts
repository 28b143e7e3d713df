import { PixelError, type RangeReader } from './api';

/** Reads a dataset forward in pieces; holds one piece. */
export class Window {
  private piece: Buffer = Buffer.alloc(0);
  private start = 0;

  constructor(
    private readonly reader: RangeReader,
    readonly length: number,
    private readonly pieceBytes = 32 * 1024,
  ) {}

  /** Bytes [offset, offset + count). @throws PixelError 'truncated' when the dataset ends before */
  async bytes(offset: number, count: number): Promise<Buffer> {
    if (offset + count > this.length) throw new PixelError('truncated', 'the dataset stops inside an element');
    if (offset < this.start || offset + count > this.start + this.piece.length) {
      const end = Math.min(this.length, offset + Math.max(count, this.pieceBytes));
      this.piece = await this.reader.read(offset, end);
      this.start = offset;
      if (this.piece.length < count)
        throw new PixelError('truncated', 'the store gave fewer bytes than the dataset has');
    }
    return this.piece.subarray(offset - this.start, offset - this.start + count);
  }
}

/** Bytes [start, end) in pieces of at most 256 KiB. */
export async function* readPieces(reader: RangeReader, start: number, end: number): AsyncGenerator<Buffer> {
  for (let at = start; at < end;) {
    const to = Math.min(end, at + 256 * 1024);
    const piece = await reader.read(at, to);
    if (piece.length !== to - at) throw new PixelError('truncated', 'the store gave fewer bytes than the dataset has');
    yield piece;
    at = to;
  }
}

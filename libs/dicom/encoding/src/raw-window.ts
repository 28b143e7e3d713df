/**
 * The bytes of a stream that are neither written nor dropped yet, addressed by their offset in the stream. What is written
 * is collected in `out`: views of the chunk that was pushed last where nothing had to be changed.
 */
export class RawWindow {
  /** Offset of the first byte that is not decided. */
  cursor = 0;
  /** Offset behind the last byte there is. */
  end = 0;
  private rest: Buffer = Buffer.alloc(0);
  private chunk: Buffer = Buffer.alloc(0);
  private chunkStart = 0;
  private out: Buffer[] = [];

  begin(chunk: Buffer): void {
    this.chunk = chunk;
    this.chunkStart = this.end;
    this.end += chunk.length;
  }

  /** Keeps what is undecided: a few bytes of an element's head. The chunk is not used any more. */
  settle(): void {
    this.rest = Buffer.concat(this.parts(this.cursor, this.end));
    this.chunk = Buffer.alloc(0);
    this.chunkStart = this.end;
  }

  copyTo(offset: number): void {
    if (offset <= this.cursor) return;
    this.out.push(...this.parts(this.cursor, offset));
    this.cursor = offset;
  }

  dropTo(offset: number): void {
    if (offset > this.cursor) this.cursor = offset;
  }

  write(bytes: Buffer): void {
    if (bytes.length > 0) this.out.push(bytes);
  }

  /** A copy of undecided bytes. */
  read(from: number, to: number): Buffer {
    return Buffer.concat(this.parts(from, to));
  }

  take(): Buffer[] {
    const out = this.out;
    this.out = [];
    return out;
  }

  private parts(from: number, to: number): Buffer[] {
    const parts: Buffer[] = [];
    const restStart = this.chunkStart - this.rest.length;
    if (from < this.chunkStart) {
      const kept = this.rest.subarray(from - restStart, Math.min(to, this.chunkStart) - restStart);
      if (kept.length > 0) parts.push(kept);
    }
    if (to > this.chunkStart) {
      const fresh = this.chunk.subarray(Math.max(0, from - this.chunkStart), to - this.chunkStart);
      if (fresh.length > 0) parts.push(fresh);
    }
    return parts;
  }
}

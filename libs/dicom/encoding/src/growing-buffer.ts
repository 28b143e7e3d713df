/** Bytes that grow as they really come, up to a bound; never by a declared length. */
export class GrowingBuffer {
  bytes: Buffer;
  length = 0;

  constructor(initial: number) {
    this.bytes = Buffer.allocUnsafe(initial);
  }

  /** Makes room for `more` bytes behind `length`. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  append(source: Buffer, start: number, end: number): void {
    this.reserve(end - start);
    const bytes = this.bytes;
    let at = this.length;
    if (end - start < 24) for (let i = start; i < end; i++) bytes[at++] = source[i];
    else at += source.copy(bytes, at, start, end);
    this.length = at;
  }

  u16(value: number): void {
    this.reserve(2);
    this.bytes[this.length++] = value & 0xff;
    this.bytes[this.length++] = (value >> 8) & 0xff;
  }

  u32(value: number): void {
    this.reserve(4);
    const bytes = this.bytes;
    const at = this.length;
    bytes[at] = value & 0xff;
    bytes[at + 1] = (value >> 8) & 0xff;
    bytes[at + 2] = (value >> 16) & 0xff;
    bytes[at + 3] = (value >> 24) & 0xff;
    this.length = at + 4;
  }

  u64(value: number): void {
    this.u32(value % 0x100000000);
    this.u32(Math.floor(value / 0x100000000));
  }

  /** A tag as it stands in little endian: group, then element. */
  tag(tag: number): void {
    this.reserve(4);
    const bytes = this.bytes;
    const at = this.length;
    bytes[at] = (tag >> 16) & 0xff;
    bytes[at + 1] = (tag >> 24) & 0xff;
    bytes[at + 2] = tag & 0xff;
    bytes[at + 3] = (tag >> 8) & 0xff;
    this.length = at + 4;
  }

  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}

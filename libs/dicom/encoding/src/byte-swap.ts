/** Reverses each group of `unit` bytes of [start, end) in place; a rest shorter than a unit stays as it is. */
export function swapInPlace(bytes: Buffer, start: number, end: number, unit: number): void {
  for (let at = start; at + unit <= end; at += unit) {
    for (let low = at, high = at + unit - 1; low < high; low++, high--) {
      const byte = bytes[low];
      bytes[low] = bytes[high];
      bytes[high] = byte;
    }
  }
}

/** Swaps a value that comes in chunks: a number cut by a chunk's end waits for the next chunk. */
export class StreamSwapper {
  private rest = Buffer.alloc(0);

  constructor(private readonly unit: number) {}

  /** The whole numbers there are so far, swapped, in a buffer of its own. */
  push(bytes: Buffer, start: number, end: number): Buffer {
    const all = Buffer.concat([this.rest, bytes.subarray(start, end)]);
    const whole = all.length - (all.length % this.unit);
    swapInPlace(all, 0, whole, this.unit);
    this.rest = Buffer.from(all.subarray(whole));
    return all.subarray(0, whole);
  }

  /** What is left of a value whose length is no multiple of the unit. */
  end(): Buffer {
    return this.rest;
  }
}

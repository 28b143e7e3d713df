/**
 * Memory that datasets are read into, used again. Fresh buffers of megabytes are memory outside of the JavaScript heap:
 * each is zeroed page by page, and the garbage collector, which must see to them, took a third of the processor time of a
 * C-GET. It is shared memory, so that other threads compute digests of it without a copy.
 */

export interface Slab {
  readonly memory: SharedArrayBuffer;
  /** All of it. */
  readonly bytes: Buffer;
}

/** What is kept for the next read, by size in bytes: 52 MiB in all. Larger ones are made when needed. */
const KEPT: readonly { size: number; most: number }[] = [
  { size: 1024 * 1024, most: 4 },
  { size: 4 * 1024 * 1024, most: 8 },
  { size: 16 * 1024 * 1024, most: 1 },
];

export class Slabs {
  private readonly free: Map<number, Slab[]>;

  constructor(private readonly kept = KEPT) {
    this.free = new Map(kept.map(({ size }) => [size, []]));
  }

  /** At least so many bytes; what they hold is anything. */
  take(bytes: number): Slab {
    const size = this.kept.find((one) => one.size >= bytes)?.size ?? bytes;
    const known = this.free.get(size)?.pop();
    if (known) return known;
    const memory = new SharedArrayBuffer(size);
    return { memory, bytes: Buffer.from(memory) };
  }

  /**
   * Nobody reads it any more: neither a socket that has not yet sent all of it. Who cannot be sure does not give it back:
   * then it is freed as any memory is.
   */
  give(slab: Slab): void {
    const { byteLength } = slab.memory;
    const most = this.kept.find(({ size }) => size === byteLength)?.most ?? 0;
    const list = this.free.get(byteLength);
    if (list && list.length < most) list.push(slab);
  }
}

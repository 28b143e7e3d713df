import { BLOCK_ALIGN } from './format';

/** Size of the blocks that received bytes are gathered in: also the piece that is hashed at once. */
export const BLOCK_BYTES = 64 * 1024;

/** So many blocks are cut out of one piece of memory. */
const SLAB_BLOCKS = 12;

let addressOf: ((bytes: Buffer) => bigint) | null | undefined;

/** koffi's look-up of an address; null where koffi cannot be loaded. */
function loadAddressOf(): ((bytes: Buffer) => bigint) | null {
  try {
    // Loaded here, so that those who only read packs do not need it.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const koffi = require('koffi') as { address(bytes: Buffer): bigint };
    return (bytes) => koffi.address(bytes);
  } catch {
    return null;
  }
}

/** Whether it is known where blocks lie in memory: they begin at multiples of BLOCK_ALIGN then. */
export function addressesAreKnown(): boolean {
  if (addressOf === undefined) addressOf = loadAddressOf();
  return addressOf !== null;
}

/** Addresses of the memory that blocks are cut out of. It is never moved. */
const slabs = new WeakMap<ArrayBufferLike, number>();

/** Where the bytes of a block (or a part of one) lie in this process. @throws RangeError when they are in no block */
export function addressIn(block: Buffer): number {
  const slab = slabs.get(block.buffer);
  if (slab === undefined) throw new RangeError('the bytes are in no block');
  return slab + block.byteOffset;
}

/** Memory that begins at a multiple of BLOCK_ALIGN (where that can be known). */
function allocate(bytes: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(bytes + BLOCK_ALIGN);
  if (!addressesAreKnown()) return memory.subarray(0, bytes);
  const address = Number(addressOf!(memory));
  slabs.set(memory.buffer, address - memory.byteOffset);
  const start = (BLOCK_ALIGN - (address % BLOCK_ALIGN)) % BLOCK_ALIGN;
  return memory.subarray(start, start + bytes);
}

/**
 * Keeps blocks for the next objects, so that the garbage collector does not see every image: by default 75 MiB, somewhat more
 * than an edge holds of what it has just fetched.
 */
export class BlockPool {
  private readonly free: Buffer[] = [];

  constructor(private readonly keep = 1200) {}

  take(): Buffer {
    return this.free.pop() ?? this.more();
  }

  give(block: Buffer): void {
    if (this.free.length < this.keep) this.free.push(block);
  }

  private more(): Buffer {
    const slab = allocate(SLAB_BLOCKS * BLOCK_BYTES);
    for (let at = BLOCK_BYTES; at < slab.length; at += BLOCK_BYTES) {
      this.free.push(slab.subarray(at, at + BLOCK_BYTES));
    }
    return slab.subarray(0, BLOCK_BYTES);
  }
}

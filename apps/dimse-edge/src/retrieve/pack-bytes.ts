import { open } from 'node:fs/promises';
import type { CopyV1 } from '@archipelago/contracts';
import type { ObjectStore } from '@archipelago/platform-storage';

/** Where a copy's bytes can be read: [start, end) counted from the pack's first byte. */
export interface ByteSource {
  where: 'segment' | 'store';
  /** All of the range or an error, never less. */
  read(start: number, end: number): Promise<Buffer>;
  stream(start: number, end: number): AsyncIterable<Buffer>;
}

const PIECE = 256 * 1024;

/** The segment on this edge's own disk first, then the object store. */
export class PackBytes {
  constructor(
    private readonly locate: (packId: string) => string | undefined,
    private readonly stores: ReadonlyMap<string, ObjectStore>,
  ) {}

  sources(copy: Pick<CopyV1, 'packId' | 'store' | 'key' | 'missing'>): ByteSource[] {
    const found: ByteSource[] = [];
    const path = this.locate(copy.packId);
    if (path !== undefined) found.push(fileSource(path));
    const store = this.stores.get(copy.store);
    if (store && copy.missing !== true) found.push(storeSource(store, copy.key));
    return found;
  }
}

function fileSource(path: string): ByteSource {
  const read = async (start: number, end: number): Promise<Buffer> => {
    const file = await open(path, 'r');
    try {
      const bytes = Buffer.allocUnsafe(end - start);
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, start + filled);
        if (bytesRead === 0) throw new Error('the segment is shorter than the catalog says');
        filled += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  };
  async function* stream(start: number, end: number): AsyncGenerator<Buffer> {
    const file = await open(path, 'r');
    try {
      for (let at = start; at < end;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(PIECE, end - at)), 0, undefined, at);
        if (bytesRead === 0) throw new Error('the segment is shorter than the catalog says');
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }
  return { where: 'segment', read, stream };
}

function storeSource(store: ObjectStore, key: string): ByteSource {
  const read = async (start: number, end: number): Promise<Buffer> => {
    const bytes = await store.readRange(key, start, end);
    if (bytes.length !== end - start) throw new Error('the stored pack is shorter than the catalog says');
    return bytes;
  };
  async function* stream(start: number, end: number): AsyncGenerator<Buffer> {
    let left = end - start;
    for await (const chunk of await store.read(key, { start, end })) {
      const bytes = chunk as Buffer;
      left -= bytes.length;
      if (left < 0) throw new Error('the store sent more than was asked for');
      yield bytes;
    }
    if (left > 0) throw new Error('the stored pack is shorter than the catalog says');
  }
  return { where: 'store', read, stream };
}

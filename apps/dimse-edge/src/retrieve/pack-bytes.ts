import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { ObjectStore } from '@archipelago/platform-storage';
import { remoteSource } from './remote-source';
import type { LocatedCopy } from './study-fetch';

/** Where a copy's bytes can be read: [start, end) counted from the pack's first byte. */
export interface ByteSource {
  where: 'segment' | 'store' | 'edge';
  /** All of the range or an error, never less. Into the first bytes of `into` where it can do that, else anew. */
  read(start: number, end: number, into?: Buffer): Promise<Buffer>;
  stream(start: number, end: number): AsyncIterable<Buffer>;
}

const PIECE = 256 * 1024;
const OPEN_AGAIN = 20;
const OPEN_AGAIN_MS = 5;

/** The segment on this edge's own disk first, then the object store. */
export class PackBytes {
  constructor(
    private readonly locate: (packId: string) => string | undefined,
    private readonly stores: ReadonlyMap<string, ObjectStore>,
    /** Settles when all of the segment that anybody was told of is in the file. */
    private readonly written: (packId: string) => Promise<unknown> | undefined = () => undefined,
  ) {}

  sources(copy: Pick<LocatedCopy, 'packId' | 'store' | 'key' | 'missing' | 'remote'>): ByteSource[] {
    const found: ByteSource[] = [];
    const path = this.locate(copy.packId);
    // sealing and confirming rename it: its path is asked for again when it is opened
    if (path !== undefined) {
      const { packId } = copy;
      const source = fileSource(
        () => this.locate(packId) ?? path,
        () => this.written(packId),
      );
      found.push(source);
    }
    if (path === undefined && copy.remote) found.push(remoteSource(copy.packId, copy.remote));
    const store = this.stores.get(copy.store);
    if (store && copy.missing !== true) found.push(storeSource(store, copy.key));
    return found;
  }
}

function fileSource(pathNow: () => string, written: () => Promise<unknown> | undefined): ByteSource {
  const read = async (start: number, end: number, into?: Buffer): Promise<Buffer> => {
    await written();
    const file = await openNow(pathNow);
    try {
      const bytes = into?.subarray(0, end - start) ?? Buffer.allocUnsafe(end - start);
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
    await written();
    const file = await openNow(pathNow);
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

/** A rename is known here a moment after it was done: an open in between is tried again, for a tenth of a second at most. */
async function openNow(pathNow: () => string): Promise<FileHandle> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await open(pathNow(), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === OPEN_AGAIN) throw error;
      await setTimeout(OPEN_AGAIN_MS);
    }
  }
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

import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { Spool } from '@archipelago/pack';

const PIECE = 256 * 1024;

/** A pack on this disk, or the segment that it is still being written to: sealing and confirming rename it. */
export async function openPackFile(spool: Pick<Spool, 'locate' | 'locateOpen'>, packId: string): Promise<FileHandle> {
  for (let attempt = 0; ; attempt++) {
    const path = spool.locate(packId) ?? spool.locateOpen(packId);
    if (path === null) throw new Error('the pack is not on this disk');
    try {
      return await open(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt >= 20) throw error;
      // the rename is known here a moment after it was done
      await setTimeout(5);
    }
  }
}

/** Bytes [start, end), all of them or an error. */
export async function* readPack(
  spool: Pick<Spool, 'locate' | 'locateOpen'>,
  packId: string,
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  const file = await openPackFile(spool, packId);
  try {
    for (let at = start; at < end;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(PIECE, end - at)), 0, undefined, at);
      if (bytesRead === 0) throw new Error('the pack is shorter than was said');
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

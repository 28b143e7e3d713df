import { constants } from 'node:fs';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { BlockPool, addressesAreKnown } from './block-pool';
import { BLOCK_ALIGN } from './format';

/**
 * Whether files of this directory can be written past the page cache (O_DIRECT, open(2)), found by trying. Network file
 * systems, those in memory and disks with larger sectors may refuse; then everything goes through the page cache.
 */
export async function takesDirectWrites(dir: string): Promise<boolean> {
  if (constants.O_DIRECT === undefined || !addressesAreKnown()) return false;
  const path = join(dir, `${randomUUID()}.probe`);
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | constants.O_DIRECT, 0o640);
    const block = new BlockPool().take().subarray(0, BLOCK_ALIGN).fill(0);
    return (await handle.write(block, 0, BLOCK_ALIGN, 0)).bytesWritten === BLOCK_ALIGN;
  } catch {
    // a disk that is full or broken says so again when it matters
    return false;
  } finally {
    await handle?.close();
    await unlink(path).catch(() => undefined);
  }
}

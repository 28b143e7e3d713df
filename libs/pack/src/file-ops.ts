/** The file calls of the spool on plain descriptors: cheaper per call than FileHandle, and all in one place. */
import * as fs from 'node:fs';

export interface FileOps {
  open(path: string, flags: string | number, mode?: number): Promise<number>;
  close(fd: number): Promise<void>;
  /** Writes all of the buffers at the position; short writes are continued. */
  writeAll(fd: number, buffers: Buffer[], position: number): Promise<void>;
  truncate(fd: number, length: number): Promise<void>;
  /**
   * Writes all of the buffers at the position and syncs the file (fdatasync) in one go. Without it that is a writeAll and
   * a sync of the group. @throws SyncFailedError when the sync failed
   */
  writeAndSync?(fd: number, buffers: Buffer[], position: number): Promise<void>;
}

/** @returns what is left to write after `written` bytes of the buffers went out */
function remaining(buffers: Buffer[], written: number): Buffer[] {
  let skip = written;
  const rest: Buffer[] = [];
  for (const buffer of buffers) {
    if (skip >= buffer.length) {
      skip -= buffer.length;
      continue;
    }
    rest.push(skip === 0 ? buffer : buffer.subarray(skip));
    skip = 0;
  }
  return rest;
}

export const systemFileOps: FileOps = {
  open: (path, flags, mode) =>
    new Promise((resolve, reject) =>
      fs.open(path, flags, mode ?? 0o640, (error, fd) => (error ? reject(error) : resolve(fd))),
    ),
  close: (fd) => new Promise((resolve, reject) => fs.close(fd, (error) => (error ? reject(error) : resolve()))),
  truncate: (fd, length) =>
    new Promise((resolve, reject) => fs.ftruncate(fd, length, (error) => (error ? reject(error) : resolve()))),
  writeAll: (fd, buffers, position) =>
    new Promise((resolve, reject) => {
      const total = buffers.reduce((sum, b) => sum + b.length, 0);
      const step = (rest: Buffer[], done: number): void => {
        fs.writev(fd, rest, position + done, (error, written) => {
          if (error) return reject(error);
          if (done + written >= total) return resolve();
          if (written === 0) return reject(new Error('nothing could be written'));
          return step(remaining(rest, written), done + written);
        });
      };
      if (total === 0) resolve();
      else step(buffers, 0);
    }),
};

/** Syncs a directory, so that names created, renamed or removed in it survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await fs.promises.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function isNoSpace(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
}

import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Seconds to append the bytes of these files to one file of this folder, with one fdatasync for each: what the disk
 * asks for, whoever writes. The bytes are in memory before.
 */
export function diskFloor(folder: string, files: readonly string[]): number {
  const contents = files.map((file) => readFileSync(file));
  const path = join(folder, 'floor');
  const fd = openSync(path, 'w');
  try {
    const started = performance.now();
    for (const content of contents) {
      writeSync(fd, content);
      fdatasyncSync(fd);
    }
    return (performance.now() - started) / 1000;
  } finally {
    closeSync(fd);
    rmSync(path);
  }
}

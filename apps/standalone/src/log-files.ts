import { copyFileSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Keeps each `*.log` of the folder below a bound: a longer one is copied to `<name>.1` and emptied in place (its
 * writer appends, so it goes on at the beginning). Lines written between the two steps are lost.
 */
export function boundLogFiles(folder: string, maxBytes = MAX_BYTES): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (!name.endsWith('.log') || statSync(file).size <= maxBytes) continue;
    copyFileSync(file, `${file}.1`);
    truncateSync(file, 0);
  }
}

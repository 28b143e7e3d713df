import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Environment variables that name the servers of a running standalone: addresses and credentials. */
export type ServicesEnvironment = Record<string, string>;

const path = (home: string): string => join(home, 'run', 'services.json');

/**
 * Notes where the servers of this standalone are, so that commands on this machine find them. Readable by its owner
 * only: it holds passwords.
 */
export function writeServicesFile(home: string, environment: ServicesEnvironment): void {
  const file = path(home);
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify({ pid: process.pid, environment })}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}

export function removeServicesFile(home: string): void {
  rmSync(path(home), { force: true });
}

/** undefined: no standalone runs on this folder, or the file belongs to another user. */
export function readServicesFile(home: string): ServicesEnvironment | undefined {
  try {
    const { pid, environment } = JSON.parse(readFileSync(path(home), 'utf8')) as {
      pid: number;
      environment: ServicesEnvironment;
    };
    return isAlive(pid) ? environment : undefined;
  } catch {
    return undefined;
  }
}

/** A supervisor that was killed leaves its file behind. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

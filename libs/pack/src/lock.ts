import { closeSync, openSync } from 'node:fs';
import { C_LIBRARIES, cFunction } from './c-library';
import { SpoolLockedError } from './errors';

/** From <sys/file.h>; the same on Linux, macOS and the BSDs. */
const LOCK_EX = 2;
const LOCK_NB = 4;
type Flock = (fd: number, operation: number) => number;
let cached: Flock | undefined;

/** Node has no file locks of its own: flock(2) of the C library, called through koffi. */
function flock(): Flock {
  if (cached) return cached;
  let failure: unknown;
  for (const name of C_LIBRARIES[process.platform] ?? []) {
    try {
      cached = cFunction(name, 'int flock(int fd, int operation)') as Flock;
      return cached;
    } catch (error) {
      failure = error;
    }
  }
  throw new SpoolLockedError('this system offers no flock(2): the spool cannot be locked', { cause: failure });
}

/**
 * Exclusive lock on a file for the life of this process. The kernel drops it when the process ends, however it ends, so a
 * kill -9 leaves no stale lock; it holds across containers that share the volume, which a lock file's process id or an
 * abstract socket (one per network namespace) would not. The descriptor is close-on-exec: children do not inherit it.
 */
export class FileLock {
  private constructor(private fd: number) {}

  /** @throws SpoolLockedError when another process (or another Spool of this one) holds it */
  static acquire(path: string): FileLock {
    const lock = flock();
    const fd = openSync(path, 'a', 0o640);
    if (lock(fd, LOCK_EX | LOCK_NB) !== 0) {
      closeSync(fd);
      throw new SpoolLockedError('another process uses this spool');
    }
    return new FileLock(fd);
  }

  release(): void {
    if (this.fd >= 0) closeSync(this.fd);
    this.fd = -1;
  }
}

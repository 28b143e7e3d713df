import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, type Dirent, type Stats } from 'node:fs';
import { access, constants, copyFile, link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Readable, addAbortSignal } from 'node:stream';
import type { ExpectedObject, ObjectInfo, ObjectStore } from '../object-store';
import { assertExpected, isExpected } from './digest';
import {
  ObjectConflictError,
  ObjectDamagedError,
  ObjectNotFoundError,
  ObjectRangeError,
  StoreFullError,
  StoreUnavailableError,
} from './errors';
import { assertKey, assertPrefix } from './key';

/** Where files are made before they get their key; the tilde is in no key. */
const STAGING = '~staging';

/**
 * Objects as files below one directory. On the disk that the spool is on, a pack is adopted by hard link: no byte is
 * written twice, and eviction of the spool's name leaves the object.
 */
export class FsObjectStore implements ObjectStore {
  private readonly root: string;
  private readonly syncedDirs = new Set<string>();

  constructor(
    dir: string,
    readonly name = 'fs',
  ) {
    this.root = resolve(dir);
  }

  async putFile(key: string, path: string, expect: ExpectedObject): Promise<void> {
    const target = this.path(key);
    const source = await stat(path);
    await this.guard(key, async () => {
      if (source.size !== expect.bytes) throw new ObjectDamagedError(key, 'the file to be stored has another size');
      await this.settle(key, target, source, expect, async () => {
        if (!(await this.adopt(path, target, source))) await this.copy(path, target, key, expect);
        else if (expect.repair) await this.assertAdopted(key, target, expect);
      });
    });
  }

  async putBuffer(key: string, body: Buffer): Promise<void> {
    const target = this.path(key);
    const expect = { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') };
    await this.guard(key, async () => {
      await this.settle(key, target, null, expect, async () => {
        const staged = this.staged();
        try {
          await writeDurably(staged, body);
          await this.publish(key, staged, target, expect);
        } finally {
          await unlink(staged).catch(() => undefined);
        }
      });
    });
  }

  /** Unless the bytes are there already: `make` puts them there. Someone may do the same at the same time. */
  private async settle(
    key: string,
    target: string,
    source: Stats | null,
    expect: ExpectedObject,
    make: () => Promise<void>,
  ): Promise<void> {
    await this.prepare(target);
    if (!(await this.alreadyThere(key, target, source, expect))) {
      expect.signal?.throwIfAborted();
      try {
        await make();
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
        const kept = { ...expect, repair: false };
        if (!(await this.alreadyThere(key, target, source, kept))) throw new ObjectConflictError(key, { cause: error });
      }
    }
    await this.syncDir(dirname(target));
  }

  /** @returns true when the expected bytes are under the key. Different ones are an error, or removed for repair. */
  private async alreadyThere(
    key: string,
    target: string,
    source: Stats | null,
    expect: ExpectedObject,
  ): Promise<boolean> {
    const present = await stat(target).catch(ignoreMissing);
    if (!present) return false;
    // The same inode is the same bytes by definition; but when damage was reported, those bytes are to be read.
    if (source && sameFile(present, source) && !expect.repair) return true;
    if (present.size === expect.bytes && (await isExpected(createReadStream(target), expect))) return true;
    if (!expect.repair) throw new ObjectConflictError(key);
    await unlink(target);
    return false;
  }

  /** The file that was to repair the object may be the damaged one itself, under its other name. */
  private async assertAdopted(key: string, target: string, expect: ExpectedObject): Promise<void> {
    if (await isExpected(createReadStream(target), expect)) return;
    await unlink(target);
    throw new ObjectDamagedError(key, 'the file to be stored is damaged itself');
  }

  /** @returns false when the file system cannot link these two places */
  private async adopt(path: string, target: string, source: Stats): Promise<boolean> {
    try {
      await link(path, target);
    } catch (error) {
      if (['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EACCES'].includes(codeOf(error)))
        return false;
      throw error;
    }
    const adopted = await stat(target);
    if (sameFile(adopted, source) && adopted.size === source.size) return true;
    await unlink(target);
    return false;
  }

  private async copy(path: string, target: string, key: string, expect: ExpectedObject): Promise<void> {
    const staged = this.staged();
    try {
      await copyFile(path, staged, constants.COPYFILE_FICLONE);
      const handle = await open(staged, 'r+');
      await handle.sync().finally(() => handle.close());
      await this.publish(key, staged, target, expect);
    } finally {
      await unlink(staged).catch(() => undefined);
    }
  }

  /** Under its key only once it is whole, on disk, and read back; link() refuses to replace, where rename() would not. */
  private async publish(key: string, staged: string, target: string, expect: ExpectedObject): Promise<void> {
    await assertExpected(key, createReadStream(staged), expect);
    try {
      await link(staged, target);
    } catch (error) {
      if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(codeOf(error))) throw error;
      await rename(staged, target);
    }
  }

  async read(key: string, range?: { start: number; end: number }, signal?: AbortSignal): Promise<Readable> {
    const path = this.path(key);
    return this.guard(key, async () => {
      signal?.throwIfAborted();
      const handle = await open(path, 'r');
      try {
        const info = await handle.stat();
        if (!info.isFile()) throw new ObjectNotFoundError(key);
        const { start, end } = range ?? { start: 0, end: info.size };
        assertRange(key, start, end, info.size);
        if (start === end) {
          await handle.close();
          return Readable.from([]);
        }
        const stream = handle.createReadStream({ start, end: end - 1, highWaterMark: 256 * 1024 });
        return signal ? addAbortSignal(signal, stream) : stream;
      } catch (error) {
        await handle.close().catch(() => undefined);
        throw error;
      }
    });
  }

  async readRange(key: string, start: number, end: number): Promise<Buffer> {
    const path = this.path(key);
    return this.guard(key, async () => {
      const handle = await open(path, 'r');
      try {
        const info = await handle.stat();
        if (!info.isFile()) throw new ObjectNotFoundError(key);
        assertRange(key, start, end, info.size);
        const bytes = Buffer.allocUnsafe(end - start);
        let filled = 0;
        while (filled < bytes.length) {
          const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled);
          if (bytesRead === 0) throw new ObjectRangeError(key);
          filled += bytesRead;
        }
        return bytes;
      } finally {
        await handle.close();
      }
    });
  }

  async stat(key: string): Promise<ObjectInfo | null> {
    const path = this.path(key);
    return this.guard(key, async () => {
      const info = await stat(path).catch(ignoreMissing);
      return info?.isFile() ? { key, bytes: info.size, modifiedAt: info.mtime } : null;
    });
  }

  async *list(prefix: string, after = ''): AsyncGenerator<ObjectInfo> {
    assertPrefix(prefix);
    const slash = prefix.lastIndexOf('/') + 1;
    yield* this.walk(prefix.slice(0, slash), prefix, after);
  }

  /** @param folder key of a folder, with its slash; empty for the root */
  private async *walk(folder: string, prefix: string, after: string): AsyncGenerator<ObjectInfo> {
    const entries = await this.guard(folder, () =>
      readdir(join(this.root, folder), { withFileTypes: true }).catch(ignoreMissing),
    );
    const names = (entries ?? [])
      .filter((e) => (e.isDirectory() || e.isFile()) && e.name !== STAGING)
      .map(sortKey)
      .sort();
    for (const sorted of names) {
      const key = folder + sorted;
      if (sorted.endsWith('/')) {
        const maybe = key.startsWith(prefix) || prefix.startsWith(key);
        if (maybe && (key > after || after.startsWith(key))) yield* this.walk(key, prefix, after);
      } else if (key.startsWith(prefix) && key > after) {
        const info = await this.stat(key);
        if (info) yield info;
      }
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.path(key);
    await this.guard(key, async () => {
      const gone = await unlink(path).then(() => true, ignoreMissing);
      if (gone) await this.syncDir(dirname(path));
    });
  }

  async ping(): Promise<void> {
    await this.guard('', async () => {
      await mkdir(this.root, { recursive: true });
      await access(this.root, constants.R_OK | constants.W_OK | constants.X_OK);
    });
  }

  private path(key: string): string {
    assertKey(key);
    return join(this.root, key);
  }

  private staged(): string {
    return join(this.root, STAGING, randomUUID());
  }

  /** Makes the folders of a key; those that are new are synced into their parents. */
  private async prepare(target: string): Promise<void> {
    await mkdir(join(this.root, STAGING), { recursive: true });
    const folder = dirname(target);
    if (this.syncedDirs.has(folder)) {
      // Someone may have removed it meanwhile.
      if (await stat(folder).catch(ignoreMissing)) return;
    }
    await mkdir(folder, { recursive: true });
    for (let dir = folder; dir.length >= this.root.length; dir = dirname(dir)) {
      await this.syncDir(dir);
      this.syncedDirs.add(dir);
    }
    await this.syncDir(dirname(this.root));
  }

  private async syncDir(path: string): Promise<void> {
    const handle = await open(path, 'r');
    await handle.sync().finally(() => handle.close());
  }

  private async guard<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw translate(key, error);
    }
  }
}

function sameFile(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

function sortKey(entry: Dirent): string {
  return entry.isDirectory() ? `${entry.name}/` : entry.name;
}

async function writeDurably(path: string, body: Buffer): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    await handle.writeFile(body);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function assertRange(key: string, start: number, end: number, size: number): void {
  if (!Number.isSafeInteger(start) || start < 0 || end < start || end > size) throw new ObjectRangeError(key);
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
  throw error;
}

function translate(key: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return new ObjectNotFoundError(key, { cause: error });
  if (code === 'EISDIR' || code === 'EEXIST') return new ObjectConflictError(key, { cause: error });
  if (code === 'ENOSPC' || code === 'EDQUOT') return new StoreFullError({ cause: error });
  if (/^E[A-Z]+$/.test(code))
    return new StoreUnavailableError(`the object store's disk failed (${code})`, { cause: error });
  return error;
}

/** The packs on the spool, sealed and confirmed: kept in memory, rebuilt from the directories at start. */
import { readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { SealedPack } from './api';
import { PackFormatError } from './errors';
import { syncDirectory } from './file-ops';
import { FOOTER_BYTES, decodeFooter, isPackId } from './format';
import { FileSource } from './source';

/** `sealed`: not yet confirmed by the catalog, must be kept. `confirmed`: cache, may be evicted. */
export type ShelfState = 'sealed' | 'confirmed';

export interface ShelvedPack extends SealedPack {
  state: ShelfState;
  /** Milliseconds since the epoch; confirmed packs only. */
  confirmedAt?: number;
}

export interface EvictOptions {
  /** Evict what was confirmed longer ago than this. */
  olderThanMs?: number;
  /** Evict, oldest first, until so many bytes have become free, whatever the age. */
  needBytes?: number;
}

export interface Evicted {
  packIds: string[];
  /** Bytes that became free: a file that an object store has adopted by hard link frees none. */
  bytes: number;
}

export interface ShelfStats {
  packs: number;
  bytes: number;
  /** Age of the oldest in milliseconds: since sealing, or since confirmation. 0 when there is none. */
  oldestAgeMs: number;
}

export interface ShelfDirs {
  readonly openDir: string;
  readonly sealedDir: string;
  readonly confirmedDir: string;
  readonly quarantineDir: string;
}

export class Shelf {
  private readonly packs = new Map<string, ShelvedPack>();

  constructor(private readonly dirs: ShelfDirs) {}

  /** Reads both directories. A sealed file without a right footer goes back to the open ones, to be recovered as a segment. */
  async load(): Promise<void> {
    for (const name of await readdir(this.dirs.sealedDir)) {
      const packId = name.endsWith('.pack') ? name.slice(0, -5) : '';
      if (isPackId(packId)) await this.loadFile(packId, join(this.dirs.sealedDir, name), undefined);
    }
    for (const name of await readdir(this.dirs.confirmedDir)) {
      const [packId, time, suffix] = name.split('.');
      if (suffix !== 'pack' || !isPackId(packId) || !/^\d{1,15}$/.test(time ?? '')) continue;
      await this.loadFile(packId, join(this.dirs.confirmedDir, name), Number(time));
    }
  }

  private async loadFile(packId: string, path: string, confirmedAt: number | undefined): Promise<void> {
    try {
      const pack = await readSealed(packId, path);
      this.packs.set(packId, { ...pack, state: confirmedAt === undefined ? 'sealed' : 'confirmed', confirmedAt });
    } catch (error) {
      if (!(error instanceof PackFormatError)) throw error;
      await rename(path, join(this.dirs.openDir, `${packId}.seg`));
      await syncDirectory(this.dirs.openDir);
    }
  }

  add(pack: SealedPack): void {
    this.packs.set(pack.packId, { ...pack, state: 'sealed' });
  }

  get(packId: string): ShelvedPack | undefined {
    return this.packs.get(packId);
  }

  /** Oldest first. */
  list(state: ShelfState): ShelvedPack[] {
    const packs = [...this.packs.values()].filter((p) => p.state === state);
    return packs.sort((a, b) => age(a) - age(b) || (a.packId < b.packId ? -1 : 1));
  }

  /** The catalog knows it now: from here on it is cache. Again is no error. @returns false when there is no such pack */
  async confirm(packId: string, at = Date.now()): Promise<boolean> {
    const pack = this.packs.get(packId);
    if (!pack) return false;
    if (pack.state === 'confirmed') return true;
    await this.move(
      pack,
      join(this.dirs.confirmedDir, `${packId}.${at}.pack`),
      this.dirs.sealedDir,
      this.dirs.confirmedDir,
    );
    pack.state = 'confirmed';
    pack.confirmedAt = at;
    return true;
  }

  /**
   * Back among those that must be kept and announced: the stored copy was missing or damaged.
   * @returns false when there is no such pack, or its file has been removed from the disk: it is forgotten then
   */
  async unconfirm(packId: string): Promise<boolean> {
    const pack = this.packs.get(packId);
    if (!pack) return false;
    if (pack.state === 'sealed') return true;
    try {
      await rename(pack.path, join(this.dirs.sealedDir, `${packId}.pack`));
    } catch (error) {
      ignoreMissing(error as NodeJS.ErrnoException);
      // a missing target directory answers the same: only a pack that is really gone is forgotten
      const here = await stat(pack.path).then(
        () => true,
        (e: NodeJS.ErrnoException) => (ignoreMissing(e), false),
      );
      if (here) throw error;
      this.packs.delete(packId);
      return false;
    }
    pack.path = join(this.dirs.sealedDir, `${packId}.pack`);
    await Promise.all([syncDirectory(this.dirs.sealedDir), syncDirectory(this.dirs.confirmedDir)]);
    pack.state = 'sealed';
    pack.confirmedAt = undefined;
    return true;
  }

  /** Out of the way, but kept: for what ingest rejected. @returns the file's name in the quarantine directory, or null */
  async quarantine(packId: string): Promise<string | null> {
    const pack = this.packs.get(packId);
    if (!pack) return null;
    const name = `${packId}.pack`;
    const from = pack.state === 'sealed' ? this.dirs.sealedDir : this.dirs.confirmedDir;
    await this.move(pack, join(this.dirs.quarantineDir, name), from, this.dirs.quarantineDir);
    this.packs.delete(packId);
    return name;
  }

  /**
   * Back from the quarantine among those that must be kept and announced: it is to be tried once more.
   * @returns null when it is not there, or its file is no whole pack: that stays in quarantine
   */
  async unquarantine(packId: string): Promise<SealedPack | null> {
    const path = join(this.dirs.quarantineDir, `${packId}.pack`);
    let pack: SealedPack;
    try {
      pack = await readSealed(packId, path);
    } catch (error) {
      if (error instanceof PackFormatError) return null;
      ignoreMissing(error as NodeJS.ErrnoException);
      return null;
    }
    const shelved: ShelvedPack = { ...pack, state: 'sealed', confirmedAt: undefined };
    await this.move(shelved, join(this.dirs.sealedDir, `${packId}.pack`), this.dirs.quarantineDir, this.dirs.sealedDir);
    this.packs.set(packId, shelved);
    return shelved;
  }

  private async move(pack: ShelvedPack, path: string, from: string, to: string): Promise<void> {
    await rename(pack.path, path);
    pack.path = path;
    await Promise.all([syncDirectory(to), syncDirectory(from)]);
  }

  /** Confirmed packs only. Files that are open elsewhere stay readable there until they are closed. */
  async evict(options: EvictOptions, now = Date.now()): Promise<Evicted> {
    const evicted: Evicted = { packIds: [], bytes: 0 };
    for (const pack of this.list('confirmed')) {
      const old = options.olderThanMs !== undefined && now - age(pack) > options.olderThanMs;
      const needed = options.needBytes !== undefined && evicted.bytes < options.needBytes;
      if (!old && !needed) break;
      const links = await stat(pack.path).then(
        (s) => s.nlink,
        () => 0,
      );
      if (!old && links > 1) continue;
      await unlink(pack.path).catch(ignoreMissing);
      this.packs.delete(pack.packId);
      evicted.packIds.push(pack.packId);
      if (links === 1) evicted.bytes += pack.bytes;
    }
    return evicted;
  }

  stats(state: ShelfState, now = Date.now()): ShelfStats {
    const packs = this.list(state);
    const bytes = packs.reduce((sum, p) => sum + p.bytes, 0);
    return { packs: packs.length, bytes, oldestAgeMs: packs.length > 0 ? Math.max(0, now - age(packs[0]!)) : 0 };
  }
}

function age(pack: ShelvedPack): number {
  return pack.confirmedAt ?? Date.parse(pack.sealedAt);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** What the footer of a sealed file says. @throws PackFormatError */
export async function readSealed(packId: string, path: string): Promise<SealedPack> {
  const source = await FileSource.open(path);
  try {
    if (source.size < FOOTER_BYTES) throw new PackFormatError('too short for a pack');
    const f = decodeFooter(await source.read(source.size - FOOTER_BYTES, source.size), source.size);
    return {
      packId,
      path,
      bytes: f.packSize,
      tailOffset: f.tailOffset,
      entries: f.entries,
      sha256: f.packDigest.toString('hex'),
      sealedAt: new Date(f.sealedAt).toISOString(),
    };
  } finally {
    await source.close();
  }
}

import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, open, readFile, readdir, rename } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { SealedPack } from './api';
import { BlockPool } from './block-pool';
import { takesDirectWrites } from './direct-writes';
import { DiskThreads } from './disk-threads';
import { SpoolFullError, SpoolUsageError } from './errors';
import { syncDirectory, systemFileOps, type FileOps } from './file-ops';
import { isPackId } from './format';
import { FileLock } from './lock';
import { recoverSegment, type SegmentRecovery } from './recover';
import { Segment, type SegmentHome } from './segment';
import { Shelf, type Evicted, type EvictOptions, type ShelfState, type ShelfStats, type ShelvedPack } from './shelf';
import { FileSource } from './source';
import { SpaceGuard, type SpaceOptions } from './space';
import { SyncGroup, type SyncTarget } from './sync-group';

export interface SpoolOptions extends SpaceOptions {
  dir: string;
  /** Written into every segment. */
  site: string;
  /** Write objects past the page cache (O_DIRECT); default: where the file system takes it. */
  direct?: boolean;
  /** For tests that make the disk fail. */
  ops?: FileOps;
  group?: SyncGroup;
}

export interface RecoveryReport {
  /** One for each unsealed segment that was found. */
  segments: SegmentRecovery[];
  /** Every pack that is not confirmed, oldest first: upload and announce them. */
  toAnnounce: SealedPack[];
  /** Entries that may have been acknowledged and are not whole: alarm when not 0. */
  brokenEntries: number;
}

export interface SpoolStats {
  open: { segments: number; bytes: number };
  sealed: ShelfStats;
  confirmed: ShelfStats;
  /** Files in the quarantine directory. */
  quarantined: number;
  freeBytes: number;
  full: boolean;
  syncCalls: number;
  syncRequests: number;
}

/**
 * The edge's local disk area: `open/` segments being written, `sealed/` packs that the catalog has not confirmed,
 * `confirmed/` packs kept as cache, `quarantine/` what must be looked at. One process at a time.
 */
export class Spool {
  readonly openDir: string;
  readonly sealedDir: string;
  readonly confirmedDir: string;
  readonly quarantineDir: string;
  private readonly live = new Set<Segment>();
  private readonly shelf: Shelf;
  private readonly home: SegmentHome;
  private readonly targets: SyncTarget[];
  private quarantined = 0;
  private makingRoom: Promise<unknown> | null = null;
  private closed = false;

  private constructor(
    private readonly options: SpoolOptions,
    private readonly lock: FileLock,
    /** UUID of this volume: commands name it. */
    readonly edgeId: string,
    private readonly space: SpaceGuard,
    private readonly group: SyncGroup,
    /** Objects are written past the page cache. */
    readonly direct: boolean,
    private readonly threads: DiskThreads | null,
  ) {
    const dir = resolve(options.dir);
    this.openDir = join(dir, 'open');
    this.sealedDir = join(dir, 'sealed');
    this.confirmedDir = join(dir, 'confirmed');
    this.quarantineDir = join(dir, 'quarantine');
    this.shelf = new Shelf(this);
    this.targets = [this.openDir, this.sealedDir].map((path) => ({ fd: openSync(path, 'r'), directory: true }));
    this.home = this.makeHome();
  }

  /** Makes the directories where they are missing, takes the lock, reads what is there. @throws SpoolLockedError */
  static async open(options: SpoolOptions): Promise<Spool> {
    const dir = resolve(options.dir);
    for (const name of ['open', 'sealed', 'confirmed', 'quarantine']) {
      await mkdir(join(dir, name), { recursive: true, mode: 0o750 });
    }
    const lock = FileLock.acquire(join(dir, 'lock'));
    let threads: DiskThreads | null = null;
    try {
      const edgeId = await readIdentity(dir);
      const space = new SpaceGuard(dir, options);
      const direct = options.direct ?? (await takesDirectWrites(join(dir, 'open')));
      // Tests that make calls fail want to see each of them.
      if (!options.ops && !options.group) threads = DiskThreads.open();
      const spool = new Spool(options, lock, edgeId, space, options.group ?? new SyncGroup(), direct, threads);
      await spool.shelf.load();
      spool.quarantined = (await readdir(spool.quarantineDir)).length;
      return spool;
    } catch (error) {
      await threads?.close();
      lock.release();
      throw error;
    }
  }

  private makeHome(): SegmentHome {
    const [openDirTarget, sealedDirTarget] = this.targets as [SyncTarget, SyncTarget];
    const { threads } = this;
    const writeAndSync: FileOps['writeAndSync'] = (...write) => threads!.writeAndSync(...write);
    return {
      edgeId: this.edgeId,
      ops: this.options.ops ?? (threads ? { ...systemFileOps, writeAndSync } : systemFileOps),
      pool: new BlockPool(),
      space: this.space,
      group: this.group,
      direct: this.direct,
      openDir: this.openDir,
      sealedDir: this.sealedDir,
      openDirTarget,
      sealedDirTarget,
      reserve: () => this.reserve(),
      rescue: (packId, _path, end) => this.rescue(packId, end),
      sealed: (pack) => this.shelf.add(pack),
      closed: (segment) => this.live.delete(segment),
    };
  }

  /** A segment for one association. No file is made before the first object begins. */
  openSegment(site = this.options.site, durable = true): Segment {
    if (this.closed) throw new SpoolUsageError('the spool is closed');
    const segment = new Segment(this.home, site, durable);
    this.live.add(segment);
    return segment;
  }

  /** At start, and whenever a segment could not be sealed: seals what nobody writes to any more. */
  async recover(): Promise<RecoveryReport> {
    const busy = new Set([...this.live].map((segment) => segment.packId));
    const segments: SegmentRecovery[] = [];
    for (const name of (await readdir(this.openDir)).sort()) {
      const packId = name.endsWith('.seg') ? name.slice(0, -4) : '';
      if (isPackId(packId) && !busy.has(packId)) segments.push(await this.recoverOne(packId));
    }
    const brokenEntries = segments.reduce((sum, s) => sum + s.brokenEntries, 0);
    return { segments, toAnnounce: this.shelf.list('sealed'), brokenEntries };
  }

  private async recoverOne(packId: string, limit?: number): Promise<SegmentRecovery> {
    const home = {
      openDir: this.openDir,
      sealedDir: this.sealedDir,
      quarantineDir: this.quarantineDir,
      newSegment: (site: string) => this.openSegment(site),
    };
    const done = await recoverSegment(home, packId, limit);
    if (done.pack) this.shelf.add(done.pack);
    if (done.quarantined) this.quarantined += 1;
    return done;
  }

  private async rescue(packId: string, end: number): Promise<SealedPack | null> {
    return (await this.recoverOne(packId, end)).pack;
  }

  /** Refuses below the free space to keep, after cache has yielded. @throws SpoolFullError */
  private async reserve(): Promise<void> {
    if ((await this.space.missing()) === 0) return;
    this.makingRoom ??= this.makeRoom().finally(() => (this.makingRoom = null));
    await this.makingRoom;
    if (this.space.full) throw new SpoolFullError('less free space than must be kept');
  }

  private async makeRoom(): Promise<void> {
    const missing = await this.space.missing();
    if (missing > 0) await this.evict({ needBytes: missing });
    await this.space.freeBytes(true);
    await this.space.missing();
  }

  /** Whether an object could be begun now, for readiness and for refusing associations early. */
  async hasRoom(): Promise<boolean> {
    return this.reserve().then(
      () => true,
      (error: unknown) => {
        if (error instanceof SpoolFullError) return false;
        throw error;
      },
    );
  }

  /** Oldest first. */
  list(state: ShelfState): ShelvedPack[] {
    return this.shelf.list(state);
  }

  /** Path of a sealed or confirmed pack, or null. It may be evicted at any time: open it with openPack() to be safe. */
  locate(packId: string): string | null {
    return isPackId(packId) ? (this.shelf.get(packId)?.path ?? null) : null;
  }

  /** Path of the segment that is being written under this id, or null. It is renamed when it is sealed. */
  locateOpen(packId: string): string | null {
    for (const segment of this.live) if (segment.packId === packId) return segment.where;
    return null;
  }

  /** The pack's bytes; stays readable until closed, even if evicted meanwhile. Null when it is not here. */
  async openPack(packId: string): Promise<FileSource | null> {
    // Twice: confirmation may rename the file between the look-up and the open.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const path = this.locate(packId);
      if (path === null) return null;
      try {
        return await FileSource.open(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    return null;
  }

  /** The catalog has it: from now on it is cache. @returns false when it is not here */
  confirm(packId: string, at?: number): Promise<boolean> {
    return this.shelf.confirm(packId, at);
  }

  /** The stored copy is missing or damaged: it must be sent again. @returns false when it is not here any more */
  unconfirm(packId: string): Promise<boolean> {
    return this.shelf.unconfirm(packId);
  }

  /** Rejected by ingest: kept aside. @returns the name in the quarantine directory, or null */
  async quarantine(packId: string): Promise<string | null> {
    const name = await this.shelf.quarantine(packId);
    if (name) this.quarantined += 1;
    return name;
  }

  /** Out of quarantine, to be tried again. @returns null when it is not there, or is no whole pack */
  async unquarantine(packId: string): Promise<SealedPack | null> {
    const pack = await this.shelf.unquarantine(packId);
    if (pack) this.quarantined -= 1;
    return pack;
  }

  evict(options: EvictOptions): Promise<Evicted> {
    return this.shelf.evict(options);
  }

  async stats(): Promise<SpoolStats> {
    const segments = [...this.live];
    return {
      open: { segments: segments.length, bytes: segments.reduce((sum, s) => sum + s.bytes, 0) },
      sealed: this.shelf.stats('sealed'),
      confirmed: this.shelf.stats('confirmed'),
      quarantined: this.quarantined,
      freeBytes: await this.space.freeBytes(),
      full: this.space.full,
      syncCalls: this.group.calls + (this.threads?.calls ?? 0),
      syncRequests: this.group.requests + (this.threads?.calls ?? 0),
    };
  }

  /** Seals what is open and not busy, and gives the lock back. Busy segments stay for the next start to recover. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    try {
      for (const segment of [...this.live]) {
        if (!segment.busy) await segment.seal();
      }
    } finally {
      await this.threads?.close();
      for (const target of this.targets) closeSync(target.fd);
      this.lock.release();
    }
  }
}

/** The volume's UUID; made once. */
async function readIdentity(dir: string): Promise<string> {
  const path = join(dir, 'edge-id');
  try {
    const id = (await readFile(path, 'utf8')).trim();
    if (!isPackId(id)) throw new SpoolUsageError('the edge-id file of the spool does not hold a UUID');
    return id;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const id = randomUUID();
  const handle = await open(`${path}.new`, 'w', 0o640);
  try {
    await handle.writeFile(`${id}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(dir);
  return id;
}

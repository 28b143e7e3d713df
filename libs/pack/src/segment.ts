import { randomBytes, randomUUID, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { writePart10Meta } from '@archipelago/dicom-encoding';
import type { EntryContext, EntryWriter, PackEntry, SealedPack, SegmentWriter } from './api';
import type { BlockPool } from './block-pool';
import { packHash } from './digest';
import { SyncFailedError } from './disk-threads';
import { SegmentPoisonedError, SpoolFullError, SpoolUsageError } from './errors';
import { isNoSpace, type FileOps } from './file-ops';
import { LIMITS, NONCE_BYTES, aligned, encodeSegmentRecord, paddingAfter, type SegmentRecord } from './format';
import { buildTail } from './seal';
import { SegmentEntry } from './segment-entry';
import { FileSource } from './source';
import type { SpaceGuard } from './space';
import type { SyncGroup, SyncTarget } from './sync-group';

/** What a segment needs of its spool. */
export interface SegmentHome {
  readonly edgeId: string;
  readonly ops: FileOps;
  readonly pool: BlockPool;
  readonly space: SpaceGuard;
  readonly group: SyncGroup;
  /** Objects are written past the page cache (O_DIRECT). */
  readonly direct: boolean;
  readonly openDir: string;
  readonly sealedDir: string;
  /** The directories themselves, to be synced through the group. */
  readonly openDirTarget: SyncTarget;
  readonly sealedDirTarget: SyncTarget;
  /** Makes room or refuses. @throws SpoolFullError */
  reserve(): Promise<void>;
  /** Cuts a poisoned segment back to `end` and seals what was acknowledged. */
  rescue(packId: string, path: string, end: number): Promise<SealedPack | null>;
  sealed(pack: SealedPack): void;
  closed(segment: Segment): void;
}

/** Header blocks are kept in memory until the seal up to this many bytes in all; beyond it they are read from the trailers. */
const KEEP_HEADER_BYTES = 2 * 1024 * 1024;

const NEW_FILE = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;

/** An append-only file that one association writes its objects to. The file is made when the first object begins. */
export class Segment implements SegmentWriter, SyncTarget {
  readonly packId: string = randomUUID();
  readonly path: string;
  /** Where its bytes can be read now: sealing renames the file some time before the pack is on the shelf. */
  where: string;
  fd = -1;
  lastActivity = Date.now();
  poisoned: Error | null = null;

  private record: SegmentRecord | null = null;
  private readonly list: PackEntry[] = [];
  private readonly headers: Buffer[] = [];
  private headerBytes = 0;
  private readonly chain: Hash = packHash();
  /** Where the block of the last trailer written ends, and of the last one known to be on disk. */
  private end = 0;
  private durableEnd = 0;
  private current: SegmentEntry | null = null;
  private beginning = false;
  private created: Promise<void> | null = null;
  private sealing: Promise<SealedPack | null> | null = null;

  constructor(
    readonly home: SegmentHome,
    private readonly site: string,
    /** False: copies of what another archive keeps. Objects are not synced one by one, only the whole at sealing. */
    readonly durable = true,
  ) {
    this.path = join(home.openDir, `${this.packId}.seg`);
    this.where = this.path;
  }

  get bytes(): number {
    return this.end + (this.current?.bytes ?? 0);
  }

  get entries(): number {
    return this.list.length;
  }

  get busy(): boolean {
    return this.beginning || this.current !== null;
  }

  /** Where the next object begins. */
  get appendAt(): number {
    return this.end;
  }

  /** Past the page cache: filling it costs more processor time than the disk takes. What is read soon is held in memory. */
  private get direct(): boolean {
    return this.home.direct;
  }

  touch(): void {
    this.lastActivity = Date.now();
  }

  async begin(context: EntryContext): Promise<EntryWriter> {
    return this.beginEntry(context);
  }

  /**
   * @param holdBytes objects up to this size can be held in memory when they are handed (default: none)
   * @throws SpoolFullError, SegmentPoisonedError; SpoolUsageError when an object is open or the segment is sealed
   */
  async beginEntry(context: EntryContext, holdBytes?: number): Promise<SegmentEntry> {
    this.assertUsable();
    if (this.busy) throw new SpoolUsageError('an object is being written to this segment already');
    if (this.list.length >= LIMITS.entries) throw new SpoolUsageError('the segment has all the entries it may have');
    this.beginning = true;
    this.touch();
    try {
      await this.home.reserve();
      await this.openFile();
      this.current = new SegmentEntry(this, context, partTenMeta(context), holdBytes);
      return this.current;
    } finally {
      this.beginning = false;
    }
  }

  /** Makes the file with its record. Its name is synced to the directory while the first object comes in. */
  async openFile(): Promise<void> {
    if (this.fd >= 0) return;
    const { home, packId, site } = this;
    const record = {
      nonce: randomBytes(NONCE_BYTES),
      packId,
      edgeId: home.edgeId,
      site,
      createdAt: new Date().toISOString(),
    };
    const bytes = encodeSegmentRecord(record);
    const end = aligned(bytes.length);
    const block = home.pool.take();
    bytes.copy(block);
    block.fill(0, bytes.length, end);
    try {
      this.fd = await home.ops.open(this.path, this.direct ? NEW_FILE | constants.O_DIRECT : NEW_FILE);
      await home.ops.writeAll(this.fd, [block.subarray(0, end)], 0);
    } catch (error) {
      this.poison(error as Error);
      throw this.translate(error as Error);
    } finally {
      home.pool.give(block);
    }
    this.record = { ...record, bytes: bytes.length };
    this.chain.update(bytes).update(paddingAfter(bytes.length));
    this.end = end;
    this.durableEnd = end;
    this.created = home.group.sync(home.openDirTarget);
    this.created.catch((error: Error) => this.poison(error));
  }

  get nonce(): Buffer {
    return this.record!.nonce;
  }

  /** The object and its trailer are in the file (not yet on disk). */
  entryWritten(entry: PackEntry, meta: Buffer, wireDigest: Buffer, trailer: Buffer, header: Buffer): void {
    this.list.push(entry);
    this.headerBytes += header.length;
    if (this.headerBytes <= KEEP_HEADER_BYTES) this.headers.push(header);
    const end = entry.offset + entry.length + trailer.length;
    this.chain.update(meta).update(wireDigest).update(trailer).update(paddingAfter(end));
    this.end = aligned(end);
    this.current = null;
    this.touch();
  }

  /**
   * Resolves when everything written so far is on disk under a name that is on disk. @throws SegmentPoisonedError
   * @param synced the bytes are on disk already
   */
  async makeDurable(synced = false): Promise<void> {
    const { end } = this;
    try {
      if (this.poisoned) throw this.poisoned;
      await Promise.all([this.created, synced ? undefined : this.home.group.sync(this)]);
    } catch (error) {
      this.poison(error as Error);
    }
    // A sync that succeeds after one that failed proves nothing.
    if (this.poisoned) throw this.translate(this.poisoned);
    this.durableEnd = Math.max(this.durableEnd, end);
  }

  syncFailed(cause: Error): void {
    this.poison(cause);
  }

  poison(cause: Error): void {
    this.poisoned ??= cause;
  }

  /** Ends the open object without a trailer: cuts its bytes off. */
  async cutEntry(entry: SegmentEntry): Promise<void> {
    if (this.current !== entry) return;
    try {
      if (!this.poisoned) await this.home.ops.truncate(this.fd, this.end);
    } catch (error) {
      this.poison(error as Error);
    } finally {
      this.current = null;
      this.touch();
    }
  }

  /** What to throw for a failed file call: full is for the sender to hear, anything else ends this segment. */
  translate(error: Error): Error {
    if (error instanceof SpoolFullError || error instanceof SpoolUsageError) return error;
    if (!(error instanceof SyncFailedError) && isNoSpace(error)) {
      this.home.space.noteFull();
      return new SpoolFullError('the disk is full', { cause: error });
    }
    return new SegmentPoisonedError('a write or sync of this segment failed', { cause: error });
  }

  /** Lets another segment take over the open object. */
  handOver(entry: SegmentEntry, to: Segment): void {
    if (this.current !== entry || to.busy || to.entries > 0) throw new SpoolUsageError('the object cannot move');
    this.current = null;
    to.current = entry;
  }

  seal(): Promise<SealedPack | null> {
    if (this.busy) return Promise.reject(new SpoolUsageError('an object is being written to this segment'));
    this.sealing ??= this.finish().finally(() => this.home.closed(this));
    return this.sealing;
  }

  private async finish(): Promise<SealedPack | null> {
    if (this.fd < 0) return null;
    if (this.list.length === 0) return this.discard();
    try {
      return await this.writeTail();
    } catch (error) {
      this.poison(error as Error);
      await this.close();
      return this.home.rescue(this.packId, this.path, this.durableEnd);
    }
  }

  private async discard(): Promise<null> {
    await this.created?.catch(() => undefined);
    await this.close();
    await unlink(this.path);
    return null;
  }

  private async writeTail(): Promise<SealedPack> {
    if (this.poisoned) throw this.poisoned;
    const { home, end, list } = this;
    const headers = this.headers.length === list.length ? this.headers : await this.readHeaders();
    const tail = await buildTail({ record: this.record!, entries: list, headers, end, chain: this.chain });
    if (this.direct) await this.reopenBuffered();
    await home.ops.writeAll(this.fd, tail.buffers, end);
    await this.makeDurable();
    await this.close();
    const path = join(home.sealedDir, `${this.packId}.pack`);
    await rename(this.path, path);
    this.where = path;
    await Promise.all([home.group.sync(home.sealedDirTarget), home.group.sync(home.openDirTarget)]);
    const { packSize: bytes, sha256, sealedAt } = tail;
    const pack: SealedPack = {
      packId: this.packId,
      path,
      bytes,
      tailOffset: end,
      entries: list.length,
      sha256,
      sealedAt,
    };
    home.sealed(pack);
    return pack;
  }

  /** For the tail, which fills no whole block; ingest reads it from the page cache next. All before it is on disk. */
  private async reopenBuffered(): Promise<void> {
    await this.home.ops.close(this.fd);
    this.fd = -1;
    this.fd = await this.home.ops.open(this.path, 'r+');
  }

  /** From the trailers, which hold the same bytes: a few short reads of what is in the page cache. */
  private async readHeaders(): Promise<Buffer[]> {
    const source = await FileSource.open(this.path);
    try {
      const headers = [...this.headers];
      for (const entry of this.list.slice(headers.length)) {
        headers.push(await source.read(entry.headerOffset, entry.headerOffset + entry.headerLength));
      }
      return headers;
    } finally {
      await source.close();
    }
  }

  private async close(): Promise<void> {
    const { fd } = this;
    this.fd = -1;
    if (fd >= 0) await this.home.ops.close(fd).catch(() => undefined);
  }

  private assertUsable(): void {
    if (this.sealing) throw new SpoolUsageError('the segment is sealed');
    if (this.poisoned) throw this.translate(this.poisoned);
  }
}

function partTenMeta(context: EntryContext): Buffer {
  const { sopClassUid, sopInstanceUid, transferSyntaxUid } = context;
  const meta = writePart10Meta({
    sopClassUid,
    sopInstanceUid,
    transferSyntaxUid,
    sourceAeTitle: context.callingAeTitle,
    receivingAeTitle: context.calledAeTitle,
  });
  if (meta.length > LIMITS.metaBytes) throw new SpoolUsageError('the file meta information is too long');
  return meta;
}

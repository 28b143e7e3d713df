import { copyFile, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { PackEntry, SealedPack } from './api';
import { decompressHeader } from '@archipelago/dicom-encoding';
import { PackFormatError } from './errors';
import { syncDirectory } from './file-ops';
import { buildTail } from './seal';
import { chainOf, hasAnyTrailer, scanSegment, type FoundEntry, type ScanResult } from './scan';
import type { Segment } from './segment';
import { FileSource, pieces } from './source';

export interface RecoverHome {
  readonly openDir: string;
  readonly sealedDir: string;
  readonly quarantineDir: string;
  newSegment(site: string): Segment;
}

/** What became of one segment that was found unsealed. */
export interface SegmentRecovery {
  packId: string;
  /**
   * `sealed`: all whole entries are in a pack. `empty`: no object was ever complete in it; removed. `salvaged`: damage
   * between whole entries, which were copied to a new pack, the file is in quarantine. `quarantined`: unreadable, kept.
   */
  outcome: 'sealed' | 'empty' | 'salvaged' | 'quarantined';
  pack: SealedPack | null;
  entries: number;
  /** Bytes after the last whole entry that were cut off. */
  cutBytes: number;
  /**
   * Trailers whose object is not whole. More than 0 means that something acknowledged may be damaged (or that a power
   * cut tore the last, unacknowledged write): alarm; the bytes are kept in the quarantine directory.
   */
  brokenEntries: number;
  /** File name in the quarantine directory, if anything went there. */
  quarantined?: string;
  reason?: string;
}

/**
 * Seals what is whole in an unsealed segment. Every dataset is hashed again: after a power cut the trailer may be on disk
 * while pages before it are not, and nothing says which of the last objects had been acknowledged.
 */
export async function recoverSegment(home: RecoverHome, packId: string, limit?: number): Promise<SegmentRecovery> {
  const path = join(home.openDir, `${packId}.seg`);
  if (limit !== undefined) await cut(path, limit);
  const source = await FileSource.open(path);
  let scan: ScanResult;
  try {
    scan = await scanSegment(source);
  } catch (error) {
    if (!(error instanceof PackFormatError)) throw error;
    // Without a readable record nothing can be trusted; without any trailer nothing was ever acknowledged.
    if (!(await hasAnyTrailer(source))) return await removeEmpty(home, packId, path);
    return await setAside(home, packId, path, 0, error.message);
  } finally {
    await source.close();
  }
  if (scan.record.packId !== packId) return setAside(home, packId, path, 0, 'the record names another pack');
  if (scan.entries.length === 0) {
    if (scan.broken.length === 0) return removeEmpty(home, packId, path);
    return setAside(home, packId, path, scan.broken.length, 'no whole entry');
  }
  return scan.contiguous ? sealInPlace(home, packId, path, scan) : salvage(home, packId, path, scan);
}

async function sealInPlace(
  home: RecoverHome,
  packId: string,
  path: string,
  scan: ScanResult,
): Promise<SegmentRecovery> {
  let quarantined: string | undefined;
  if (scan.broken.length > 0) {
    // A torn last write looks like this, and damage too: keep a copy of the bytes before cutting them off.
    quarantined = `${packId}.cut-${Date.now()}`;
    await copyFile(path, join(home.quarantineDir, quarantined));
    await syncDirectory(home.quarantineDir);
  }
  const pack = await finishPack(home, packId, path, scan);
  return {
    packId,
    outcome: 'sealed',
    pack,
    entries: scan.entries.length,
    cutBytes: Math.max(0, scan.size - scan.end),
    brokenEntries: scan.broken.length,
    quarantined,
  };
}

async function finishPack(home: RecoverHome, packId: string, path: string, scan: ScanResult): Promise<SealedPack> {
  const { record, end } = scan;
  const entries = scan.entries.map((found) => found.entry);
  const headers = scan.entries.map((found) => found.header);
  const tail = await buildTail({ record, entries, headers, end, chain: chainOf(scan) });
  const handle = await open(path, 'r+');
  try {
    await handle.truncate(end);
    let position = end;
    for (const buffer of tail.buffers) {
      await handle.write(buffer, 0, buffer.length, position);
      position += buffer.length;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  const target = join(home.sealedDir, `${packId}.pack`);
  await rename(path, target);
  await syncDirectory(home.sealedDir);
  await syncDirectory(home.openDir);
  const { packSize: bytes, sha256, sealedAt } = tail;
  return { packId, path: target, bytes, tailOffset: end, entries: entries.length, sha256, sealedAt };
}

/** Copies the whole entries to a new pack. A crash in between does it again: the same objects twice are one to ingest. */
async function salvage(home: RecoverHome, packId: string, path: string, scan: ScanResult): Promise<SegmentRecovery> {
  const segment = home.newSegment(scan.record.site);
  const source = await FileSource.open(path);
  let pack: SealedPack | null;
  try {
    for (const found of scan.entries) await copyEntry(source, found, segment);
    pack = await segment.seal();
  } finally {
    await source.close();
  }
  const aside = await setAside(home, packId, path, Math.max(1, scan.broken.length), 'damage between whole entries');
  return { ...aside, outcome: 'salvaged', pack, entries: scan.entries.length };
}

async function copyEntry(source: FileSource, found: FoundEntry, segment: Segment): Promise<PackEntry> {
  const { entry } = found;
  const writer = await segment.begin(entry);
  for await (const piece of pieces(source, entry.datasetOffset, entry.datasetOffset + entry.datasetLength)) {
    await writer.write(piece);
  }
  return writer.commit({
    header: decompressHeader(found.header, entry.headerRawLength),
    headerDigest: Buffer.from(entry.headerDigest, 'hex'),
    leftOut: entry.leftOut,
    pixel: entry.pixel,
    length: entry.datasetLength,
    sopClassUid: entry.sopClassUid,
    sopInstanceUid: entry.sopInstanceUid,
    studyInstanceUid: '',
    seriesInstanceUid: '',
    patientId: '',
    warnings: [],
  });
}

async function removeEmpty(home: RecoverHome, packId: string, path: string): Promise<SegmentRecovery> {
  await unlink(path);
  await syncDirectory(home.openDir);
  return { packId, outcome: 'empty', pack: null, entries: 0, cutBytes: 0, brokenEntries: 0 };
}

async function setAside(
  home: RecoverHome,
  packId: string,
  path: string,
  brokenEntries: number,
  reason: string,
): Promise<SegmentRecovery> {
  const quarantined = `${packId}.seg-${Date.now()}`;
  await rename(path, join(home.quarantineDir, quarantined));
  await syncDirectory(home.quarantineDir);
  await syncDirectory(home.openDir);
  return { packId, outcome: 'quarantined', pack: null, entries: 0, cutBytes: 0, brokenEntries, quarantined, reason };
}

async function cut(path: string, limit: number): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.truncate(limit);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

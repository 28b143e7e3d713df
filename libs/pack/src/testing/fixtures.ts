/** Objects for this library's own tests: bytes of any kind, for the spool does not look into datasets. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HeaderResult } from '@archipelago/dicom-encoding';
import type { EntryContext, EntryWriter, PackEntry, SegmentWriter } from '../api';
import { systemFileOps, type FileOps } from '../file-ops';
import { Spool, type SpoolOptions } from '../spool';

export function context(n: number, extra: Partial<EntryContext> = {}): EntryContext {
  return {
    origin: 'acquired',
    source: 'main',
    callingAeTitle: 'CT1',
    calledAeTitle: 'ARCHIPELAGO',
    remoteAddress: '127.0.0.1',
    site: 'main',
    receivedAt: '2026-11-23T00:00:00.000Z',
    sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    sopInstanceUid: `2.25.${1000 + n}`,
    transferSyntaxUid: '1.2.840.10008.1.2.1',
    warnings: [],
    ...extra,
  };
}

/** Deterministic bytes; different for each seed. */
export function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export function headerOf(dataset: Buffer | number, seed = 0): HeaderResult {
  const length = typeof dataset === 'number' ? dataset : dataset.length;
  const header = Buffer.from(`header ${seed} `.repeat(10));
  return {
    header,
    headerDigest: createHash('sha256').update(header).digest(),
    leftOut: length > 8 ? [{ path: [0x00091001], vr: 'OB', offset: 2, length: 6 }] : [],
    pixel: null,
    length,
    sopClassUid: '',
    sopInstanceUid: '',
    studyInstanceUid: '',
    seriesInstanceUid: '',
    patientId: '',
    warnings: [],
  };
}

export async function put(writer: EntryWriter, dataset: Buffer, piece = 16 * 1024): Promise<void> {
  for (let at = 0; at < dataset.length; at += piece) await writer.write(dataset.subarray(at, at + piece));
}

export async function store(segment: SegmentWriter, n: number, dataset: Buffer, piece?: number): Promise<PackEntry> {
  const writer = await segment.begin(context(n));
  await put(writer, dataset, piece);
  return writer.commit(headerOf(dataset, n));
}

export async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

export function temporaryDir(): { dir: string; remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'pack-'));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** A spool that does not refuse for want of space on a small test disk. */
export function openSpool(dir: string, extra: Partial<SpoolOptions> = {}): Promise<Spool> {
  return Spool.open({ dir, site: 'main', minFreeBytes: 1, ...extra });
}

export function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`injected ${code}`), { code });
}

/** File calls that fail when told to. */
export function faultyOps(faults: { write?: (bytes: number) => Error | undefined }): FileOps {
  return {
    ...systemFileOps,
    writeAll: (fd, buffers, position) => {
      const error = faults.write?.(buffers.reduce((sum, b) => sum + b.length, 0));
      return error ? Promise.reject(error) : systemFileOps.writeAll(fd, buffers, position);
    },
  };
}

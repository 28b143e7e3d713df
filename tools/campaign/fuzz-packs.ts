/** Hostile packs: damaged anywhere, with the checksums put right again, so that the checks behind them are reached. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { HeaderReader } from '@archipelago/dicom-encoding';
import { Spool } from '@archipelago/pack';
import type { Random } from '@archipelago/testing';
import { replaceSomewhere } from './fuzz-json';
import type { Sample } from './fuzz-samples';

/** Offsets in the footer (docs/pack-format.md). */
const FOOTER = 128;
const INDEX_OFFSET = 32;
const INDEX_LENGTH = 40;
const INDEX_RAW_LENGTH = 44;

/** A pack as the spool writes it. */
export async function makePack(samples: Sample[]): Promise<Buffer> {
  const dir = mkdtempSync(join(tmpdir(), 'archipelago-fuzz-pack-'));
  const spool = await Spool.open({ dir, site: 'main', minFreeBytes: 1 });
  try {
    const segment = await spool.openSegment();
    for (const sample of samples) {
      const reader = new HeaderReader(sample.transferSyntaxUid);
      reader.push(sample.dataset);
      const entry = await segment.begin({
        origin: 'acquired',
        source: 'main',
        callingAeTitle: 'FUZZ',
        calledAeTitle: 'ARCHIPELAGO',
        remoteAddress: '127.0.0.1',
        site: 'main',
        receivedAt: '2026-11-23T00:00:00.000Z',
        sopClassUid: sample.sopClassUid,
        sopInstanceUid: sample.sopInstanceUid,
        transferSyntaxUid: sample.transferSyntaxUid,
        warnings: [],
      });
      await entry.write(sample.dataset);
      await entry.commit(reader.end());
    }
    const sealed = await segment.seal();
    return readFileSync(sealed?.path as string);
  } finally {
    await spool.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

export function damagePack(whole: Buffer, random: Random): Buffer {
  const kind = random.int(0, 4);
  if (kind === 0) return flip(Buffer.from(whole), random, 0, whole.length);
  if (kind === 1) return Buffer.from(whole.subarray(random.int(0, whole.length)));
  if (kind === 2) return fixFooter(edit(Buffer.from(whole), random, whole.length - FOOTER, whole.length - 64));
  if (kind === 3) return fixFooter(flip(Buffer.from(whole), random, 0, whole.length - FOOTER));
  return withIndex(whole, random);
}

function flip(bytes: Buffer, random: Random, from: number, to: number): Buffer {
  for (let n = random.int(1, 8); n > 0; n--) {
    const at = random.int(from, to - 1);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(0, 7));
  }
  return bytes;
}

function edit(bytes: Buffer, random: Random, from: number, to: number): Buffer {
  const values = [0, 1, 0x7f, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, bytes.length, bytes.length - FOOTER];
  for (let n = random.int(1, 2); n > 0; n--)
    bytes.writeUInt32LE(random.pick(values) >>> 0, (random.int(from / 4, to / 4 - 1) * 4) | 0);
  return bytes;
}

/** Its index replaced by a changed one. */
function withIndex(whole: Buffer, random: Random): Buffer {
  const footer = Buffer.from(whole.subarray(-FOOTER));
  const offset = Number(footer.readBigUInt64LE(INDEX_OFFSET));
  const length = footer.readUInt32LE(INDEX_LENGTH);
  const index: unknown = JSON.parse(inflateRawSync(whole.subarray(offset, offset + length)).toString('utf8'));
  const raw = Buffer.from(JSON.stringify(replaceSomewhere(index, random)));
  const coded = deflateRawSync(raw);
  footer.writeUInt32LE(coded.length, INDEX_LENGTH);
  footer.writeUInt32LE(raw.length, INDEX_RAW_LENGTH);
  footer.writeBigUInt64LE(BigInt(offset + coded.length + FOOTER), 16);
  return fixFooter(Buffer.concat([whole.subarray(0, offset), coded, footer]));
}

function fixFooter(bytes: Buffer): Buffer {
  const body = bytes.subarray(bytes.length - FOOTER, bytes.length - 32);
  createHash('sha256')
    .update(body)
    .digest()
    .copy(bytes, bytes.length - 32);
  return bytes;
}

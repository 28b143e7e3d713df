import { copyFileSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PackEntry } from './api';
import { BLOCK_ALIGN, CHECKSUM_BYTES, encodeTrailer, sha256 } from './format';
import { PackReader } from './reader';
import { scanSegment } from './scan';
import { BufferSource } from './source';
import type { Spool } from './spool';
import { bytesOf, collect, context, openSpool, put, store, temporaryDir } from './testing/fixtures';

let tmp: { dir: string; remove: () => void };
let spool: Spool;

beforeEach(async () => {
  tmp = temporaryDir();
  spool = await openSpool(tmp.dir);
});
afterEach(async () => {
  await spool.close();
  tmp.remove();
});

/** A prime, so that the steps meet every field sooner or later. */
const STRIDE = 17;

interface Made {
  packId: string;
  bytes: Buffer;
  entries: PackEntry[];
  datasets: Buffer[];
  /** Where the trailers end, and the blocks that they end in. */
  trailerEnds: number[];
  ends: number[];
}

/** An unsealed segment with three small objects, as a crash would leave it. */
async function makeSegment(sizes = [40, 0, 90]): Promise<Made> {
  const segment = spool.openSegment();
  const made: Made = {
    packId: segment.packId,
    bytes: Buffer.alloc(0),
    entries: [],
    datasets: [],
    trailerEnds: [],
    ends: [],
  };
  for (const [i, size] of sizes.entries()) {
    const dataset = bytesOf(size, i + 1);
    const entry = await store(segment, i, dataset);
    made.entries.push(entry);
    made.trailerEnds.push(entry.headerOffset + entry.headerLength + CHECKSUM_BYTES);
    made.datasets.push(dataset);
    made.ends.push(segment.bytes);
  }
  made.bytes = readFileSync(segment.path);
  // Not a crash, so take it out of the way by sealing.
  await spool.quarantine((await segment.seal())!.packId);
  return made;
}

/** Puts bytes where a crashed process would have left them and recovers. */
async function recoverBytes(packId: string, bytes: Buffer) {
  writeFileSync(join(spool.openDir, `${packId}.seg`), bytes);
  const { segments } = await spool.recover();
  expect(segments).toHaveLength(1);
  const [done] = segments;
  const stored: Buffer[] = [];
  if (done!.pack) {
    const reader = await PackReader.open(new BufferSource(readFileSync(done!.pack.path)));
    await reader.verify(done!.pack.sha256);
    for (const entry of reader.index.entries) stored.push(await collect(reader.dataset(entry)));
    await spool.quarantine(done!.pack.packId);
  }
  expect(readdirSync(spool.openDir)).toEqual([]);
  return { done: done!, stored };
}

test('cut at every byte position: all objects whose trailer is whole come back, nothing else', async () => {
  const made = await makeSegment();
  for (let length = 0; length <= made.bytes.length; length += 1) {
    // Padding is the same everywhere: some of it will do.
    const inPadding = made.trailerEnds.some((end, i) => length > end && length < made.ends[i]!);
    if (inPadding && length % STRIDE !== 0) continue;
    const whole = made.trailerEnds.filter((end) => end <= length).length;
    if (length >= made.entries[0]!.offset) {
      const scan = await scanSegment(new BufferSource(made.bytes.subarray(0, length)));
      expect([scan.entries.length, scan.contiguous]).toEqual([whole, true]);
      expect(scan.end).toBe(whole === 0 ? made.entries[0]!.offset : made.ends[whole - 1]);
    }
    // The whole way through the disk for some of them: each costs four syncs.
    const atBorder = made.ends.includes(length) || made.trailerEnds.includes(length);
    if (length % STRIDE !== 0 && !atBorder) continue;
    const { done, stored } = await recoverBytes(made.packId, made.bytes.subarray(0, length));
    if (whole > 0) expect(done.outcome).toBe('sealed');
    expect(stored).toHaveLength(whole);
    stored.forEach((dataset, i) => expect(dataset.equals(made.datasets[i]!)).toBe(true));
  }
}, 120_000);

test('a crash while sealing: cut at every byte of the tail, every object comes back', async () => {
  const segment = spool.openSegment();
  const datasets = [bytesOf(30, 1), bytesOf(50, 2)];
  for (const [i, dataset] of datasets.entries()) await store(segment, i, dataset);
  const pack = await segment.seal();
  const bytes = readFileSync(pack!.path);
  await spool.quarantine(pack!.packId);
  for (let length = pack!.tailOffset; length <= bytes.length; length += length < bytes.length - 2 ? STRIDE : 1) {
    const { done, stored } = await recoverBytes(pack!.packId, bytes.subarray(0, length));
    expect(done.outcome).toBe('sealed');
    expect(done.brokenEntries).toBe(0);
    expect(stored.map((d) => d.toString('hex'))).toEqual(datasets.map((d) => d.toString('hex')));
  }
}, 120_000);

test('a flipped byte anywhere: never a wrong byte, never a silent loss', async () => {
  const made = await makeSegment();
  const recordEnd = made.bytes.readUInt32LE(12);
  const good = made.datasets.map((d) => d.toString('hex'));
  for (let at = 0; at < made.bytes.length; at += 1) {
    const bytes = Buffer.from(made.bytes);
    bytes[at]! ^= 0x41;
    const hit = made.entries.findIndex((entry, i) => at >= entry.offset && at < made.trailerEnds[i]!);
    const padding = at >= recordEnd && hit < 0;
    // Padding is the same everywhere: some of it will do.
    if (padding && at % STRIDE !== 0) continue;
    if (at >= recordEnd) {
      const scan = await scanSegment(new BufferSource(bytes));
      const uids = [0, 1, 2].filter((i) => i !== hit).map((i) => made.entries[i]!.sopInstanceUid);
      expect(scan.entries.map((e) => e.entry.sopInstanceUid)).toEqual(uids);
    }
    if (at % STRIDE !== 0) continue;
    const { done, stored } = await recoverBytes(made.packId, bytes);
    for (const dataset of stored) expect(good).toContain(dataset.toString('hex'));
    if (at < recordEnd) {
      expect(done.outcome).toBe('quarantined');
      continue;
    }
    // Exactly the object around the flipped byte is gone; the others are there, and the file is kept aside.
    expect(stored.map((d) => d.toString('hex'))).toEqual(good.filter((_, i) => i !== hit));
    if (padding) expect(done.outcome).toBe('salvaged');
    const markAt = padding ? 0 : made.entries[hit]!.offset + made.entries[hit]!.length;
    const markGone = !padding && at >= markAt && at < markAt + 24;
    if (hit < 2 || !markGone) expect(done.quarantined).toBeDefined();
    if (hit < 2 || !markGone) expect(done.brokenEntries).toBeGreaterThan(0);
  }
}, 120_000);

test('every object begins at a multiple of the block, and nothing but zeros lies before it', async () => {
  const made = await makeSegment([1, 4000, 70_000]);
  made.entries.forEach((entry, i) => {
    expect(entry.offset % BLOCK_ALIGN).toBe(0);
    const from = i === 0 ? made.bytes.readUInt32LE(12) : made.trailerEnds[i - 1]!;
    expect(entry.offset - from).toBeLessThan(BLOCK_ALIGN);
    expect(made.bytes.subarray(from, entry.offset).every((byte) => byte === 0)).toBe(true);
  });
});

test('bytes inside an object that look like a trailer are not taken for one', async () => {
  const forged = (nonce: Buffer, entryOffset: number): Buffer =>
    encodeTrailer({
      nonce,
      ordinal: 0,
      trailerOffset: entryOffset + 400,
      entryOffset,
      datasetOffset: entryOffset + 300,
      datasetLength: 100,
      wireDigest: sha256(Buffer.alloc(100)),
      headerDigest: sha256(),
      metaDigest: sha256(Buffer.alloc(300)),
      headerRawLength: 0,
      entryJson: Buffer.from('{}'),
      header: Buffer.alloc(0),
    });
  const segment = spool.openSegment();
  const first = bytesOf(100, 1);
  await store(segment, 1, first);
  const hostile = Buffer.concat([Buffer.alloc(400), forged(Buffer.alloc(16), segment.bytes), Buffer.alloc(50)]);
  await store(segment, 2, hostile);
  const torn = await segment.begin(context(3));
  await put(torn, hostile);
  await torn.write(Buffer.alloc(900_000));
  await new Promise((r) => setTimeout(r, 50));
  const bytes = readFileSync(segment.path);
  await torn.rollback();
  await spool.quarantine((await segment.seal())!.packId);
  expect(bytes.length).toBeGreaterThan(786_432);
  const { done, stored } = await recoverBytes(segment.packId, bytes);
  expect(done.brokenEntries).toBe(0);
  expect(stored.map((d) => d.length)).toEqual([100, hostile.length]);
});

test('a page that never reached the disk before its trailer did: the object is not taken for whole', async () => {
  const made = await makeSegment([9000, 9000]);
  const bytes = Buffer.from(made.bytes);
  bytes.fill(0, made.entries[1]!.datasetOffset + 4096, made.entries[1]!.datasetOffset + 8192);
  const { done, stored } = await recoverBytes(made.packId, bytes);
  expect(stored).toHaveLength(1);
  expect(done).toMatchObject({ outcome: 'sealed', entries: 1, brokenEntries: 1 });
  const kept = readFileSync(join(spool.quarantineDir, done.quarantined!));
  expect(kept.equals(bytes)).toBe(true);
});

test('trailers are found across the borders of the pieces that are read', async () => {
  const segment = spool.openSegment();
  const lengths = [1024 * 1024 - 800, 1024 * 1024 - 900, 70_000, 1024 * 1024 * 2 - 1100];
  for (const [i, n] of lengths.entries()) await store(segment, i, bytesOf(n, i), 200_000);
  const bytes = readFileSync(segment.path);
  const scan = await scanSegment(new BufferSource(bytes));
  expect(scan.entries.map((e) => e.entry.datasetLength)).toEqual(lengths);
  await segment.seal();
});

test('recovery leaves live segments alone, and confirmed packs too', async () => {
  const live = spool.openSegment();
  await store(live, 1, bytesOf(100, 1));
  const other = spool.openSegment();
  await store(other, 2, bytesOf(100, 2));
  const confirmed = await other.seal();
  await spool.confirm(confirmed!.packId);
  const report = await spool.recover();
  expect(report.segments).toEqual([]);
  expect(report.toAnnounce).toEqual([]);
  expect(statSync(live.path).size).toBe(live.bytes);
  expect((await live.seal())!.entries).toBe(1);
  expect(spool.list('confirmed')).toHaveLength(1);
});

test('names that are no pack ids are not touched', async () => {
  mkdirSync(join(spool.openDir, 'folder'));
  copyFileSync(__filename, join(spool.openDir, 'readme.seg'));
  expect((await spool.recover()).segments).toEqual([]);
  expect(readdirSync(spool.openDir).sort()).toEqual(['folder', 'readme.seg']);
});

import { existsSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { link, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SegmentPoisonedError, SpoolFullError, SpoolLockedError, SpoolUsageError } from './errors';
import { PackReader, computePackDigest } from './reader';
import { BufferSource, FileSource } from './source';
import { takesDirectWrites } from './direct-writes';
import { SyncGroup } from './sync-group';
import type { Spool } from './spool';
import {
  bytesOf,
  collect,
  context,
  failure,
  faultyOps,
  headerOf,
  openSpool,
  put,
  store,
  temporaryDir,
} from './testing/fixtures';

let tmp: { dir: string; remove: () => void };
let spool: Spool | undefined;

beforeEach(() => (tmp = temporaryDir()));
afterEach(async () => {
  await spool?.close();
  spool = undefined;
  tmp.remove();
});

test.each([
  ['as the file system takes it', undefined],
  ['through the page cache', false],
])('objects of many sizes come back as they went in, from the sealed pack: %s', async (_, direct) => {
  spool = await openSpool(tmp.dir, { direct });
  const segment = spool.openSegment();
  const datasets = [0, 1, 7, 65535, 65536, 262143, 262144, 262145, 1_000_003].map((n, i) => bytesOf(n, i));
  for (const [i, dataset] of datasets.entries()) await store(segment, i, dataset, [1000, 300_000, 65536][i % 3]);
  const sealed = await segment.seal();
  expect(sealed).not.toBeNull();
  expect(sealed!.entries).toBe(datasets.length);
  expect(statSync(sealed!.path).size).toBe(sealed!.bytes);
  const source = await FileSource.open(sealed!.path);
  const reader = await PackReader.open(source, sealed!.tailOffset);
  expect(reader.index.edgeId).toBe(spool.edgeId);
  for (const [i, entry] of reader.index.entries.entries()) {
    expect((await collect(reader.dataset(entry))).equals(datasets[i]!)).toBe(true);
    const file = await collect(reader.file(entry));
    expect(file.subarray(128, 132).toString()).toBe('DICM');
    expect(file.subarray(0, 128).every((b) => b === 0)).toBe(true);
    expect(file.subarray(entry.datasetOffset - entry.offset).equals(datasets[i]!)).toBe(true);
    expect(reader.header(entry).equals(headerOf(datasets[i]!, i).header)).toBe(true);
    expect(entry.leftOut).toEqual(headerOf(datasets[i]!, i).leftOut);
    await reader.verifyEntry(entry);
  }
  expect(await reader.verify(sealed!.sha256)).toEqual({ sha256: sealed!.sha256, entries: 9, bytes: sealed!.bytes });
  expect(await computePackDigest(source)).toBe(sealed!.sha256);
  await source.close();
});

test('a chunk may be reused as soon as write has returned or resolved', async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  const dataset = bytesOf(2_000_000, 5);
  const writer = await segment.begin(context(1));
  const reused = Buffer.alloc(70_000);
  for (let at = 0; at < dataset.length; at += reused.length) {
    const n = dataset.copy(reused, 0, at);
    await writer.write(reused.subarray(0, n));
    reused.fill(0xee);
  }
  await writer.commit(headerOf(dataset));
  const pack = await segment.seal();
  const reader = await PackReader.open(new BufferSource(readFileSync(pack!.path)));
  expect((await collect(reader.dataset(reader.index.entries[0]!))).equals(dataset)).toBe(true);
});

test('rollback leaves no byte of the object, an empty segment leaves no file', async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  expect(readdirSync(spool.openDir)).toEqual([]);
  const dropped = await segment.begin(context(1));
  await put(dropped, bytesOf(600_000, 1));
  await dropped.rollback();
  expect(() => dropped.write(Buffer.alloc(1))).toThrow(SpoolUsageError);
  const dataset = bytesOf(1000, 2);
  await store(segment, 2, dataset);
  const again = await segment.begin(context(3));
  await put(again, bytesOf(300_000, 3));
  await again.rollback();
  const pack = await segment.seal();
  expect(pack!.entries).toBe(1);
  await (await PackReader.open(new BufferSource(readFileSync(pack!.path)))).verify(pack!.sha256);
  const empty = spool.openSegment();
  await (await empty.begin(context(4))).rollback();
  expect(await empty.seal()).toBeNull();
  expect(readdirSync(spool.openDir)).toEqual([]);
});

test("a second object at once, and a header of another length, are the caller's mistakes", async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  const writer = await segment.begin(context(1));
  await expect(segment.begin(context(2))).rejects.toThrow(SpoolUsageError);
  await expect(segment.seal()).rejects.toThrow(SpoolUsageError);
  await writer.write(Buffer.alloc(10));
  await expect(writer.commit(headerOf(11))).rejects.toThrow(SpoolUsageError);
  await store(segment, 3, bytesOf(10, 1));
  expect((await segment.seal())!.entries).toBe(1);
});

test('an object whose tables a reader would refuse is not acknowledged, and the others can be read', async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  await store(segment, 1, bytesOf(100, 1));
  const refused = await segment.begin(context(2));
  await refused.write(bytesOf(10, 2));
  const outside = { path: [0x00091001], vr: 'OB', offset: 5, length: 6 };
  await expect(refused.commit({ ...headerOf(10), leftOut: [outside] })).rejects.toThrow();
  await store(segment, 3, bytesOf(100, 3));
  const pack = await segment.seal();
  const reader = await PackReader.open(new BufferSource(readFileSync(pack!.path)));
  expect(reader.index.entries.map((entry) => entry.sopInstanceUid)).toEqual(['2.25.1001', '2.25.1003']);
});

test('a trailer larger than what is written at once', async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  const header = bytesOf(3_000_000, 4);
  const datasets = [bytesOf(700_000, 1), bytesOf(10, 2)];
  for (const [i, dataset] of datasets.entries()) {
    const writer = await segment.begin(context(i));
    await put(writer, dataset);
    await writer.commit({ ...headerOf(dataset), header });
  }
  const pack = await segment.seal();
  const reader = await PackReader.open(new BufferSource(readFileSync(pack!.path)));
  await reader.verify(pack!.sha256);
  for (const [i, entry] of reader.index.entries.entries()) {
    expect(reader.header(entry).equals(header)).toBe(true);
    expect((await collect(reader.dataset(entry))).equals(datasets[i]!)).toBe(true);
  }
});

test('where the file system takes direct writes is found by trying, and leaves nothing', async () => {
  spool = await openSpool(tmp.dir);
  expect(await takesDirectWrites(spool.openDir)).toBe(spool.direct);
  expect(await takesDirectWrites(join(tmp.dir, 'missing'))).toBe(false);
  expect(readdirSync(spool.openDir)).toEqual([]);
});

test('header blocks beyond what is kept in memory are read back from the trailers at seal', async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  const big = bytesOf(900_000, 9);
  for (let i = 0; i < 4; i += 1) {
    const writer = await segment.begin(context(i));
    await writer.write(Buffer.from([i]));
    await writer.commit({ ...headerOf(1), header: Buffer.concat([big, Buffer.from([i])]) });
  }
  const pack = await segment.seal();
  const reader = await PackReader.open(new BufferSource(readFileSync(pack!.path)));
  await reader.verify(pack!.sha256);
  reader.index.entries.forEach((entry, i) => expect(reader.header(entry).at(-1)).toBe(i));
});

test('commits of one segment and of several share sync calls', async () => {
  const waiting: (() => void)[] = [];
  const group = new SyncGroup((_target, done) => void waiting.push(() => done(null)));
  const a = { fd: 1 };
  const b = { fd: 2 };
  const first = [group.sync(a), group.sync(a), group.sync(b)];
  await Promise.resolve();
  expect(waiting).toHaveLength(2);
  const late = [group.sync(a), group.sync(a)];
  await Promise.resolve();
  expect(waiting).toHaveLength(2);
  waiting.splice(0).forEach((done) => done());
  await Promise.all(first);
  expect(waiting).toHaveLength(1);
  waiting.splice(0).forEach((done) => done());
  await Promise.all(late);
  expect(group.calls).toBe(3);
  expect(group.requests).toBe(5);
});

test('a commit does not resolve before its sync has', async () => {
  const waiting: (() => void)[] = [];
  const group = new SyncGroup((target, done) => (target.directory ? done(null) : void waiting.push(() => done(null))));
  spool = await openSpool(tmp.dir, { group });
  const segment = spool.openSegment();
  let acknowledged = false;
  const commit = store(segment, 1, bytesOf(1000, 1)).then(() => (acknowledged = true));
  while (waiting.length === 0) await new Promise((r) => setTimeout(r, 5));
  await new Promise((r) => setTimeout(r, 30));
  expect(acknowledged).toBe(false);
  waiting.splice(0).forEach((done) => done());
  await commit;
  const sealed = segment.seal();
  while (waiting.length === 0) await new Promise((r) => setTimeout(r, 5));
  waiting.splice(0).forEach((done) => done());
  await sealed;
});

test('a failed sync poisons the segment: waiting and later commits fail, what was acknowledged before is sealed', async () => {
  let fail = false;
  const group = new SyncGroup((target, done) => done(fail && !target.directory ? failure('EIO') : null));
  spool = await openSpool(tmp.dir, { group });
  const segment = spool.openSegment();
  const kept = bytesOf(5000, 1);
  await store(segment, 1, kept);
  fail = true;
  await expect(store(segment, 2, bytesOf(5000, 2))).rejects.toThrow(SegmentPoisonedError);
  fail = false;
  await expect(store(segment, 3, bytesOf(5000, 3))).rejects.toThrow(SegmentPoisonedError);
  expect(segment.poisoned).not.toBeNull();
  const pack = await segment.seal();
  expect(pack!.entries).toBe(1);
  const reader = await PackReader.open(new BufferSource(readFileSync(pack!.path)));
  await reader.verify(pack!.sha256);
  expect(reader.index.entries[0]!.sopInstanceUid).toBe('2.25.1001');
  expect(spool.list('sealed').map((p) => p.packId)).toEqual([segment.packId]);
});

test('a poisoned segment in which nothing was acknowledged leaves nothing', async () => {
  const group = new SyncGroup((target, done) => done(target.directory ? null : failure('EIO')));
  spool = await openSpool(tmp.dir, { group });
  const segment = spool.openSegment();
  await expect(store(segment, 1, bytesOf(500, 1))).rejects.toThrow(SegmentPoisonedError);
  expect(await segment.seal()).toBeNull();
  expect(readdirSync(spool.openDir)).toEqual([]);
  expect(readdirSync(spool.quarantineDir)).toEqual([]);
});

test('a full disk fails the object only, and objects are taken again when there is room', async () => {
  let full = false;
  const ops = faultyOps({ write: (n) => (full && n > 1000 ? failure('ENOSPC') : undefined) });
  spool = await openSpool(tmp.dir, { ops });
  const segment = spool.openSegment();
  await store(segment, 1, bytesOf(5000, 1));
  full = true;
  const writer = await segment.begin(context(2));
  await expect(put(writer, bytesOf(2_000_000, 2))).rejects.toThrow(SpoolFullError);
  await writer.rollback();
  await expect(store(segment, 3, bytesOf(5000, 3))).rejects.toThrow(SpoolFullError);
  full = false;
  await store(segment, 4, bytesOf(5000, 4));
  const pack = await segment.seal();
  const reader = await PackReader.open(new BufferSource(readFileSync(pack!.path)));
  await reader.verify(pack!.sha256);
  expect(reader.index.entries.map((e) => e.sopInstanceUid)).toEqual(['2.25.1001', '2.25.1004']);
});

test('too little free space refuses before the first byte, and cache yields first', async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  await store(segment, 1, bytesOf(5000, 1));
  const pack = await segment.seal();
  await spool.confirm(pack!.packId);
  await spool.close();
  spool = await openSpool(tmp.dir, { minFreeBytes: Number.MAX_SAFE_INTEGER / 2 });
  expect(spool.list('confirmed')).toHaveLength(1);
  await expect(spool.openSegment().begin(context(2))).rejects.toThrow(SpoolFullError);
  expect(await spool.hasRoom()).toBe(false);
  expect(spool.list('confirmed')).toHaveLength(0);
  expect(readdirSync(spool.openDir)).toEqual([]);
  expect((await spool.stats()).full).toBe(true);
});

test('confirmed packs are cache: kept, found, evicted oldest first, readable while open', async () => {
  spool = await openSpool(tmp.dir);
  const ids: string[] = [];
  for (let i = 0; i < 3; i += 1) {
    const segment = spool.openSegment();
    await store(segment, i, bytesOf(3000, i));
    const pack = await segment.seal();
    ids.push(pack!.packId);
    expect(await spool.confirm(pack!.packId, 1000 + i)).toBe(true);
  }
  expect(await spool.confirm(ids[0]!)).toBe(true);
  expect(await spool.confirm('00000000-0000-0000-0000-000000000000')).toBe(false);
  await spool.close();
  spool = await openSpool(tmp.dir);
  expect(spool.list('confirmed').map((p) => [p.packId, p.confirmedAt])).toEqual(ids.map((id, i) => [id, 1000 + i]));
  const open = await spool.openPack(ids[0]!);
  const before = await open!.read(0, open!.size);
  expect((await spool.evict({ needBytes: 1 })).packIds).toEqual([ids[0]]);
  expect(spool.locate(ids[0]!)).toBeNull();
  expect(await spool.openPack(ids[0]!)).toBeNull();
  expect((await open!.read(0, open!.size)).equals(before)).toBe(true);
  await open!.close();
  // Adopted by an object store with a hard link: eviction for space would free nothing.
  await link(spool.locate(ids[1]!)!, join(tmp.dir, 'adopted'));
  expect(await spool.unconfirm(ids[1]!)).toBe(true);
  expect((await spool.evict({ olderThanMs: 0 })).packIds).toEqual([ids[2]]);
  expect(await spool.confirm(ids[1]!)).toBe(true);
  expect(await spool.evict({ needBytes: 1_000_000 })).toEqual({ packIds: [], bytes: 0 });
  expect(await spool.quarantine(ids[1]!)).toBe(`${ids[1]}.pack`);
  expect((await spool.stats()).quarantined).toBe(1);
  expect(spool.locate('../../etc/passwd')).toBeNull();
});

test('a confirmed pack whose file was removed is no longer here when it is asked for again', async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  await store(segment, 1, bytesOf(3000, 1));
  const { packId } = (await segment.seal())!;
  expect(await spool.confirm(packId)).toBe(true);
  await unlink(spool.locate(packId)!);
  expect(await spool.unconfirm(packId)).toBe(false);
  expect(spool.locate(packId)).toBeNull();
  expect([...spool.list('confirmed'), ...spool.list('sealed')]).toEqual([]);
});

test('one spool at a time on a volume, with an identity that stays', async () => {
  spool = await openSpool(tmp.dir);
  const { edgeId } = spool;
  await expect(openSpool(tmp.dir)).rejects.toThrow(SpoolLockedError);
  await spool.close();
  spool = await openSpool(tmp.dir);
  expect(spool.edgeId).toBe(edgeId);
});

test('a sealed file whose footer is damaged is recovered as a segment', async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  const dataset = bytesOf(3000, 1);
  await store(segment, 1, dataset);
  const pack = await segment.seal();
  await spool.close();
  truncateSync(pack!.path, pack!.bytes - 5);
  writeFileSync(join(tmp.dir, 'sealed', 'not-a-pack.txt'), 'left alone');
  spool = await openSpool(tmp.dir);
  const report = await spool.recover();
  expect(report.segments.map((s) => s.outcome)).toEqual(['sealed']);
  expect(report.toAnnounce.map((p) => p.packId)).toEqual([pack!.packId]);
  const reader = await PackReader.open(new BufferSource(readFileSync(report.toAnnounce[0]!.path)));
  expect((await collect(reader.dataset(reader.index.entries[0]!))).equals(dataset)).toBe(true);
});

test('a segment that is being sealed can be read all the time, also while its new name is synced', async () => {
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  await store(segment, 0, bytesOf(1000, 0));
  const { sync } = SyncGroup.prototype;
  const readable: boolean[] = [];
  const spy = jest.spyOn(SyncGroup.prototype, 'sync').mockImplementation(async function (this: SyncGroup, target) {
    await sync.call(this, target);
    readable.push(existsSync(spool!.locate(segment.packId) ?? spool!.locateOpen(segment.packId) ?? ''));
  });
  try {
    const sealed = await segment.seal();
    expect(readable.length).toBeGreaterThanOrEqual(2);
    expect(readable).not.toContain(false);
    expect(spool.locate(segment.packId)).toBe(sealed!.path);
    expect(spool.locateOpen(segment.packId)).toBeNull();
  } finally {
    spy.mockRestore();
  }
});

import { readFileSync } from 'node:fs';
import { PackFormatError, PackIntegrityError } from './errors';
import { layoutOf, packDigester } from './digest';
import { PackReader, PackTail, computePackDigest } from './reader';
import { BufferSource } from './source';
import { AssociationSegments } from './association-segments';
import type { SealedPack } from './api';
import type { Spool } from './spool';
import { bytesOf, collect, context, headerOf, openSpool, put, store, temporaryDir } from './testing/fixtures';

let tmp: { dir: string; remove: () => void };
let spool: Spool;
let pack: SealedPack;
let bytes: Buffer;

beforeAll(async () => {
  tmp = temporaryDir();
  spool = await openSpool(tmp.dir);
  const segment = spool.openSegment();
  for (const [i, n] of [300, 0, 5000].entries()) await store(segment, i, bytesOf(n, i));
  pack = (await segment.seal())!;
  bytes = readFileSync(pack.path);
});
afterAll(async () => {
  await spool.close();
  tmp.remove();
});

async function* chunks(from: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < from.length; at += size) yield await Promise.resolve(from.subarray(at, at + size));
}

test('the tail alone gives index and header blocks', async () => {
  const tail = await PackTail.parse(bytes.subarray(pack.tailOffset), pack.bytes);
  expect(tail.sha256).toBe(pack.sha256);
  expect(tail.index.entries.map((e) => tail.header(e).toString())).toEqual(
    [0, 1, 2].map((i) => headerOf(0, i).header.toString()),
  );
  await expect(PackTail.parse(bytes.subarray(pack.tailOffset + 1), pack.bytes)).rejects.toThrow(PackFormatError);
});

test.each([1, 7, 64, 1000, 100_000])('the digest from a stream in pieces of %i is that of the writer', async (size) => {
  const { index } = await PackReader.open(new BufferSource(bytes));
  expect(await packDigester(layoutOf(index, bytes.length))(chunks(bytes, size))).toBe(pack.sha256);
  await expect(packDigester(layoutOf(index, bytes.length))(chunks(bytes.subarray(1), size))).rejects.toThrow(
    PackFormatError,
  );
  await expect(
    packDigester(layoutOf(index, bytes.length))(chunks(Buffer.concat([bytes, bytes]), size)),
  ).rejects.toThrow(PackFormatError);
});

test('every flipped byte is found by verification', async () => {
  for (let at = 0; at < bytes.length; at += 3) {
    const bad = Buffer.from(bytes);
    bad[at]! ^= 0x20;
    const checked = PackReader.open(new BufferSource(bad)).then((reader) => reader.verify(pack.sha256));
    await expect(checked).rejects.toMatchObject({ kind: 'permanent' });
  }
  for (const length of [0, 1, 127, 128, 500, bytes.length - 1]) {
    await expect(PackReader.open(new BufferSource(bytes.subarray(0, length)))).rejects.toThrow(PackFormatError);
  }
});

test('a dataset that changed is found by its own digest', async () => {
  const bad = Buffer.from(bytes);
  const reader = await PackReader.open(new BufferSource(bad));
  const entry = reader.index.entries[2]!;
  bad[entry.datasetOffset + 17]! ^= 1;
  await expect(reader.verifyEntry(entry)).rejects.toThrow(PackIntegrityError);
  await reader.verifyEntry(reader.index.entries[0]!);
  expect(await computePackDigest(new BufferSource(bad))).not.toBe(pack.sha256);
});

test('an object that outgrows the limit gets a pack of its own, the others stay together', async () => {
  const sealed: SealedPack[] = [];
  const failed: Error[] = [];
  const segments = new AssociationSegments(spool, {
    sealBytes: 300_000,
    onSealed: (p) => sealed.push(p),
    onSealFailed: (_id, error) => failed.push(error),
  });
  const sizes = [1000, 2000, 900_000, 3000, 250_000, 60_000, 10];
  for (const [i, n] of sizes.entries()) {
    const dataset = bytesOf(n, i);
    const writer = await segments.begin(context(i));
    await put(writer, dataset, 50_000);
    await writer.commit(headerOf(dataset));
  }
  expect(segments.sealIfIdle(60_000)).toBe(false);
  expect(segments.sealIfIdle(0, Date.now() + 1)).toBe(true);
  expect(segments.sealIfIdle(0)).toBe(false);
  await segments.close();
  expect(failed).toEqual([]);
  const contents: Record<number, number> = {};
  const groups: number[][] = [];
  for (const p of sealed) {
    const reader = await PackReader.open(new BufferSource(readFileSync(p.path)));
    await reader.verify(p.sha256);
    groups.push(reader.index.entries.map((e) => Number(e.sopInstanceUid.slice(5)) - 1000));
    for (const e of reader.index.entries) {
      const i = Number(e.sopInstanceUid.slice(5)) - 1000;
      contents[i] = e.datasetLength;
      expect((await collect(reader.dataset(e))).equals(bytesOf(sizes[i]!, i))).toBe(true);
    }
  }
  expect(Object.values(contents)).toEqual(sizes);
  expect(groups.sort((a, b) => a[0]! - b[0]!)).toEqual([[0, 1], [2], [3, 4, 5], [6]]);
});

import { AssociationSegments } from './association-segments';
import { BLOCK_BYTES } from './block-pool';
import { SpoolFullError, SpoolUsageError } from './errors';
import { PackReader } from './reader';
import { FileSource } from './source';
import type { Spool } from './spool';
import type { HandedEntry, PackEntry, SealedPack } from './api';
import {
  bytesOf,
  collect,
  context,
  failure,
  faultyOps,
  headerOf,
  openSpool,
  put,
  temporaryDir,
} from './testing/fixtures';

const HOLD = 1024 * 1024;

let tmp: { dir: string; remove: () => void };
let spool: Spool | undefined;

beforeEach(() => (tmp = temporaryDir()));
afterEach(async () => {
  await spool?.close();
  spool = undefined;
  tmp.remove();
});

function lane(onSealed?: (pack: SealedPack) => void): AssociationSegments {
  return new AssociationSegments(spool!, { durable: false, holdBytes: HOLD, ...(onSealed ? { onSealed } : {}) });
}

async function hand(segments: AssociationSegments, n: number, dataset: Buffer): Promise<HandedEntry> {
  const writer = await segments.begin(context(n));
  await put(writer, dataset);
  return writer.hand(headerOf(dataset, n));
}

const inMemory = ({ held }: HandedEntry): Buffer => Buffer.concat(held!.pieces);

test.each([
  ['as the file system takes it', undefined],
  ['through the page cache', false],
])('handed objects can be read from memory at once and from the pack later, the same bytes: %s', async (_, direct) => {
  spool = await openSpool(tmp.dir, { direct });
  const packs: SealedPack[] = [];
  const segments = lane((pack) => packs.push(pack));
  // none, less than a block, whole blocks, what is flushed at once, and what is flushed in several goes
  const sizes = [1, 65_000, BLOCK_BYTES, 12 * BLOCK_BYTES, 13 * BLOCK_BYTES + 7, 500_000];
  const datasets = sizes.map((size, n) => bytesOf(size, n));
  const entries: PackEntry[] = [];
  for (const [n, dataset] of datasets.entries()) {
    const handed = await hand(segments, n, dataset);
    expect(inMemory(handed).equals(dataset)).toBe(true);
    expect(handed.held!.bytes).toBe(dataset.length);
    const entry = await handed.written;
    expect(entry).toMatchObject({
      datasetOffset: handed.datasetOffset,
      datasetLength: handed.datasetLength,
      wireDigest: handed.wireDigest,
    });
    // what is written behind it has not touched it
    expect(inMemory(handed).equals(dataset)).toBe(true);
    handed.held!.release();
    entries.push(entry);
  }
  await segments.close();
  const source = await FileSource.open(packs[0]!.path);
  const reader = await PackReader.open(source, packs[0]!.tailOffset);
  for (const [n, entry] of reader.index.entries.entries()) {
    expect((await collect(reader.dataset(entry))).equals(datasets[n]!)).toBe(true);
    expect(entry.datasetOffset).toBe(entries[n]!.datasetOffset);
  }
  await reader.verify(packs[0]!.sha256);
  await source.close();
});

test('memory that is held is not used for other objects until all have released it, and is then', async () => {
  spool = await openSpool(tmp.dir);
  const segments = lane();
  const first = bytesOf(300_000, 1);
  const handed = await hand(segments, 1, first);
  handed.held!.use();
  await handed.written;
  handed.held!.release();
  for (let n = 2; n < 12; n++) await (await hand(segments, n, bytesOf(700_000, n))).written;
  expect(inMemory(handed).equals(first)).toBe(true);
  const memory = new Set(handed.held!.pieces.map((piece) => piece.byteOffset));
  const { buffer } = handed.held!.pieces[0]!;
  handed.held!.release();
  const next = await hand(segments, 20, bytesOf(300_000, 20));
  const again = next.held!.pieces.filter((piece) => piece.buffer === buffer && memory.has(piece.byteOffset));
  expect(again.length).toBeGreaterThan(0);
  await segments.close();
});

test('an object that has grown too large is written like any other', async () => {
  spool = await openSpool(tmp.dir);
  const packs: SealedPack[] = [];
  const segments = lane((pack) => packs.push(pack));
  const large = bytesOf(HOLD + 1, 3);
  const handed = await hand(segments, 3, large);
  expect(handed.held).toBeNull();
  await handed.written;
  await segments.close();
  const source = await FileSource.open(packs[0]!.path);
  const reader = await PackReader.open(source, packs[0]!.tailOffset);
  expect((await collect(reader.dataset(reader.index.entries[0]!))).equals(large)).toBe(true);
  await source.close();
});

test('the next object waits until the one that was handed is in the file, and so does closing', async () => {
  let open!: () => void;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const ops = faultyOps({});
  let held = false;
  const slow: typeof ops = {
    ...ops,
    writeAll: async (fd, buffers, position) => {
      if (position > 0 && !held) {
        held = true;
        await gate;
      }
      return ops.writeAll(fd, buffers, position);
    },
  };
  spool = await openSpool(tmp.dir, { ops: slow });
  const packs: SealedPack[] = [];
  const segments = lane((pack) => packs.push(pack));
  const handed = await hand(segments, 1, bytesOf(1000, 1));
  let begun = false;
  const second = segments.begin(context(2)).then((writer) => ((begun = true), writer));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(begun).toBe(false);
  open();
  const writer = await second;
  await handed.written;
  await put(writer, bytesOf(1000, 2));
  writer.hand(headerOf(bytesOf(1000, 2), 2));
  await segments.close();
  expect(packs[0]!.entries).toBe(2);
});

test('what cannot be written is told to whom it was handed; the segment goes on without it', async () => {
  let full = false;
  spool = await openSpool(tmp.dir, {
    ops: faultyOps({ write: () => (full ? failure('ENOSPC') : undefined) }),
  });
  const packs: SealedPack[] = [];
  const segments = lane((pack) => packs.push(pack));
  const kept = await hand(segments, 1, bytesOf(1000, 1));
  await kept.written;
  full = true;
  const lost = await hand(segments, 2, bytesOf(1000, 2));
  expect(inMemory(lost).equals(bytesOf(1000, 2))).toBe(true);
  await expect(lost.written).rejects.toBeInstanceOf(SpoolFullError);
  // who holds it goes on reading it
  expect(inMemory(lost).equals(bytesOf(1000, 2))).toBe(true);
  full = false;
  await segments.close();
  expect(packs[0]!.entries).toBe(1);
});

test('what is promised to be kept cannot be handed before it is written', async () => {
  spool = await openSpool(tmp.dir);
  const segments = new AssociationSegments(spool, { durable: true, holdBytes: HOLD });
  const writer = await segments.begin(context(1));
  await put(writer, bytesOf(10, 1));
  expect(() => writer.hand(headerOf(bytesOf(10, 1), 1))).toThrow(SpoolUsageError);
  await writer.rollback();
  await segments.close();
});

test('an object of another length than its header reader saw is not handed', async () => {
  spool = await openSpool(tmp.dir);
  const segments = lane();
  const writer = await segments.begin(context(1));
  await put(writer, bytesOf(10, 1));
  expect(() => writer.hand(headerOf(11, 1))).toThrow(SpoolUsageError);
  await writer.rollback();
  await segments.close();
});

import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { LocatedInstanceV1, LocateReplyV1 } from '@archipelago/contracts';
import { PixelPool } from '@archipelago/dicom-pixel';
import type { AcceptedContext, ClientAssociation, RetrieveResponse, StoreOperation } from '@archipelago/dimse';
import { datasetDigest, type HeldDataset } from '@archipelago/pack';
import { FsObjectStore, type ObjectStore } from '@archipelago/platform-storage';
import { Delivery } from './delivery';
import { DigestThreads } from './digest-threads';
import { InstanceLoader, type LoadedInstance } from './instance-loader';
import { InstanceSender, type StoreTarget } from './instance-sender';
import { batches, MoveDestination, MOST_CONTEXTS, neededContexts } from './move-destination';
import { PackBytes } from './pack-bytes';
import { Slabs } from './slabs';

const ELE = '1.2.840.10008.1.2.1';
const CT = '1.2.840.10008.5.1.4.1.1.2';

let dir: string;
let store: FsObjectStore;
const pool = new PixelPool({ size: 1 });

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'edge-instances-'));
  store = new FsObjectStore(join(dir, 'objects'));
});
afterAll(async () => {
  await pool.close();
  await rm(dir, { recursive: true, force: true });
});

interface TestPack {
  bytes: Buffer;
  path: string;
  packId: string;
  key: string;
  instances: LocatedInstanceV1[];
}

/** A file with datasets of these sizes, some bytes apart, on disk and in the store. */
async function pack(sizes: number[]): Promise<TestPack> {
  const bytes = randomBytes(sizes.reduce((sum, size) => sum + size + 100, 0));
  const packId = randomUUID();
  const key = `packs/${packId}.pack`;
  const path = join(dir, packId);
  await writeFile(path, bytes);
  await store.putBuffer(key, bytes);
  let at = 0;
  const instances = sizes.map((size, i) => {
    const datasetOffset = at + 100;
    at = datasetOffset + size;
    const dataset = bytes.subarray(datasetOffset, at);
    return {
      sopInstanceUid: `1.2.${i + 1}`,
      sopClassUid: CT,
      wireDigest: datasetDigest(dataset),
      copies: [
        { packId, store: 'fs', key, edgeId: randomUUID(), datasetOffset, datasetLength: size, transferSyntaxUid: ELE },
      ],
    };
  });
  return { bytes, path, packId, key, instances };
}

function packBytes(local: TestPack[], objects: ObjectStore = store): PackBytes {
  return new PackBytes((id) => local.find((p) => p.packId === id)?.path, new Map([['fs', objects]]));
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const held = (loaded: LoadedInstance): Buffer | undefined =>
  loaded.how === 'held' ? Buffer.concat(loaded.pieces) : undefined;

function dataset(p: TestPack, i: number): Buffer {
  const { datasetOffset, datasetLength } = p.instances[i]!.copies[0]!;
  return p.bytes.subarray(datasetOffset, datasetOffset + datasetLength);
}

describe('instance loader', () => {
  const limits = { maxRunBytes: 4000, maxGap: 200, maxHeld: 3000 };

  it.each([['segment'], ['store']])('gives the bytes in order, from the %s', async (where) => {
    const p = await pack([1000, 1, 999, 2000, 0, 3000]);
    const loader = new InstanceLoader(packBytes(where === 'segment' ? [p] : []), { limits });
    const loaded = await all(loader.load(p.instances));
    expect(loaded.map((l) => l.instance.sopInstanceUid)).toEqual(p.instances.map((i) => i.sopInstanceUid));
    loaded.forEach((l, i) => expect(held(l)?.equals(dataset(p, i))).toBe(true));
  });

  it('takes from memory what has just arrived, run by run, and releases what it did not use', async () => {
    const p = await pack([1000, 1000, 1000, 3000]);
    const fresh = new Map<number, { pieces: Buffer[]; users: number }>();
    const taken = (n: number): void => {
      const bytes = Buffer.from(dataset(p, n));
      fresh.set(p.instances[n]!.copies[0]!.datasetOffset, {
        pieces: [bytes.subarray(0, 400), bytes.subarray(400)],
        users: 0,
      });
    };
    // the first comes alone; of the run behind it one is not in memory
    [0, 1, 3].forEach(taken);
    let reads = 0;
    const bytes = packBytes([p]);
    const sources = bytes.sources.bind(bytes);
    jest.spyOn(bytes, 'sources').mockImplementation((copy) => (reads++, sources(copy)));
    const loader = new InstanceLoader(bytes, {
      limits,
      fresh: {
        take: ({ datasetOffset }) => {
          const one = fresh.get(datasetOffset);
          if (!one) return undefined;
          one.users++;
          return { pieces: one.pieces, release: () => one.users-- } as unknown as HeldDataset;
        },
      },
    });
    const loaded = await all(loader.load(p.instances));
    loaded.forEach((l, i) => expect(held(l)?.equals(dataset(p, i))).toBe(true));
    expect(loaded.map((l) => (l.how === 'held' ? l.pieces.length : 0))).toEqual([2, 1, 1, 2]);
    expect(reads).toBe(1);
    for (const l of loaded) if (l.how === 'held') l.release();
    expect([...fresh.values()].map(({ users }) => users)).toEqual([0, 0, 0]);
  });

  it('waits for what is on its way to the segment', async () => {
    const p = await pack([1000]);
    await truncate(p.path, 500);
    let written!: () => void;
    const writing = new Promise<void>((resolve) => (written = resolve));
    const bytes = new PackBytes(
      () => p.path,
      new Map(),
      () => writing,
    );
    const loading = all(new InstanceLoader(bytes, { limits }).load(p.instances));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await writeFile(p.path, p.bytes);
    written();
    const [loaded] = await loading;
    expect(held(loaded!)?.equals(dataset(p, 0))).toBe(true);
  });

  it('takes the stored copy when the segment is damaged, cut or gone, and says so', async () => {
    for (const damage of ['flip', 'cut', 'gone']) {
      const p = await pack([1000, 1000]);
      const bad = Buffer.from(p.bytes);
      bad[1500] = bad[1500]! ^ 1;
      if (damage === 'gone') await rm(p.path);
      else await writeFile(p.path, damage === 'flip' ? bad : bad.subarray(0, 1500));
      const reports: string[] = [];
      const loader = new InstanceLoader(packBytes([p]), {
        limits,
        onDamaged: (_, where, why) => reports.push(`${where} ${why}`),
      });
      const loaded = await all(loader.load(p.instances));
      loaded.forEach((l, i) => expect(held(l)?.equals(dataset(p, i))).toBe(true));
      expect(reports.length).toBeGreaterThan(0);
      expect(reports.every((r) => r.startsWith('segment'))).toBe(true);
    }
  });

  it('never gives bytes that differ from what was received', async () => {
    const p = await pack([500]);
    const forged = { ...p.instances[0]!, wireDigest: '00'.repeat(32) };
    const [loaded] = await all(new InstanceLoader(packBytes([p]), { limits }).load([forged]));
    expect(loaded).toMatchObject({ how: 'unreadable', reason: 'no readable copy' });
    const [none] = await all(new InstanceLoader(packBytes([p]), { limits }).load([{ ...forged, copies: [] }]));
    expect(none).toMatchObject({ how: 'unreadable', reason: 'no copy' });
  });

  it('uses memory again only after all that was read into it has been released', async () => {
    const p = await pack([1000, 1000, 1000, 1000]);
    const slabs = new Slabs();
    const taken = jest.spyOn(slabs, 'take');
    const given = jest.spyOn(slabs, 'give');
    const digests = new DigestThreads(1);
    const loader = new InstanceLoader(packBytes([p]), { limits: { ...limits, maxRunBytes: 2200 }, slabs, digests });
    const first = await all(loader.load(p.instances));
    // the first alone, two, the rest
    expect(taken).toHaveBeenCalledTimes(3);
    expect(given).not.toHaveBeenCalled();
    for (const one of first.slice(0, 2)) if (one.how === 'held') one.release();
    expect(given).toHaveBeenCalledTimes(1);
    const again = await all(loader.load(p.instances.slice(0, 2)));
    // the second and third run of the first time are still in use
    [...again, first[2]!, first[3]!].forEach((one, i) => expect(held(one)?.equals(dataset(p, i))).toBe(true));
    await digests.close();
  });

  it('compares here when the thread that should has ended', async () => {
    const p = await pack([1000, 1000]);
    const digests = new DigestThreads(1);
    await digests.close();
    const loaded = await all(new InstanceLoader(packBytes([p]), { limits, digests }).load(p.instances));
    loaded.forEach((l, i) => expect(held(l)?.equals(dataset(p, i))).toBe(true));
    const forged = p.instances.map((one) => ({ ...one, wireDigest: '00'.repeat(32) }));
    const none = await all(new InstanceLoader(packBytes([p]), { limits, digests }).load(forged));
    expect(none.map((one) => one.how)).toEqual(['unreadable', 'unreadable']);
  });

  it('streams what is too large, and goes on from the next copy at the same byte', async () => {
    const p = await pack([5000]);
    const broken: ObjectStore = Object.assign(Object.create(store) as ObjectStore, {
      name: 'fs',
      read: (key: string, range: { start: number; end: number }) =>
        store.readRange(key, range.start, Math.min(range.end, range.start + 1700)).then((head) =>
          Readable.from(
            (function* () {
              yield head;
              throw new Error('cut off');
            })(),
          ),
        ),
    });
    const instance = {
      ...p.instances[0]!,
      copies: [p.instances[0]!.copies[0]!, p.instances[0]!.copies[0]!, p.instances[0]!.copies[0]!],
    };
    const cutTwice = new InstanceLoader(packBytes([], broken), { limits });
    expect(await all(cutTwice.load([instance]))).toMatchObject([{ how: 'streamed' }]);
    const chunks = await all(cutTwice.stream(instance, instance.copies[0]!));
    expect(Buffer.concat(chunks).equals(dataset(p, 0))).toBe(true);
    const onlyOnce = { ...instance, copies: [instance.copies[0]!] };
    await expect(all(cutTwice.stream(onlyOnce, onlyOnce.copies[0]!))).rejects.toThrow('cut off');
    // the same object in another encoding has other bytes at that place
    const [first] = instance.copies;
    const otherwise = { ...onlyOnce, copies: [first!, { ...first!, wireDigest: '11'.repeat(32) }] };
    await expect(all(cutTwice.stream(otherwise, first!))).rejects.toThrow('cut off');
  });

  it('takes a copy in another encoding by its own digest', async () => {
    const p = await pack([700]);
    const instance = { ...p.instances[0]!, wireDigest: '22'.repeat(32) };
    const copy = { ...instance.copies[0]!, wireDigest: p.instances[0]!.wireDigest };
    const [loaded] = await all(new InstanceLoader(packBytes([]), { limits }).load([{ ...instance, copies: [copy] }]));
    expect(held(loaded!)?.equals(dataset(p, 0))).toBe(true);
  });

  it.each([[500], [5000]])('reads what its store has lost from the segment only (%i bytes)', async (size) => {
    const p = await pack([size]);
    const lost = { ...p.instances[0]!, copies: [{ ...p.instances[0]!.copies[0]!, missing: true }] };
    const [kept] = await all(new InstanceLoader(packBytes([p]), { limits }).load([lost]));
    expect(kept?.how).toBe(size > limits.maxHeld ? 'streamed' : 'held');
    const [gone] = await all(new InstanceLoader(packBytes([]), { limits }).load([lost]));
    expect(gone).toMatchObject({ how: 'unreadable', reason: 'no readable copy' });
  });
});

/** Takes data sets as a C-STORE SCP would. */
class Receiver implements StoreTarget {
  readonly got: { operation: StoreOperation; bytes: Buffer }[] = [];
  statuses: number[] = [];
  constructor(readonly contexts: AcceptedContext[]) {}

  contextsFor(uid: string): AcceptedContext[] {
    return this.contexts.filter((c) => c.abstractSyntax === uid);
  }

  async store(operation: StoreOperation): Promise<{ status: number }> {
    const chunks: Buffer[] = [];
    for await (const chunk of operation.body) chunks.push(chunk);
    this.got.push({ operation, bytes: Buffer.concat(chunks) });
    return { status: this.statuses.shift() ?? 0 };
  }
}

const context = (transferSyntax: string, id = 1): AcceptedContext => ({
  id,
  abstractSyntax: CT,
  transferSyntax,
  scuRole: true,
  scpRole: true,
});

async function* pages(
  instances: LocatedInstanceV1[],
  per = 2,
  total = instances.length,
): AsyncGenerator<LocateReplyV1> {
  for (let i = 0; i < instances.length || i === 0; i += per) yield { total, instances: instances.slice(i, i + per) };
}

function delivery(
  p: TestPack,
  over: Partial<ConstructorParameters<typeof Delivery>[0]>,
): { delivery: Delivery; results: string[] } {
  const loader = new InstanceLoader(packBytes([p]));
  const results: string[] = [];
  return {
    results,
    delivery: new Delivery({
      loader,
      sender: new InstanceSender(loader, pool),
      target: new Receiver([]),
      signal: new AbortController().signal,
      counted: (result) => results.push(result),
      gaveUp: () => results.push('gave up'),
      ...over,
    }),
  };
}

describe('delivery of a C-GET', () => {
  it('sends every instance whole and counts by the answers', async () => {
    const p = await pack([100, 200, 300, 400, 500]);
    const target = new Receiver([context(ELE, 7)]);
    target.statuses = [0, 0xb000, 0xa700];
    const { delivery: d, results } = delivery(p, { target });
    const responses: RetrieveResponse[] = await all(d.run(pages(p.instances)));
    expect(target.got.map((g) => g.bytes.equals(dataset(p, target.got.indexOf(g))))).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    expect(target.got[0]?.operation).toMatchObject({ contextId: 7, sopInstanceUid: '1.2.1', length: 100 });
    expect(results).toEqual(['completed', 'warning', 'failed', 'completed', 'completed']);
    expect(d.counter?.counts).toEqual({ remaining: 0, completed: 3, failed: 1, warning: 1 });
    expect(d.counter?.failedList).toEqual(['1.2.3']);
    expect(responses[0]).toEqual({ status: 0xff00, counts: { remaining: 4, completed: 1, failed: 0, warning: 0 } });
  });

  it('fails what no accepted context can carry, and an instance without a copy', async () => {
    const p = await pack([100, 100]);
    const { delivery: d } = delivery(p, { target: new Receiver([context('1.2.840.10008.1.2.4.50')]) });
    await all(d.run(pages([p.instances[0]!, { ...p.instances[1]!, copies: [] }])));
    expect(d.counter?.counts.failed).toBe(2);
  });

  it('fetches again what was here and cannot be read any more, where an archive has it', async () => {
    const p = await pack([100, 200, 300, 400]);
    const target = new Receiver([context(ELE)]);
    const gone = (n: number, archives: string[]): LocatedInstanceV1 => {
      const one = p.instances[n]!;
      return { ...one, archives, copies: one.copies.map((copy) => ({ ...copy, packId: 'gone', key: 'gone' })) };
    };
    const asked: string[][] = [];
    const { delivery: d, results } = delivery(p, {
      target,
      async *again(instances) {
        asked.push(instances.map((one) => one.sopInstanceUid));
        const came = p.instances.filter((one) => one.sopInstanceUid === '1.2.1');
        // of the other one no archive had it
        yield* pages([...came, { ...p.instances[2]!, archives: ['north'], copies: [] }], 2, 4);
      },
    });
    const never: LocatedInstanceV1 = { ...p.instances[3]!, archives: ['north'], copies: [] };
    await all(d.run(pages([gone(0, ['north']), p.instances[1]!, gone(2, ['north']), never])));
    expect(asked).toEqual([['1.2.1', '1.2.3']]);
    expect(results).toEqual(['completed', 'failed', 'completed', 'failed']);
    expect(d.counter?.counts).toEqual({ remaining: 0, completed: 2, failed: 2, warning: 0 });
    expect(d.counter?.failedList).toEqual(['1.2.4', '1.2.3']);
    const without = delivery(p, { target });
    await all(without.delivery.run(pages([gone(0, [])])));
    expect(without.results).toEqual(['failed']);
  });

  it('stops between instances when cancelled', async () => {
    const p = await pack([100, 100, 100, 100]);
    const controller = new AbortController();
    const target = new Receiver([context(ELE)]);
    const original = target.store.bind(target);
    target.store = async (operation) => {
      if (target.got.length === 1) controller.abort();
      return original(operation);
    };
    const { delivery: d } = delivery(p, { target, signal: controller.signal });
    await all(d.run(pages(p.instances)));
    expect(d.counter?.counts).toEqual({ remaining: 2, completed: 2, failed: 0, warning: 0 });
    expect(d.counter?.outcome(true)).toBe('cancelled');
  });

  it('ends when the requestor has gone', async () => {
    const p = await pack([100]);
    const target = new Receiver([context(ELE)]);
    target.store = () => Promise.reject(new Error('association lost'));
    await expect(all(delivery(p, { target }).delivery.run(pages(p.instances)))).rejects.toThrow(
      'association to the receiver',
    );
  });
});

describe('delivery of a C-MOVE', () => {
  function destination(connect: () => Promise<Pick<ClientAssociation, 'contexts' | 'store'>>) {
    let connections = 0;
    const d = new MoveDestination({
      connect: async () => {
        connections++;
        const association = await connect();
        return {
          ...association,
          store: association.store,
          release: () => Promise.resolve(),
          abort: () => undefined,
        } as ClientAssociation;
      },
    });
    return { d, connections: () => connections };
  }

  it('names the move originator', async () => {
    const p = await pack([10]);
    const receiver = new Receiver([context(ELE)]);
    const { d } = destination(() => Promise.resolve({ contexts: receiver.contexts, store: (o) => receiver.store(o) }));
    const { delivery: run } = delivery(p, { target: d, destination: d, originator: { aeTitle: 'WS', messageId: 9 } });
    await all(run.run(pages(p.instances)));
    expect(receiver.got[0]?.operation).toMatchObject({ moveOriginatorAeTitle: 'WS', moveOriginatorMessageId: 9 });
    expect(run.counter?.outcome(false)).toBe('success');
  });

  it('fails all by name when the destination cannot be reached', async () => {
    const p = await pack([10, 10, 10]);
    const { d, connections } = destination(() => Promise.reject(new Error('refused')));
    const { delivery: run, results } = delivery(p, { target: d, destination: d });
    await all(run.run(pages(p.instances)));
    expect(run.counter?.failedList).toEqual(['1.2.1', '1.2.2', '1.2.3']);
    expect(run.counter?.outcome(false)).toBe('cannot-send');
    expect(run.trouble).toBe('move destination cannot be reached');
    expect(connections()).toBe(1);
    expect(results).toContain('gave up');
  });

  it('connects again after a loss and repeats the instance', async () => {
    const p = await pack([10, 10, 10]);
    const receiver = new Receiver([context(ELE)]);
    let calls = 0;
    const { d, connections } = destination(() =>
      Promise.resolve({
        contexts: receiver.contexts,
        store: (o: StoreOperation) => (++calls === 2 ? Promise.reject(new Error('lost')) : receiver.store(o)),
      }),
    );
    const { delivery: run } = delivery(p, { target: d, destination: d });
    await all(run.run(pages(p.instances)));
    expect(receiver.got.map((g) => g.operation.sopInstanceUid)).toEqual(['1.2.1', '1.2.2', '1.2.3']);
    expect(connections()).toBe(2);
    expect(run.counter?.outcome(false)).toBe('success');
  });
});

describe('contexts for a destination', () => {
  const instance = (sopClassUid: string, transferSyntaxUid: string): LocatedInstanceV1 => ({
    sopInstanceUid: '1.2',
    sopClassUid,
    wireDigest: '',
    copies: [{ packId: '', store: '', key: '', edgeId: '', datasetOffset: 0, datasetLength: 0, transferSyntaxUid }],
  });

  it('are one for each syntax: as stored, and uncompressed', () => {
    expect(
      neededContexts([instance(CT, '1.2.840.10008.1.2.4.70'), instance(CT, ELE)]).map((c) => c.transferSyntaxes),
    ).toEqual([['1.2.840.10008.1.2.4.70'], [ELE], ['1.2.840.10008.1.2']]);
    expect(neededContexts([instance(CT, ELE)], ['1.2.840.10008.1.2']).map((c) => c.transferSyntaxes)).toEqual([
      ['1.2.840.10008.1.2'],
    ]);
  });

  it('never exceed what one association can have', () => {
    const many = Array.from({ length: 100 }, (_, i) => instance(`1.2.3.${i}`, ELE));
    const parts = batches(many);
    expect(parts.flat()).toEqual(many);
    expect(parts.length).toBe(2);
    for (const part of parts) expect(neededContexts(part).length).toBeLessThanOrEqual(MOST_CONTEXTS);
  });
});

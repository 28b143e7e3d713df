import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import type { DicomJson } from '@archipelago/dicom-core';
import { parseDataset, transcodeNative, writeDataset } from '@archipelago/dicom-encoding';
import {
  AssociationRejectedError,
  type ClientAssociation,
  connect,
  DimseServer,
  type RetrieveResponse,
  type StoreRequest,
} from '@archipelago/dimse';
import { createService } from '@archipelago/platform-service';
import { freePort, generateInstance, type GeneratedInstance, startNats, type TestNats } from '@archipelago/testing';
import { EdgeModule } from './edge.module';
import { TestCentre } from './testing/test-centre';

const ELE = '1.2.840.10008.1.2.1';
const ILE = '1.2.840.10008.1.2';
const CT = '1.2.840.10008.5.1.4.1.1.2';
const STUDY_FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const STUDY_MOVE = '1.2.840.10008.5.1.4.1.2.2.2';
const STUDY_GET = '1.2.840.10008.5.1.4.1.2.2.3';

let home: string;
let nats: TestNats;
let centre: TestCentre;
let app: INestApplication | undefined;
let port: number;
let destinationPort: number;

const spool = (state: string): string[] => readdirSync(join(home, 'spool', state));

async function startEdge(env: Record<string, string> = {}): Promise<void> {
  port = await freePort();
  const own: Record<string, string> = {
    ARCHIPELAGO_HOME: home,
    ARCHIPELAGO_CONFIG: join(home, 'archipelago.yaml'),
    ARCHIPELAGO_NATS_URL: nats.url,
    ARCHIPELAGO_DIMSE_PORT: String(port),
    ARCHIPELAGO_LOG_LEVEL: 'silent',
    ARCHIPELAGO_NATS_START_WAIT_SECONDS: '1',
    ARCHIPELAGO_SHUTDOWN_SECONDS: '2',
    ...env,
  };
  for (const name of Object.keys(process.env)) if (name.startsWith('ARCHIPELAGO_')) delete process.env[name];
  Object.assign(process.env, own);
  app = await createService(EdgeModule, { service: 'dimse-edge' });
  await app.init();
}

async function stopEdge(): Promise<void> {
  await app?.close();
  app = undefined;
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'edge-'));
  nats = await startNats();
  destinationPort = await freePort();
  const peers = [{ aeTitle: 'DEST', name: 'READING-1', host: '127.0.0.1', port: destinationPort }];
  writeFileSync(join(home, 'archipelago.yaml'), JSON.stringify({ peers }));
  mkdirSync(join(home, 'objects'));
}, 60_000);

afterAll(async () => {
  await stopEdge();
  await nats?.stop();
  rmSync(home, { recursive: true, force: true });
}, 30_000);

beforeEach(async () => {
  centre = await TestCentre.start(nats.url, join(home, 'objects'));
  await startEdge();
}, 30_000);

afterEach(async () => {
  await stopEdge();
  await centre.stop();
  rmSync(join(home, 'spool'), { recursive: true, force: true });
}, 30_000);

function associate(
  contexts: { abstractSyntax: string; transferSyntaxes: string[] }[],
  more = {},
): Promise<ClientAssociation> {
  return connect({ host: '127.0.0.1', port, calledAeTitle: 'ARCHIPELAGO', callingAeTitle: 'CT1', contexts, ...more });
}

async function store(
  association: ClientAssociation,
  instance: Pick<GeneratedInstance, 'sopInstanceUid'>,
  dataset: Buffer,
) {
  const [context] = association.contexts;
  return association.store({
    contextId: context!.id,
    sopClassUid: CT,
    sopInstanceUid: instance.sopInstanceUid,
    body: [dataset],
  });
}

/** (0008,0000) alone: a data set that names nothing. */
const GROUP_LENGTH = Buffer.from('08000000554c040000000000', 'hex');
const ct = (index: number, seed = 'edge'): GeneratedInstance =>
  generateInstance({ kind: 'ct', seed, rows: 64, columns: 64, count: 100 }, index);
const storeContext = [{ abstractSyntax: CT, transferSyntaxes: [ELE] }];

async function until(what: () => boolean, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error('did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function storeSome(count: number, seed: string): Promise<GeneratedInstance[]> {
  const association = await associate(storeContext);
  const instances = Array.from({ length: count }, (_, i) => ct(i, seed));
  for (const instance of instances)
    expect(await store(association, instance, instance.dataset())).toMatchObject({ status: 0 });
  await association.release();
  await until(() => centre.instances.length >= count);
  return instances;
}

const studyKeys = (instance: GeneratedInstance): DicomJson => ({
  '00080052': { vr: 'CS', Value: ['STUDY'] },
  '0020000D': { vr: 'UI', Value: [instance.studyInstanceUid] },
});

describe('association', () => {
  it('answers C-ECHO and refuses another called AE title', async () => {
    const association = await associate([{ abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: [ILE] }]);
    expect(await association.echo()).toMatchObject({ status: 0 });
    await association.release();
    const refused = associate(storeContext, { calledAeTitle: 'OTHER' });
    await expect(refused).rejects.toMatchObject({ result: 1, source: 1, reason: 7 });
    await expect(associate(storeContext, { calledAeTitle: 'OTHER' })).rejects.toBeInstanceOf(AssociationRejectedError);
  });

  it('refuses unknown callers where the setting says so', async () => {
    await stopEdge();
    await startEdge({ ARCHIPELAGO_ACCEPT_UNKNOWN_PEERS: 'false' });
    await expect(associate(storeContext)).rejects.toMatchObject({ result: 1, source: 1, reason: 3 });
    const known = await associate(storeContext, { callingAeTitle: 'DEST' });
    await known.release();
  });
});

describe('C-STORE', () => {
  it('keeps, uploads, announces, and makes cache of what is confirmed', async () => {
    const instances = await storeSome(5, 'flow');
    expect(centre.announced[0]).toMatchObject({ entries: 5, store: 'fs', site: 'main', attempt: 1 });
    await until(() => spool('confirmed').length === 1);
    expect(spool('sealed')).toEqual([]);
    expect(spool('open')).toEqual([]);
    expect(centre.instances.map((i) => i.sopInstanceUid)).toEqual(instances.map((i) => i.sopInstanceUid));
  });

  it('seals after a second without an object, while the association stays open', async () => {
    const association = await associate(storeContext);
    const instance = ct(0, 'idle');
    expect(await store(association, instance, instance.dataset())).toMatchObject({ status: 0 });
    await until(() => centre.announced.length === 1, 5_000);
    expect(await store(association, ct(1, 'idle'), ct(1, 'idle').dataset())).toMatchObject({ status: 0 });
    await association.release();
    await until(() => centre.announced.length === 2);
  });

  it('announces again after a restart what was not answered', async () => {
    centre.outcome = null;
    await storeSome(2, 'restart');
    expect(spool('sealed')).toHaveLength(1);
    await stopEdge();
    const before = centre.announced.length;
    centre.outcome = 'indexed';
    await startEdge();
    await until(() => centre.announced.length > before);
    await until(() => spool('confirmed').length === 1);
    expect(new Set(centre.announced.map((a) => a.packId)).size).toBe(1);
  });

  it('uploads again on command what the store has lost', async () => {
    await storeSome(1, 'resend');
    await until(() => spool('confirmed').length === 1);
    const { key, packId, edgeId } = centre.announced[0]!;
    rmSync(join(home, 'objects', key));
    await centre.answer(packId, edgeId, 'resend');
    await until(() => existsSync(join(home, 'objects', key)));
    await until(() => centre.announced.length >= 2);
    await until(() => spool('confirmed').length === 1);
  });

  it('keeps what is rejected, in quarantine', async () => {
    centre.outcome = 'rejected';
    await storeSome(1, 'rejected');
    await until(() => spool('quarantine').length > 0);
    expect(spool('sealed')).toEqual([]);
  });

  it.each([
    ['another instance in the command', (d: Buffer) => d, '1.2.3.4', 0xa901],
    ['a data set cut in the middle of an element', (d: Buffer) => d.subarray(0, d.length - 1001), undefined, 0xc000],
    ['noise', () => Buffer.from('this is no data set, is it?'), undefined, 0xc000],
    ['an empty data set', () => GROUP_LENGTH, undefined, 0xc001],
  ])('refuses %s and keeps nothing of it', async (_, change, uid, status) => {
    const association = await associate(storeContext);
    const instance = ct(0, 'bad');
    const answer = await store(
      association,
      { sopInstanceUid: uid ?? instance.sopInstanceUid },
      change(instance.dataset()),
    );
    expect(answer.status).toBe(status);
    expect(answer.errorComment).toBeTruthy();
    expect(await store(association, instance, instance.dataset())).toMatchObject({ status: 0 });
    await association.release();
    await until(() => centre.announced.length === 1);
    expect(centre.announced[0]!.entries).toBe(1);
  });

  it('keeps nothing of an object whose sender goes away in the middle', async () => {
    const association = await associate(storeContext);
    const instance = ct(0, 'abort');
    expect(await store(association, instance, instance.dataset())).toMatchObject({ status: 0 });
    async function* half(): AsyncGenerator<Buffer> {
      yield instance.dataset().subarray(0, 5000);
      await new Promise((resolve) => setTimeout(resolve, 100));
      association.abort();
    }
    const [context] = association.contexts;
    const lost = association.store({ contextId: context!.id, sopClassUid: CT, sopInstanceUid: '1.2.3', body: half() });
    await expect(lost).rejects.toThrow();
    await until(() => centre.announced.length === 1);
    expect(centre.announced[0]!.entries).toBe(1);
    expect(spool('open')).toEqual([]);
  });

  it('answers A700 when space is short, before and after the data', async () => {
    await stopEdge();
    await startEdge({ ARCHIPELAGO_SPOOL_MIN_FREE_BYTES: String(2 ** 52) });
    const association = await associate(storeContext);
    const answer = await store(association, ct(0), ct(0).dataset());
    expect(answer).toMatchObject({ status: 0xa700, errorComment: 'no space left for images' });
    await association.release();
    expect([...spool('open'), ...spool('sealed')]).toEqual([]);
  });

  it('acknowledges while NATS is away, and delivers afterwards', async () => {
    await centre.stop();
    await nats.kill9();
    const association = await associate(storeContext);
    const instance = ct(0, 'outage');
    expect(await store(association, instance, instance.dataset())).toMatchObject({ status: 0 });
    await association.release();
    await until(() => spool('sealed').length === 1);
    await nats.restart();
    centre = await TestCentre.start(nats.url, join(home, 'objects'));
    await until(() => centre.announced.length > 0, 30_000);
    await until(() => spool('confirmed').length === 1);
  }, 60_000);

  it('keeps a deflated data set as it is, in a pack that can be read', async () => {
    const deflated = '1.2.840.10008.1.2.1.99';
    const instance = generateInstance({
      kind: 'ct',
      seed: 'deflated',
      rows: 64,
      columns: 64,
      transferSyntax: deflated,
    });
    const association = await associate([{ abstractSyntax: CT, transferSyntaxes: [deflated] }]);
    expect(await store(association, instance, instance.dataset())).toMatchObject({ status: 0 });
    await association.release();
    await until(() => centre.instances.length === 1);
    expect(centre.instances[0]?.copies[0]).toMatchObject({
      transferSyntaxUid: deflated,
      datasetLength: instance.dataset().length,
    });
  });

  it('in strict mode answers success only after the catalog has the object', async () => {
    await stopEdge();
    await startEdge({ ARCHIPELAGO_STRICT: 'true', ARCHIPELAGO_STRICT_TIMEOUT_SECONDS: '1' });
    const association = await associate(storeContext);
    expect(await store(association, ct(0, 'strict'), ct(0, 'strict').dataset())).toMatchObject({ status: 0 });
    expect(spool('confirmed')).toHaveLength(1);
    centre.outcome = 'pending';
    expect(await store(association, ct(1, 'strict'), ct(1, 'strict').dataset())).toMatchObject({ status: 0xa702 });
    expect(spool('sealed')).toHaveLength(1);
    await association.release();
  });
});

describe('C-FIND', () => {
  const context = [{ abstractSyntax: STUDY_FIND, transferSyntaxes: [ILE] }];
  const keys = writeDataset({ '00080052': { vr: 'CS', Value: ['STUDY'] }, '0020000D': { vr: 'UI' } }, ILE);

  it('gives all pages and then success', async () => {
    centre.serveSearch(250);
    const association = await associate(context);
    const responses = await all(association.find(STUDY_FIND, keys));
    expect(responses.slice(0, -1).every((r) => r.status === 0xff00)).toBe(true);
    expect(responses.slice(0, -1).map((r) => parseDataset(r.identifier!, ILE).string('StudyInstanceUID'))).toEqual(
      Array.from({ length: 250 }, (_, i) => `1.2.${i}`),
    );
    expect(responses.at(-1)?.status).toBe(0);
    await association.release();
  });

  it('ends with FE00 when cancelled', async () => {
    centre.serveSearch(100_000);
    const association = await associate(context);
    const controller = new AbortController();
    const statuses: number[] = [];
    for await (const response of association.find(STUDY_FIND, keys, controller.signal)) {
      statuses.push(response.status);
      if (statuses.length === 150) controller.abort();
    }
    expect(statuses.at(-1)).toBe(0xfe00);
    expect(statuses.length).toBeLessThan(5000);
    await association.release();
  });

  it('fails within 5 s when nobody answers, and never says "nothing found"', async () => {
    const association = await associate(context);
    const started = Date.now();
    const responses = await all(association.find(STUDY_FIND, keys));
    expect(responses).toMatchObject([{ status: 0xa700, errorComment: 'catalog unavailable' }]);
    expect(Date.now() - started).toBeLessThan(5_000);
    await association.release();
  }, 15_000);

  it('refuses an identifier without a level', async () => {
    const association = await associate(context);
    const none = writeDataset({ '0020000D': { vr: 'UI' } }, ILE);
    expect(await all(association.find(STUDY_FIND, none))).toMatchObject([
      { status: 0xa900, offendingElements: [0x00080052] },
    ]);
    await association.release();
  });
});

describe('C-GET and C-MOVE', () => {
  function receiver(got: Map<string, { request: StoreRequest; bytes: Buffer }>, status = 0) {
    return (request: StoreRequest) => {
      const chunks: Buffer[] = [];
      return {
        write: (chunk: Buffer) => void chunks.push(Buffer.from(chunk)),
        end: () => {
          got.set(request.sopInstanceUid, { request, bytes: Buffer.concat(chunks) });
          return Promise.resolve({ status });
        },
        abort: () => undefined,
      };
    };
  }

  async function get(
    instances: GeneratedInstance[],
    syntaxes: string[],
  ): Promise<{ last: RetrieveResponse; got: Map<string, { bytes: Buffer }> }> {
    const got = new Map<string, { request: StoreRequest; bytes: Buffer }>();
    const association = await associate(
      [
        { abstractSyntax: STUDY_GET, transferSyntaxes: [ILE] },
        { abstractSyntax: CT, transferSyntaxes: syntaxes },
      ],
      { roles: [{ sopClassUid: CT, scuRole: false, scpRole: true }], onStore: receiver(got) },
    );
    const responses = await all(association.get(STUDY_GET, writeDataset(studyKeys(instances[0]!), ILE)));
    await association.release();
    return { last: responses.at(-1)!, got };
  }

  it('gives back the data sets byte for byte, from the segment and from the store', async () => {
    const instances = await storeSome(20, 'get');
    await until(() => spool('confirmed').length === 1);
    for (const from of ['segment', 'store']) {
      if (from === 'store') rmSync(join(home, 'spool', 'confirmed', spool('confirmed')[0]!));
      const { last, got } = await get(instances, [ELE]);
      expect(last).toMatchObject({ status: 0, counts: { completed: 20, failed: 0, warning: 0 } });
      for (const instance of instances)
        expect(got.get(instance.sopInstanceUid)?.bytes.equals(instance.dataset())).toBe(true);
    }
  });

  it('re-encodes for a receiver that takes another syntax', async () => {
    const instances = await storeSome(2, 'implicit');
    const { last, got } = await get(instances, [ILE]);
    expect(last).toMatchObject({ status: 0, counts: { completed: 2 } });
    for (const instance of instances) {
      const expected = Buffer.concat(await all(transcodeNative(chunks(instance.dataset()), ELE, ILE)));
      expect(got.get(instance.sopInstanceUid)?.bytes.equals(expected)).toBe(true);
    }
  });

  it('counts and lists what cannot be had', async () => {
    const instances = await storeSome(3, 'failed');
    centre.instances[1]!.copies = [];
    const { last, got } = await get(instances, [ELE]);
    expect(last).toMatchObject({ status: 0xb000, counts: { completed: 2, failed: 1, warning: 0 } });
    expect(parseDataset(last.identifier!, ILE).strings('FailedSOPInstanceUIDList')).toEqual([
      instances[1]!.sopInstanceUid,
    ]);
    expect(got.size).toBe(2);
  });

  it('moves to a configured peer, names the originator, and says which destination it does not know or reach', async () => {
    const instances = await storeSome(3, 'move');
    const association = await associate([{ abstractSyntax: STUDY_MOVE, transferSyntaxes: [ILE] }]);
    const keys = writeDataset(studyKeys(instances[0]!), ILE);
    expect(await all(association.move(STUDY_MOVE, keys, 'NOBODY'))).toMatchObject([{ status: 0xa801 }]);
    const unreachable = (await all(association.move(STUDY_MOVE, keys, 'DEST'))).at(-1);
    expect(unreachable).toMatchObject({
      status: 0xa702,
      counts: { completed: 0, failed: 3 },
      errorComment: 'move destination cannot be reached',
    });
    const got = new Map<string, { request: StoreRequest; bytes: Buffer }>();
    const server = new DimseServer({
      host: '127.0.0.1',
      port: destinationPort,
      handlers: {
        associate: ({ contexts }) => ({
          accept: true,
          contexts: contexts.map((c) => ({ id: c.id, result: 0 as const, transferSyntax: c.transferSyntaxes[0]! })),
        }),
        store: receiver(got),
      },
    });
    await server.listen();
    try {
      const responses = await all(association.move(STUDY_MOVE, keys, 'DEST'));
      expect(responses.at(-1)).toMatchObject({ status: 0, counts: { completed: 3, failed: 0 } });
      for (const instance of instances)
        expect(got.get(instance.sopInstanceUid)?.bytes.equals(instance.dataset())).toBe(true);
      expect([...got.values()][0]?.request.moveOriginatorAeTitle).toBe('CT1');
      // by the name of the device, whatever its AE title is
      got.clear();
      expect((await all(association.move(STUDY_MOVE, keys, 'READING-1'))).at(-1)).toMatchObject({ status: 0 });
      expect(got.size).toBe(3);
      await association.release();
    } finally {
      await server.close(0);
    }
  });

  it('cannot count without a catalog', async () => {
    await centre.stop();
    const { last } = await get([ct(0)], [ELE]);
    expect(last).toMatchObject({ status: 0xa701, errorComment: 'catalog unavailable' });
  }, 15_000);
});

async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

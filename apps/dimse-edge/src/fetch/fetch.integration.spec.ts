import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import type { ArchiveV1, LocatedInstanceV1 } from '@archipelago/contracts';
import { writeDataset } from '@archipelago/dicom-encoding';
import { connect, DimseServer, type RetrieveResponse } from '@archipelago/dimse';
import { createService } from '@archipelago/platform-service';
import {
  freePort,
  generateInstance,
  type GeneratedInstance,
  startNats,
  startOrthanc,
  type TestNats,
  type TestOrthanc,
} from '@archipelago/testing';
import { EdgeModule } from '../edge.module';
import { TestCentre } from '../testing/test-centre';

const ELE = '1.2.840.10008.1.2.1';
const CT = '1.2.840.10008.5.1.4.1.1.2';
const STUDY_GET = '1.2.840.10008.5.1.4.1.2.2.3';

let home: string;
let nats: TestNats;
let orthanc: TestOrthanc;
let centre: TestCentre;
let app: INestApplication;
let port: number;
const study = Array.from({ length: 12 }, (_, i) =>
  generateInstance({ kind: 'ct', seed: 'through', rows: 64, columns: 64, count: 12 }, i),
);

function archive(over: Partial<ArchiveV1> = {}): ArchiveV1 {
  return {
    name: 'north',
    site: 'main',
    aeTitle: 'ORTHANC',
    host: '127.0.0.1',
    port: orthanc.port,
    tls: false,
    depth: 'image',
    fetchAeTitle: 'ARCHFETCH',
    budget: { associations: 4, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
    state: 'active',
    revision: 1,
    ...over,
  };
}

/** What the catalog would say of instances that archives have and nobody else. */
function remote(instances: readonly GeneratedInstance[], archives: string[]): LocatedInstanceV1[] {
  return instances.map((one) => ({
    sopInstanceUid: one.sopInstanceUid,
    sopClassUid: CT,
    studyInstanceUid: one.studyInstanceUid,
    seriesInstanceUid: one.seriesInstanceUid,
    wireDigest: '',
    copies: [],
    archives,
  }));
}

async function startEdge(): Promise<void> {
  const own: Record<string, string> = {
    ARCHIPELAGO_HOME: home,
    ARCHIPELAGO_CONFIG: join(home, 'archipelago.yaml'),
    ARCHIPELAGO_NATS_URL: nats.url,
    ARCHIPELAGO_DIMSE_PORT: String(port),
    ARCHIPELAGO_LOG_LEVEL: process.env['PROBE_LOG'] ?? 'silent',
    ARCHIPELAGO_NATS_START_WAIT_SECONDS: '1',
    ARCHIPELAGO_SHUTDOWN_SECONDS: '2',
    ARCHIPELAGO_FETCH_TIMEOUT_SECONDS: '3',
  };
  for (const name of Object.keys(process.env)) if (name.startsWith('ARCHIPELAGO_')) delete process.env[name];
  Object.assign(process.env, own);
  app = await createService(EdgeModule, { service: 'dimse-edge' });
  await app.init();
  await app.startAllMicroservices();
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'fetch-'));
  port = await freePort();
  nats = await startNats();
  orthanc = await startOrthanc({ peers: { fetch: { aet: 'ARCHFETCH', port } } });
  for (const one of study) await orthanc.rest('POST', '/instances', one.part10());
  writeFileSync(join(home, 'archipelago.yaml'), '{}');
  mkdirSync(join(home, 'objects'));
}, 60_000);

afterAll(async () => {
  await orthanc?.stop();
  await nats?.stop();
  rmSync(home, { recursive: true, force: true });
}, 30_000);

beforeEach(async () => {
  centre = await TestCentre.start(nats.url, join(home, 'objects'));
  centre.archives = [archive()];
  await startEdge();
}, 30_000);

afterEach(async () => {
  await app.close();
  await centre.stop();
  rmSync(join(home, 'spool'), { recursive: true, force: true });
}, 30_000);

interface Got {
  last: RetrieveResponse;
  datasets: Map<string, Buffer>;
  seconds: number;
}

async function get(): Promise<Got> {
  const datasets = new Map<string, Buffer>();
  const started = performance.now();
  const association = await connect({
    host: '127.0.0.1',
    port,
    calledAeTitle: 'ARCHIPELAGO',
    callingAeTitle: 'WS',
    contexts: [
      { abstractSyntax: STUDY_GET, transferSyntaxes: [ELE] },
      { abstractSyntax: CT, transferSyntaxes: [ELE] },
    ],
    roles: [{ sopClassUid: CT, scuRole: false, scpRole: true }],
    onStore: (request) => {
      const chunks: Buffer[] = [];
      return {
        write: (chunk) => void chunks.push(Buffer.from(chunk)),
        end: () => {
          datasets.set(request.sopInstanceUid, Buffer.concat(chunks));
          return Promise.resolve({ status: 0 });
        },
        abort: () => undefined,
      };
    },
  });
  const identifier = writeDataset(
    { '00080052': { vr: 'CS', Value: ['STUDY'] }, '0020000D': { vr: 'UI', Value: [study[0]!.studyInstanceUid] } },
    ELE,
  );
  let last: RetrieveResponse | undefined;
  for await (const response of association.get(STUDY_GET, identifier)) last = response;
  await association.release();
  return { last: last!, datasets, seconds: (performance.now() - started) / 1000 };
}

function expectWhole({ last, datasets }: Got): void {
  expect(last).toMatchObject({ status: 0, counts: { completed: study.length, failed: 0, warning: 0 } });
  for (const one of study) expect(datasets.get(one.sopInstanceUid)?.equals(one.dataset())).toBe(true);
}

async function until(what: () => boolean, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error('did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('retrieval of what only an archive has', () => {
  it('by C-GET: whole, byte for byte, and kept as fetched packs of one study', async () => {
    centre.instances.push(...remote(study, ['north']));
    expectWhole(await get());
    await until(() => centre.announced.length > 0);
    expect(centre.fetches).toEqual([{ study: study[0]!.studyInstanceUid, archive: 'north' }]);
    expect(centre.announced.reduce((sum, pack) => sum + pack.entries, 0)).toBe(study.length);
  });

  it('by C-MOVE to the fetch AE title where it offers no C-GET', async () => {
    centre.archives = [archive({ capabilities: capabilities({ get: false }) })];
    centre.instances.push(...remote(study, ['north']));
    // the edge learns who may call its fetch AE title
    await until(() => readdirSync(join(home, 'spool')).includes('archives.json'));
    expectWhole(await get());
  });

  it('also where copies were here when it was located, and are gone when they are read', async () => {
    const gone = remote(study, ['north']).map((one) => ({
      ...one,
      copies: [
        {
          packId: randomUUID(),
          store: 'fs',
          key: 'main/gone.pack',
          edgeId: randomUUID(),
          datasetOffset: 4096,
          datasetLength: 1000,
          transferSyntaxUid: ELE,
          wireDigest: '00',
        },
      ],
    }));
    centre.instances.push(...gone);
    expectWhole(await get());
    expect(centre.fetches.length).toBe(1);
  });

  it('once for many callers', async () => {
    centre.instances.push(...remote(study, ['north']));
    for (const got of await Promise.all(Array.from({ length: 20 }, () => get()))) expectWhole(got);
    expect(centre.fetches.length).toBe(1);
  });

  it('from the next archive, when the first cannot be reached', async () => {
    centre.archives = [archive({ name: 'down', port: await freePort() }), archive()];
    centre.instances.push(...remote(study, ['down', 'north']));
    expectWhole(await get());
    expect(centre.fetches.map((one) => one.archive)).toEqual(['down', 'north']);
  });

  it('says what failed when no archive can give it', async () => {
    centre.archives = [archive({ name: 'down', port: await freePort() })];
    centre.instances.push(...remote(study, ['down']));
    const { last } = await get();
    expect(last).toMatchObject({ status: 0xa702, counts: { completed: 0, failed: study.length } });
    expect(last.errorComment).toBe('archive down: archive-unreachable');
  });

  it('what is known by its study only is asked for first', async () => {
    centre.shallow = [{ archive: 'north', studyInstanceUid: study[0]!.studyInstanceUid }];
    expectWhole(await get());
  });

  it('gives a hung archive up in time', async () => {
    const silent = new DimseServer({
      host: '127.0.0.1',
      port: 0,
      handlers: { associate: acceptAll, get: hang },
    });
    const { port: hungPort } = await silent.listen();
    try {
      centre.archives = [archive({ name: 'hung', port: hungPort }), archive()];
      centre.instances.push(...remote(study, ['hung', 'north']));
      const got = await get();
      expectWhole(got);
      expect(got.seconds).toBeLessThan(9);
    } finally {
      await silent.close(100);
    }
  }, 30_000);

  it('believes no archive that sends another study', async () => {
    const liar = new DimseServer({
      host: '127.0.0.1',
      port: 0,
      handlers: {
        associate: acceptAll,
        async *get(request) {
          const other = generateInstance({ kind: 'ct', seed: 'other', rows: 8, columns: 8 }, 0);
          const [context] = request.storeContexts.filter((c) => c.abstractSyntax === CT && c.transferSyntax === ELE);
          const { status } = await request.store({
            contextId: context!.id,
            sopClassUid: CT,
            sopInstanceUid: other.sopInstanceUid,
            body: [other.dataset()],
          });
          yield { status: 0xb000, counts: { remaining: 0, completed: 0, failed: status === 0 ? 0 : 1, warning: 0 } };
        },
      },
    });
    const { port: liarPort } = await liar.listen();
    try {
      centre.archives = [archive({ name: 'liar', port: liarPort })];
      centre.instances.push(...remote(study, ['liar']));
      const { last, datasets } = await get();
      expect(last.counts).toMatchObject({ completed: 0, failed: study.length });
      expect(datasets.size).toBe(0);
      expect(centre.announced).toEqual([]);
    } finally {
      await liar.close(100);
    }
  });

  it('an archive on its fetch AE title may store, and ask nothing', async () => {
    await until(() => readdirSync(join(home, 'spool')).includes('archives.json'));
    const association = await connect({
      host: '127.0.0.1',
      port,
      calledAeTitle: 'ARCHFETCH',
      callingAeTitle: 'ORTHANC',
      contexts: [
        { abstractSyntax: CT, transferSyntaxes: [ELE] },
        { abstractSyntax: STUDY_GET, transferSyntaxes: [ELE] },
      ],
    });
    expect(association.contexts.map((c) => c.abstractSyntax)).toEqual([CT]);
    await association.release();
    const stranger = connect({
      host: '127.0.0.1',
      port,
      calledAeTitle: 'ARCHFETCH',
      callingAeTitle: 'SOMEBODY',
      contexts: [{ abstractSyntax: CT, transferSyntaxes: [ELE] }],
    });
    await expect(stranger).rejects.toThrow();
  });
});

function capabilities(over: Partial<NonNullable<ArchiveV1['capabilities']>>): NonNullable<ArchiveV1['capabilities']> {
  return {
    probedAt: new Date().toISOString(),
    reachable: true,
    find: { patientRoot: true, studyRoot: true, relational: false },
    get: true,
    move: true,
    getWithoutBulkData: false,
    dicomWeb: false,
    ...over,
  };
}

type Accept = NonNullable<ConstructorParameters<typeof DimseServer>[0]['handlers']['associate']>;

const acceptAll: Accept = (request) => ({
  accept: true,
  contexts: request.contexts.map((c) => ({ id: c.id, result: 0, transferSyntax: c.transferSyntaxes[0]! })),
  roles: request.roles,
});

async function* hang(): AsyncGenerator<RetrieveResponse> {
  await new Promise(() => undefined);
  yield { status: 0, counts: { remaining: 0, completed: 0, failed: 0, warning: 0 } };
}

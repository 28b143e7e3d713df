import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import {
  PackAnswered,
  PackSealed,
  RouteDrop,
  RouteList,
  RouteRetry,
  RouteSend,
  type PackSealedV1,
  type RouteSendV1,
  type RouteSentV1,
  type RouteV1,
} from '@archipelago/contracts';
import { HeaderReader, writeDataset } from '@archipelago/dicom-encoding';
import { Spool, type SealedPack } from '@archipelago/pack';
import { Bus, SiteResponders } from '@archipelago/platform-bus';
import { createService, PermanentError } from '@archipelago/platform-service';
import { createObjectStore, Database, type ObjectStore } from '@archipelago/platform-storage';
import { eventually, generateStudy, startNats, startPostgres, type GeneratedInstance } from '@archipelago/testing';
import { IngestModule } from '../index';

jest.setTimeout(120_000);

const RULES = `
version: 1
rules:
  - id: corrected
    scope: { site: [main] }
    when: tags.StudyDescription == "ROUTED"
    actions:
      - set: { StudyDescription: corrected }
  - id: to-ward
    scope: { site: [main] }
    when: tags.StudyDescription == "corrected"
    actions:
      - route: { workstation: [WARD] }
  - id: to-both
    scope: { site: [main] }
    when: tags.StudyDescription == "BOTH"
    actions:
      - route: { archive: [north], workstation: [WARD] }
`;
const EDGE = randomUUID();

describe('routes, with a real NATS and PostgreSQL', () => {
  let stops: (() => Promise<unknown>)[] = [];
  let dir: string;
  let app: INestApplication;
  let spool: Spool;
  let store: ObjectStore;
  let database: Database;
  const orders: RouteSendV1[] = [];
  let answer: (order: RouteSendV1) => RouteSentV1 | Promise<RouteSentV1>;
  const all = ({ sopInstanceUids }: RouteSendV1): RouteSentV1 => ({
    ...{ sent: sopInstanceUids.length, withheld: 0, failed: [], left: [] },
  });

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'archipelago-routes-'));
    const [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
    const [config, rules] = [join(dir, 'archipelago.yaml'), join(dir, 'rules.yaml')];
    writeFileSync(rules, RULES);
    writeFileSync(
      config,
      JSON.stringify({
        peers: [{ aeTitle: 'WARD1', name: 'WARD', host: '127.0.0.1', port: 11112 }],
        archives: [{ name: 'north', aeTitle: 'NORTHPACS', host: '127.0.0.1', port: 11113 }],
      }),
    );
    Object.assign(process.env, {
      ARCHIPELAGO_NATS_URL: nats.url,
      ARCHIPELAGO_DATABASE_URL: postgres.url,
      ARCHIPELAGO_OBJECT_STORE: `fs:${join(dir, 'objects')}`,
      ARCHIPELAGO_CONFIG: config,
      ARCHIPELAGO_RULES: rules,
      ARCHIPELAGO_LOG_LEVEL: 'silent',
      ARCHIPELAGO_SWEEP_MINUTES: '0',
    });
    mkdirSync(join(dir, 'spool'));
    store = createObjectStore(`fs:${join(dir, 'objects')}`);
    spool = await Spool.open({ dir: join(dir, 'spool'), site: 'main', minFreeBytes: 1 });
    await spool.recover();
    app = await createService(IngestModule, { service: 'ingest' });
    await app.init();
    await app.startAllMicroservices();
    database = app.get(Database);
    stops = [() => app.close(), () => spool.close(), () => nats.stop(), () => postgres.stop()];
    // in place of an edge
    app.get(SiteResponders).answer(RouteSend, {}, async (order) => {
      orders.push(order);
      return answer(order);
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
  });
  afterAll(async () => {
    for (const stop of stops) await stop();
    for (const name of ['ARCHIPELAGO_CONFIG', 'ARCHIPELAGO_RULES']) delete process.env[name];
    rmSync(dir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    await database.query('DELETE FROM route');
    orders.length = 0;
    answer = all;
  });

  const study = (seed: string, description: string, count = 3): GeneratedInstance[] => [
    ...generateStudy({
      seed,
      count,
      rows: 8,
      columns: 8,
      adjust: ({ header }) => header.put({ StudyDescription: description }),
    }),
  ];

  async function seal(
    instances: readonly GeneratedInstance[],
    from: { callingAeTitle?: string; origin?: 'acquired' | 'fetched' } = {},
  ): Promise<PackSealedV1> {
    const { callingAeTitle = 'CT1', origin = 'acquired' } = from;
    const segment = spool.openSegment();
    for (const instance of instances) {
      const { sopClassUid, sopInstanceUid, transferSyntaxUid } = instance;
      const entry = await segment.begin({
        ...{ origin, callingAeTitle, sopClassUid, sopInstanceUid, transferSyntaxUid },
        source: origin === 'fetched' ? 'north' : 'archipelago',
        calledAeTitle: 'ARCHIPELAGO',
        remoteAddress: '127.0.0.1',
        site: 'main',
        receivedAt: new Date().toISOString(),
        warnings: [],
      });
      const dataset = instance.dataset();
      const reader = new HeaderReader(transferSyntaxUid);
      reader.push(dataset);
      await entry.write(dataset);
      await entry.commit(reader.end());
    }
    return announcementOf((await segment.seal())!);
  }

  async function announcementOf(pack: SealedPack): Promise<PackSealedV1> {
    const key = `packs/main/2026/11/27/${pack.packId}.pack`;
    await store.putFile(key, pack.path, pack);
    const { packId, bytes, tailOffset, entries, sha256, sealedAt } = pack;
    return {
      ...{ packId, bytes, tailOffset, entries, sha256, sealedAt, key },
      ...{ edgeId: EDGE, site: 'main', store: store.name, attempt: 1 },
    };
  }

  /** What an edge writes of an archive's answers at image level. */
  async function sealAnswers(instances: readonly GeneratedInstance[]): Promise<PackSealedV1> {
    const segment = spool.openSegment();
    for (const { sopClassUid, sopInstanceUid, studyInstanceUid, seriesInstanceUid, patientId } of instances) {
      const entry = await segment.begin({
        ...{ origin: 'fetched', source: 'north', harvest: 'image', sopInstanceUid, site: 'main', warnings: [] },
        ...{ callingAeTitle: 'ARCHIPELAGO', calledAeTitle: 'NORTHPACS', remoteAddress: '127.0.0.1' },
        sopClassUid: '1.2.840.10008.5.1.4.1.2.2.1',
        transferSyntaxUid: '1.2.840.10008.1.2.1',
        receivedAt: new Date().toISOString(),
      });
      const ui = (uid: string): { vr: 'UI'; Value: string[] } => ({ vr: 'UI', Value: [uid] });
      const said = { '00080016': ui(sopClassUid), '00080018': ui(sopInstanceUid), '0020000D': ui(studyInstanceUid) };
      const dataset = writeDataset(
        { ...said, '0020000E': ui(seriesInstanceUid), '00100020': { vr: 'LO', Value: [patientId] } },
        '1.2.840.10008.1.2.1',
      );
      const reader = new HeaderReader('1.2.840.10008.1.2.1');
      reader.push(dataset);
      await entry.write(dataset);
      await entry.commit(reader.end());
    }
    return announcementOf((await segment.seal())!);
  }

  async function index(announcement: PackSealedV1): Promise<void> {
    let indexed = false;
    const heard = app.get(Bus).subscribe(PackAnswered, {}, ({ packId, outcome }) => {
      indexed ||= packId === announcement.packId && outcome === 'indexed';
    });
    await app.get(Bus).publish(PackSealed, announcement);
    await eventually('indexed', () => Promise.resolve(indexed), 20_000, 10);
    heard.unsubscribe();
  }

  async function waiting(failed = false): Promise<RouteV1[]> {
    const { routes } = await app.get(Bus).request(RouteList, { failed }, { timeoutMs: 5_000 });
    return routes;
  }
  const retry = (destination: string): Promise<{ count: number }> =>
    app.get(Bus).request(RouteRetry, { destination }, { timeoutMs: 5_000 });
  const gone = (): Promise<unknown> => eventually('all sent', async () => (await waiting()).length === 0, 20_000, 50);
  const row = async (): Promise<{ refusals: number; away: boolean }> => {
    const { rows } = await database.query('SELECT refusals, unreachable_since IS NOT NULL AS away FROM route');
    return rows[0] as { refusals: number; away: boolean };
  };
  const uidsOf = (list: readonly { sopInstanceUid: string }[]): string[] =>
    list.map((one) => one.sopInstanceUid).sort();
  const sentUids = (): string[] => orders.flatMap((one) => one.sopInstanceUids).sort();
  const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_500));

  it('what arrives is sent where rules say, by the values that count, once', async () => {
    const instances = study('one', 'ROUTED', 250);
    const announcement = await seal(instances);
    await index(announcement);
    await gone();
    expect(orders.map((one) => one.sopInstanceUids.length).sort()).toEqual([100, 100, 50]);
    expect(sentUids()).toEqual(uidsOf(instances));
    expect(orders[0]).toMatchObject({
      destination: { kind: 'workstation', name: 'WARD' },
      studyInstanceUid: instances[0]!.studyInstanceUid,
    });
    // told of again, and the same objects once more in another pack
    await index(announcement);
    await index(await seal(instances));
    await quiet();
    expect(orders).toHaveLength(3);
  });

  it('nothing else is: other studies, what was fetched, what the destination sent itself', async () => {
    await index(await seal(study('two', 'OTHER')));
    await index(await seal(study('three', 'ROUTED'), { origin: 'fetched', callingAeTitle: 'NORTHPACS' }));
    await index(await seal(study('four', 'ROUTED'), { callingAeTitle: 'WARD1' }));
    await quiet();
    expect(orders).toEqual([]);
    expect(await waiting()).toEqual([]);
  });

  it('only what was not taken is tried again, and is given up at last and told of', async () => {
    const instances = study('five', 'ROUTED', 5);
    const [refused, late] = uidsOf(instances) as [string, string];
    answer = ({ sopInstanceUids }) => {
      const [failed, left] = [refused, late].map((uid) => sopInstanceUids.filter((one) => one === uid));
      return { sent: sopInstanceUids.length - 2, withheld: 0, failed: failed!, left: left! };
    };
    await index(await seal(instances));
    await eventually('refused', async () => (await waiting())[0]?.code === 'refused', 20_000, 50);
    expect(await waiting()).toMatchObject([{ state: 'waiting', instances: 2, rule: 'to-ward', destination: 'WARD' }]);
    answer = ({ sopInstanceUids }) => ({ sent: 0, withheld: 0, failed: sopInstanceUids, left: [] });
    for (let refusals = 2; refusals <= 5; refusals++) {
      await database.query('UPDATE route SET due_at = clock_timestamp()');
      const counted = async (): Promise<boolean> => (await row()).refusals === refusals;
      await eventually(`refused ${refusals} times`, counted, 20_000, 20);
    }
    await eventually('given up', async () => (await waiting(true)).length === 1, 20_000, 50);
    expect(orders.at(-1)!.sopInstanceUids.sort()).toEqual([refused, late].sort());
    answer = all;
    await quiet();
    const tries = orders.length;
    expect(await waiting(true)).toMatchObject([{ state: 'failed', code: 'refused' }]);
    expect(await retry('WARD')).toEqual({ count: 1 });
    await gone();
    expect(orders).toHaveLength(tries + 1);
  });

  it('a destination that is away costs no try until a day is over; an order that is refused is given up at once', async () => {
    answer = ({ sopInstanceUids }) => ({
      sent: 0,
      withheld: 0,
      failed: [],
      left: sopInstanceUids,
      unreachable: 'away',
    });
    await index(await seal(study('six', 'ROUTED')));
    const since = async (seconds: number): Promise<void> => {
      const before = orders.length;
      await database.query(
        'UPDATE route SET due_at = clock_timestamp(), unreachable_since = clock_timestamp() - make_interval(secs => $1)',
        [seconds],
      );
      await eventually('tried', () => Promise.resolve(orders.length > before), 20_000, 20);
      await quiet();
    };
    await eventually('noted', async () => (await waiting())[0]?.code === 'unreachable', 20_000, 50);
    await since(86_000);
    expect(await waiting(true)).toEqual([]);
    await since(86_500);
    expect(await waiting(true)).toMatchObject([{ code: 'unreachable', instances: 3 }]);
    answer = () => Promise.reject(new PermanentError('destination-unknown', 'not a peer'));
    await retry('WARD');
    await eventually('refused', async () => (await waiting(true))[0]?.code === 'destination-unknown', 20_000, 50);
    const ids = (await waiting(true)).map((one) => one.id);
    expect(await app.get(Bus).request(RouteDrop, { ids }, { timeoutMs: 5_000 })).toEqual({ count: 1 });
    expect(await waiting()).toEqual([]);
  });

  it('a destination that is away is tried once in each pause, however much waits for it, and all is given up together', async () => {
    answer = ({ sopInstanceUids }) => ({
      sent: 0,
      withheld: 0,
      failed: [],
      left: sopInstanceUids,
      unreachable: 'away',
    });
    await index(await seal(study('eight', 'ROUTED', 250)));
    await eventually('noted', async () => (await waiting()).some((one) => one.code === 'unreachable'), 20_000, 50);
    await index(await seal(study('nine', 'ROUTED')));
    await quiet();
    expect(orders).toHaveLength(1);
    expect(await waiting()).toHaveLength(4);
    await database.query(
      `UPDATE route SET unreachable_since = clock_timestamp() - interval '25 h', due_at = clock_timestamp() WHERE cardinality(instances) > 3`,
    );
    await eventually('given up', async () => (await waiting(true)).length === 3, 20_000, 50);
    expect(orders).toHaveLength(2);
    // what came later has a day of its own
    expect((await waiting()).filter((one) => one.state === 'waiting')).toMatchObject([{ instances: 3 }]);
    answer = all;
    await retry('WARD');
    await gone();
  });

  it('an archive gets nothing that it has, and nothing while the registry does not answer: that costs no try', async () => {
    const instances = study('seven', 'BOTH', 4);
    await index(await sealAnswers(instances.slice(0, 2)));
    await index(await seal(instances));
    await eventually('sent to the ward', () => Promise.resolve(orders.length === 1), 20_000, 50);
    expect(sentUids()).toEqual(uidsOf(instances));
    await quiet();
    expect(orders).toHaveLength(1);
    expect(await waiting()).toMatchObject([{ kind: 'archive', destination: 'north', instances: 2, state: 'waiting' }]);
    expect(await row()).toEqual({ refusals: 0, away: false });
  });

  it('what a worker had when it died is sent by another when its lease is over', async () => {
    await database.query(
      `INSERT INTO route (kind, destination, site, rule, study, instances, leased_until, lease)
       VALUES ('workstation', 'WARD', 'main', 'r', '1.2.3', '{1.2.3.4}', clock_timestamp() + interval '2 s', gen_random_uuid())`,
    );
    // another of the same destination waits for it
    await database.query(
      `INSERT INTO route (kind, destination, site, rule, study, instances) VALUES ('workstation', 'WARD', 'main', 'r', '1.2.3', '{1.2.3.5}')`,
    );
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(orders).toEqual([]);
    await gone();
    expect(sentUids()).toEqual(['1.2.3.4', '1.2.3.5']);
  });
});

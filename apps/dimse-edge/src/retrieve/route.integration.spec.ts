import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import { RouteSend, type ArchiveV1, type RouteDestinationV1, type RouteSentV1 } from '@archipelago/contracts';
import { connect, DimseServer, type DimseStatus, type StoreRequest, type StoreSink } from '@archipelago/dimse';
import { ANY_OF_SITE, Bus } from '@archipelago/platform-bus';
import { createService } from '@archipelago/platform-service';
import { eventually, freePort, generateStudy, startNats, type TestNats } from '@archipelago/testing';
import { EdgeModule } from '../edge.module';
import { TestCentre } from '../testing/test-centre';

jest.setTimeout(60_000);

const ELE = '1.2.840.10008.1.2.1';
const CT = '1.2.840.10008.5.1.4.1.1.2';
const study = [...generateStudy({ kind: 'ct', seed: 'routed', count: 5, rows: 16, columns: 16 })];
const uids = study.map((one) => one.sopInstanceUid);

let home: string;
let nats: TestNats;
let centre: TestCentre;
let app: INestApplication;
let port: number;
let destination: DimseServer;
let destinationPort: number;
let answer: (uid: string) => DimseStatus | 'abort';
/** Associations are rejected from then on. */
let refusing: () => boolean;
const got: string[] = [];

function sink({ sopInstanceUid }: StoreRequest, abort: () => void): StoreSink {
  return {
    write: () => undefined,
    end: () => {
      const said = answer(sopInstanceUid);
      if (said === 'abort') {
        abort();
        return new Promise(() => undefined);
      }
      if (said.status === 0) got.push(sopInstanceUid);
      return Promise.resolve(said);
    },
    abort: () => undefined,
  };
}

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'edge-route-'));
  mkdirSync(join(home, 'objects'));
  port = await freePort();
  nats = await startNats();
  destination = new DimseServer({
    host: '127.0.0.1',
    port: 0,
    handlers: {
      associate: (request) =>
        refusing()
          ? { accept: false, result: 2, source: 3, reason: 1 }
          : {
              accept: true,
              contexts: request.contexts.map((c) => ({ id: c.id, result: 0, transferSyntax: c.transferSyntaxes[0]! })),
              roles: request.roles,
            },
      store: (request) => sink(request, () => request.association.abort()),
    },
  });
  ({ port: destinationPort } = await destination.listen());
  writeFileSync(
    join(home, 'archipelago.yaml'),
    JSON.stringify({
      peers: [
        { aeTitle: 'WARDSCP', name: 'WARD', host: '127.0.0.1', port: destinationPort },
        { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() },
        { aeTitle: 'CT1' },
      ],
    }),
  );
  for (const name of Object.keys(process.env)) if (name.startsWith('ARCHIPELAGO_')) delete process.env[name];
  Object.assign(process.env, {
    ARCHIPELAGO_HOME: home,
    ARCHIPELAGO_CONFIG: join(home, 'archipelago.yaml'),
    ARCHIPELAGO_NATS_URL: nats.url,
    ARCHIPELAGO_DIMSE_PORT: String(port),
    ARCHIPELAGO_LOG_LEVEL: 'silent',
    ARCHIPELAGO_SHUTDOWN_SECONDS: '2',
  });
  centre = await TestCentre.start(nats.url, join(home, 'objects'));
  app = await createService(EdgeModule, { service: 'dimse-edge' });
  await app.init();
  await app.startAllMicroservices();
  const modality = await connect({
    host: '127.0.0.1',
    port,
    calledAeTitle: 'ARCHIPELAGO',
    callingAeTitle: 'CT1',
    contexts: [{ abstractSyntax: CT, transferSyntaxes: [ELE] }],
  });
  for (const one of study) {
    const { sopClassUid, sopInstanceUid } = one;
    await modality.store({ contextId: modality.contexts[0]!.id, sopClassUid, sopInstanceUid, body: [one.dataset()] });
  }
  await modality.release();
  await eventually('stored', () => Promise.resolve(centre.instances.length === study.length));
});

afterAll(async () => {
  await app?.close();
  await centre?.stop();
  await destination?.close(100);
  await nats?.stop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(() => {
  got.length = 0;
  answer = () => ({ status: 0 });
  refusing = () => false;
});

function send(to: RouteDestinationV1, more: string[] = [], ordered = uids): Promise<RouteSentV1> {
  const request = {
    destination: to,
    studyInstanceUid: study[0]!.studyInstanceUid,
    sopInstanceUids: [...ordered, ...more],
    withinMs: 20_000,
  };
  return app.get(Bus).request(RouteSend, request, { site: 'main', partition: ANY_OF_SITE, timeoutMs: 25_000 });
}
const ward: RouteDestinationV1 = { kind: 'workstation', name: 'WARD' };
const archiveAt = (port: number): RouteDestinationV1 => ({
  kind: 'archive',
  archive: {
    ...{ name: 'north', site: 'main', aeTitle: 'NORTHPACS', host: '127.0.0.1', port, tls: false, depth: 'image' },
    fetchAeTitle: 'ARCHFETCH',
    budget: { associations: 2, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
    state: 'active',
    revision: 1,
  } satisfies ArchiveV1,
});

describe('what rules route', () => {
  it('is sent to a workstation by its name, to an archive, and what the catalog does not name is withheld', async () => {
    expect(await send(ward, ['1.2.3.4'])).toEqual({ sent: 5, withheld: 1, failed: [], left: [] });
    expect([...got].sort()).toEqual([...uids].sort());
    got.length = 0;
    expect(await send(archiveAt(destinationPort))).toEqual({ sent: 5, withheld: 0, failed: [], left: [] });
    expect(got).toHaveLength(5);
  });

  it('that is refused is named, each by itself', async () => {
    answer = (uid) => ({ status: uid === uids[1] || uid === uids[3] ? 0xa700 : 0 });
    const sent = await send(ward);
    expect(sent).toMatchObject({ sent: 3, withheld: 0, left: [] });
    expect([...sent.failed].sort()).toEqual([uids[1]!, uids[3]!].sort());
  });

  it('is sent past one that the destination breaks over, which is refused when it comes again and again', async () => {
    answer = (uid) => (uid === uids[0] ? 'abort' : { status: 0 });
    // the order is that of the order: first it is in the way, then it is not
    expect(await send(ward)).toEqual({ sent: 0, withheld: 0, failed: [uids[0]], left: uids.slice(1) });
    expect(await send(ward, [], [...uids.slice(1), uids[0]!])).toEqual({
      ...{ sent: 4, withheld: 0, failed: [uids[0]], left: [] },
    });
    expect([...got].sort()).toEqual([...uids.slice(1)].sort());
  });

  it('is left, and not refused, when the destination is lost or not there', async () => {
    let took = 0;
    refusing = () => took >= 2;
    answer = () => (took++ < 2 ? { status: 0 } : 'abort');
    const lost = await send(ward);
    expect(lost).toMatchObject({ sent: 2, failed: [], unreachable: 'the destination cannot be reached' });
    expect(lost.left).toHaveLength(3);
    const away = await send({ kind: 'workstation', name: 'NOBODY' });
    expect(away).toMatchObject({ sent: 0, failed: [], left: uids, unreachable: 'the destination cannot be reached' });
    const archive = await send(archiveAt(await freePort()));
    expect(archive).toMatchObject({ sent: 0, failed: [], unreachable: 'the destination cannot be reached' });
    expect(archive.left).toHaveLength(5);
  });

  it('to nobody that the site file knows with an address is an order that is refused', async () => {
    await expect(send({ kind: 'workstation', name: 'CT1' })).rejects.toMatchObject({ code: 'destination-unknown' });
  });
});

/**
 * Two edges of a site behind a proxy that deals connections out in turn, and archives that only offer C-MOVE: what one edge
 * asks for arrives at either.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  eventually,
  freePort,
  runDcmtk,
  startDcmqrscp,
  startProxy,
  startSystem,
  type TestDcmqrscp,
  type TestProxy,
  type TestSystem,
} from '@archipelago/testing';
import { Client } from 'pg';
import { study, ui } from './support/federation';
import { valueOf, Workstation } from './support/workstation';

jest.setTimeout(180_000);

const CT = '1.2.840.10008.5.1.4.1.1.2';
const studies = Array.from({ length: 6 }, (_, n) =>
  study(`two edges ${n}`, { PatientID: `M-${n}`, PatientName: `ROUND^ROBIN${n}`, StudyDate: `2024020${n + 1}` }, 12),
);

let root: string;
let archive: TestDcmqrscp;
let proxy: TestProxy;
let system: TestSystem;
let database: Client;
let readers: Workstation[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'archipelago-two-edges-'));
  const inFront = await freePort();
  archive = await startDcmqrscp({
    aet: 'MOVEONLY',
    peers: [{ aet: 'ARCHFETCH', port: inFront }],
    args: ['--disable-get'],
  });
  for (const [n, one] of studies.entries()) {
    const folder = join(root, String(n));
    mkdirSync(folder);
    one.instances.forEach((instance, i) => writeFileSync(join(folder, `${i}.dcm`), instance.part10()));
    const to = ['-aec', archive.aet, '127.0.0.1', String(archive.port)];
    expect(await runDcmtk('storescu', ['+sd', ...to, folder])).toMatchObject({ code: 0 });
  }
  system = await startSystem({
    edges: 2,
    caches: 1,
    replications: 1,
    config: {
      peers: [{ aeTitle: 'WS1' }, { aeTitle: 'WS2' }],
      archives: [{ name: 'north', aeTitle: 'MOVEONLY', host: '127.0.0.1', port: archive.port }],
    },
    env: { ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '2', ARCHIPELAGO_GRANT_KEY: randomBytes(32).toString('hex') },
  });
  const [first, second] = system.edges.map((edge) => edge.port);
  proxy = await startProxy({ port: first!, furtherPorts: [second!], listenPort: inFront });
  database = new Client({ connectionString: system.postgres.url });
  await database.connect();
  readers = system.edges.map(({ port }, n) => new Workstation({ port, aeTitle: system.aeTitle }, `WS${n + 1}`));
  await eventually(
    'all instances of the archive are known',
    async () => {
      const { matches, comment } = await readers[0]!.find({ '0020000D': ui(''), '00201208': { vr: 'IS' } });
      const counts = matches.map((match) => valueOf(match, '00201208'));
      return comment === undefined && counts.length === studies.length && counts.every((count) => count === '12');
    },
    120_000,
    250,
  );
}, 180_000);

afterAll(async () => {
  await database?.end();
  await system?.stop();
  await proxy?.stop();
  await archive?.stop();
  rmSync(root, { recursive: true, force: true });
}, 60_000);

/** Objects of the archive that each edge took into its packs, from the catalog. */
async function arrivals(): Promise<number[]> {
  const { rows } = await database.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pack p JOIN pack_entry e ON e.pack = p.id WHERE e.origin = 'fetched' AND e.harvest IS NULL GROUP BY p.edge_id`,
  );
  return rows.map((row) => row.n);
}

it('brings each study whole to whoever asks, wherever it arrives', async () => {
  for (const [n, one] of studies.slice(0, 4).entries()) {
    // two for each reader: connections are dealt out in turn, so that half of them arrive at the other edge
    const { last, datasets, received } = await readers[n < 2 ? 0 : 1]!.getStudy(one.uid, [CT]);
    expect(last).toMatchObject({ status: 0, counts: { completed: 12, failed: 0, warning: 0 } });
    expect(datasets).toEqual(one.digests);
    expect(received).toBe(12);
  }
  expect(proxy.accepted).toBe(4);
  // 24 at each edge, though each fetch was led by one of them
  await eventually('packs of both edges are indexed', async () => {
    const counts = await arrivals();
    return counts.length === 2 && counts.every((n) => n === 24);
  });
});

it('readers at both edges share one fetch', async () => {
  const one = studies[4]!;
  const got = await Promise.all([...readers, ...readers].map((reader) => reader.getStudy(one.uid, [CT])));
  for (const { last, datasets } of got) {
    expect(last).toMatchObject({ status: 0, counts: { completed: 12, failed: 0 } });
    expect(datasets).toEqual(one.digests);
  }
  expect(proxy.accepted).toBe(5);
});

it('what arrived at one edge is served by the other, with the archive gone', async () => {
  await archive.stop();
  for (const one of studies.slice(0, 5))
    for (const reader of readers) expect((await reader.getStudy(one.uid, [CT])).datasets).toEqual(one.digests);
  const { last, datasets } = await readers[1]!.getStudy(studies[5]!.uid, [CT]);
  expect(last.status).not.toBe(0);
  expect(last.counts).toMatchObject({ completed: 0, failed: 12 });
  expect(datasets.size).toBe(0);
});

/** Live queries: all archives asked in parallel, each within its deadline; what they say is in the catalog when it is answered. */
import { randomUUID } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import {
  ArchiveCommand,
  ArchiveStatus,
  type ArchiveStatusV1,
  type Contract,
  LiveFind,
  type LiveFindReply,
  type QueryKey,
  subjectFor,
} from '@archipelago/contracts';
import { ScriptedArchive, scriptedContent, type ScriptedStudy } from '@archipelago/dimse';
import { eventually, startDcmqrscp, startSystem, type TestDcmqrscp, type TestSystem } from '@archipelago/testing';
import { Client } from 'pg';

jest.setTimeout(180_000);

const DEADLINE_MS = 2_500;
const WITHIN_MS = 8_000;
let system: TestSystem;
let nats: NatsConnection;
let database: Client;
let north: ScriptedArchive;
let south: ScriptedArchive;
let east: TestDcmqrscp;

async function ask<T>(contract: Contract, payload: unknown): Promise<T> {
  const envelope = { id: randomUUID(), time: new Date().toISOString(), site: 'main', payload };
  const message = await nats.request(subjectFor(contract, '0', 'main'), JSON.stringify(envelope), { timeout: 20_000 });
  const reply = message.json<{ ok: boolean; payload: T; error?: { code: string } }>();
  if (!reply.ok) throw Object.assign(new Error(reply.error?.code), { code: reply.error?.code });
  return reply.payload;
}

const key = (tag: string, ...values: string[]): QueryKey => ({ tag, vr: 'LO', values });

async function live(keys: QueryKey[], more: object = {}): Promise<Record<string, string>> {
  const { archives } = await ask<LiveFindReply>(LiveFind, {
    principal: { kind: 'peer', site: 'main', name: 'WS', issuer: 'NORTH' },
    model: 'study-root',
    level: 'STUDY',
    keys,
    deadlineMs: DEADLINE_MS,
    withinMs: WITHIN_MS,
    ...more,
  });
  return Object.fromEntries(archives.map(({ archive, outcome }) => [archive, outcome]));
}

const content = (seed: string, studies: number, more: Partial<ScriptedStudy> = {}): ScriptedStudy[] =>
  scriptedContent({ studies, seed, series: 1, images: 2 }).map((study) => ({ ...study, ...more }));

async function add(name: string, at: { aeTitle: string; port: number }, more: object = {}): Promise<void> {
  const budget = { associations: 2, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] };
  const settings = { site: 'main', host: '127.0.0.1', tls: false, depth: 'image', fetchAeTitle: 'ARCHFETCH', budget };
  await ask(ArchiveCommand, { action: 'add', name, settings: { ...settings, ...at, ...more } });
}

const asOf = (name: string): Promise<unknown> =>
  eventually(
    `${name} is read`,
    async () => {
      const { archives } = await ask<{ archives: ArchiveStatusV1[] }>(ArchiveStatus, { name });
      return archives[0]?.completeTo === 'image' && archives[0].asOf !== undefined;
    },
    60_000,
    250,
  );

/** Studies of the catalog, with whose they are. */
async function shown(uids: readonly string[]): Promise<string[]> {
  const { rows } = await database.query<{ whose: string }>(
    `SELECT p.issuer || ' ' || p.patient_id AS whose FROM study s JOIN patient p ON p.id = s.patient
      WHERE s.study_instance_uid = ANY ($1) AND NOT p.is_group ORDER BY 1`,
    [uids],
  );
  return rows.map((row) => row.whose);
}

beforeAll(async () => {
  system = await startSystem({
    replications: 1,
    env: { ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '86400', ARCHIPELAGO_AUDIT_HOURS: '0' },
  });
  nats = await connect({ servers: system.nats.url });
  database = new Client({ connectionString: system.postgres.url });
  await database.connect();
  [north, south] = [new ScriptedArchive(content('n', 3)), new ScriptedArchive(content('s', 3))];
  await Promise.all([north.start(), south.start()]);
  east = await startDcmqrscp({ aet: 'EASTPACS', peers: [] });
  await add('north', { aeTitle: north.aeTitle, port: north.port }, { issuer: 'NORTH' });
  await add('south', { aeTitle: south.aeTitle, port: south.port }, { issuer: 'SOUTH' });
  await add('east', { aeTitle: east.aet, port: east.port }, { issuer: 'EAST' });
  await Promise.all([asOf('north'), asOf('south')]);
}, 120_000);

afterAll(async () => {
  await database?.end();
  await nats?.close();
  await system?.stop();
  await Promise.all([north?.stop(), south?.stop(), east?.stop()]);
});

afterEach(() => {
  north.behaviour = {};
  south.behaviour = {};
});

test('what is new is in the catalog when it is answered, under the archive’s own id, and is read deeper at once', async () => {
  const [fresh] = content('fresh', 1, { patientId: 'N-9' });
  north.studies.push(fresh!);
  expect(await live([key('00100020', 'N-9')])).toEqual({ north: 'answered', south: 'answered', east: 'answered' });
  expect(await shown([fresh!.uid])).toEqual(['NORTH N-9']);
  await eventually('it is read whole', async () => {
    const { rows } = await database.query(
      'SELECT FROM harvest_study WHERE study_uid = $1 AND level = 3 AND step IS NULL',
      [fresh!.uid],
    );
    return rows.length > 0;
  });
  // known by now: asked again, and not written again
  const written = (): Promise<{ rowCount: number | null }> =>
    database.query(`SELECT FROM harvest_step WHERE kind = 'studies' AND asked`);
  const before = await written();
  expect(await live([key('00100020', 'N-9')])).toMatchObject({ north: 'answered' });
  expect((await written()).rowCount).toBe(before.rowCount);
  // an id of the north is not asked for in the south
  south.reset();
  await live([key('00100020', 'N-9')]);
  expect(south.queries['STUDY'] ?? 0).toBe(0);
});

test('a hung archive costs its deadline and no more, and the others are waited for no longer', async () => {
  south.behaviour.hang = true;
  const [fresh] = content('beside', 1, { patientId: 'N-10' });
  north.studies.push(fresh!);
  const started = performance.now();
  expect(await live([])).toEqual({ north: 'answered', south: 'no answer', east: 'answered' });
  expect(performance.now() - started).toBeLessThan(DEADLINE_MS + 1_500);
  expect(await shown([fresh!.uid])).toEqual(['NORTH N-10']);
});

test('the same question of several is asked once', async () => {
  north.behaviour.delayMs = 300;
  north.reset();
  const date = [key('00080020', '19000101-')];
  const answers = await Promise.all([live(date), live(date), live(date)]);
  expect(answers.map((one) => one['north'])).toEqual(['answered', 'answered', 'answered']);
  expect(north.queries['STUDY']).toBe(1);
});

test('an archive that has more than is taken, refuses, or is not let in, is named with the reason', async () => {
  const many = content('many', 230, { accession: 'MANY' });
  north.studies.push(...many);
  south.behaviour.status = 0xa700;
  expect(await live([key('00080050', 'MANY')])).toEqual({ north: 'capped', south: 'refused', east: 'answered' });
  // what came before it was enough is kept; this archive takes no notice of the accession number
  expect((await shown(many.map(({ uid }) => uid))).length).toBeGreaterThan(150);
  south.behaviour = { refuse: true };
  const outcomes: (string | undefined)[] = [];
  for (let n = 0; n < 5; n++) outcomes.push((await live([key('00080050', 'NOBODY')]))['south']);
  // the circuit opens, and then nobody asks it any more
  expect(outcomes[0]).toBe('refused');
  expect(outcomes.at(-1)).toBe('not asked');
});

test('a paused archive is left alone', async () => {
  await ask(ArchiveCommand, { action: 'pause', name: 'north' });
  north.reset();
  expect(await live([])).not.toHaveProperty('north');
  expect(north.queries['STUDY'] ?? 0).toBe(0);
});

test('asked for the series of a study that is new, it says that they are being read', async () => {
  await ask(ArchiveCommand, { action: 'resume', name: 'north' });
  north.behaviour.answer = (answer, level) => (level === 'STUDY' ? answer : undefined);
  const [fresh] = content('below', 1);
  north.studies.push(fresh!);
  expect(await live([key('0020000D', fresh!.uid)], { level: 'SERIES' })).toMatchObject({ north: 'reading' });
});

test('an archive that takes connections and says nothing is given up at its deadline', async () => {
  const sockets = new Set<Socket>();
  const mute = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  await add('mute', { aeTitle: 'MUTE', port: (mute.address() as AddressInfo).port });
  const started = performance.now();
  expect(await live([])).toMatchObject({ south: expect.any(String), east: 'answered', mute: 'no answer' });
  expect(performance.now() - started).toBeLessThan(DEADLINE_MS + 1_500);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => mute.close(resolve));
});

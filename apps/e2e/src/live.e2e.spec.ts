/** Peers whose queries ask the archives now: what was stored after the harvest is found, and who did not answer is named. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ScriptedArchive, scriptedContent } from '@archipelago/dimse';
import { eventually, startOrthanc, startStandalone, type TestOrthanc, type TestStandalone } from '@archipelago/testing';
import { lo, study, STUDY_KEYS, ui } from './support/federation';
import { valueOf, Workstation, type Found } from './support/workstation';

jest.setTimeout(120_000);

const HEDWIG = { PatientID: 'N-1', PatientName: 'HAUSMANN^HEDWIG', PatientBirthDate: '19311104', PatientSex: 'F' };
const before = study('live before', { ...HEDWIG, StudyDate: '20240110' }, 2);
const after = study('live after', { ...HEDWIG, StudyDate: '20240111' }, 2);
/** Somebody else who has the same number in the other archive. */
const namesake = scriptedContent({ studies: 1, seed: 'live', series: 1, images: 2 }).map((one) => ({
  ...one,
  patientId: 'N-1',
  patientName: 'OAK^JAN',
}));
const LIVE_MS = 1_500;

let root: string;
let north: TestOrthanc;
let south: ScriptedArchive;
let system: TestStandalone;
let ordinary: Workstation;
let live: Workstation;
let southLive: Workstation;

const put = (one: typeof before): Promise<unknown> =>
  Promise.all(one.instances.map((instance) => north.rest('POST', '/instances', instance.part10())));
const hedwig = (who: Workstation): Promise<Found> => who.find({ ...STUDY_KEYS, '00100020': lo('N-1') });
const uidsOf = ({ matches }: Found): string[] => matches.map((match) => valueOf(match, '0020000D')).sort();

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'archipelago-live-'));
  north = await startOrthanc({ aet: 'NORTHPACS' });
  south = await new ScriptedArchive(namesake).start();
  await put(before);
  const config = join(root, 'archipelago.yaml');
  const [at, harvest] = [{ host: '127.0.0.1' }, { depth: 'image' }];
  writeFileSync(
    config,
    JSON.stringify({
      limits: { liveMs: LIVE_MS },
      peers: [
        { aeTitle: 'WS', issuer: 'NORTH' },
        { aeTitle: 'WSLIVE', issuer: 'NORTH', live: true },
        { aeTitle: 'WSSOUTH', issuer: 'SOUTH', live: true },
      ],
      archives: [
        { name: 'north', aeTitle: 'NORTHPACS', ...at, port: north.port, issuer: 'NORTH', harvest },
        { name: 'south', aeTitle: south.aeTitle, ...at, port: south.port, issuer: 'SOUTH', harvest },
      ],
    }),
  );
  // no look for what is new comes while the test runs
  const env = { ARCHIPELAGO_CONFIG: config, ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '86400' };
  system = await startStandalone({ env });
  const to = { port: system.dicomPort, aeTitle: system.aeTitle };
  [ordinary, live, southLive] = ['WS', 'WSLIVE', 'WSSOUTH'].map((name) => new Workstation(to, name)) as [
    Workstation,
    Workstation,
    Workstation,
  ];
  await eventually('both are harvested', async () => {
    const found = await ordinary.find(STUDY_KEYS);
    return found.matches.length === 2 && found.comment === undefined;
  });
}, 120_000);

afterAll(async () => {
  await system?.stop();
  await Promise.all([north?.stop(), south?.stop()]);
  rmSync(root, { recursive: true, force: true });
});

test('what was stored after the harvest is found by who asks live, under the right person, and by nobody else', async () => {
  await put(after);
  expect(uidsOf(await hedwig(ordinary))).toEqual([before.uid]);
  // the same number of another issuer is another person: nothing of hers
  expect(uidsOf(await hedwig(southLive))).toEqual([namesake[0]!.uid]);
  expect(uidsOf(await hedwig(ordinary))).toEqual([before.uid]);

  const found = await hedwig(live);
  expect(uidsOf(found)).toEqual([after.uid, before.uid].sort());
  expect(found).toMatchObject({ status: 0 });
  expect(found.comment).toBeUndefined();
  expect(found.ms).toBeLessThan(5_000);
  for (const match of found.matches) {
    expect(valueOf(match, '00100020')).toBe('N-1');
    expect(valueOf(match, '00100021')).toBe('NORTH');
    expect(valueOf(match, '00100010')).toContain('HEDWIG');
  }
  // it stays, for everybody, and is read deeper without being asked for again
  expect(uidsOf(await hedwig(ordinary))).toEqual([after.uid, before.uid].sort());
  const series = { '0020000D': ui(after.uid), '0020000E': ui(''), '00201209': { vr: 'IS' } };
  await eventually('its series are read', async () => (await ordinary.find(series, 'SERIES')).matches.length === 1);
});

test('an archive that hangs, or is gone, is named within the deadline; the others answer', async () => {
  const all = (): Promise<Found> => live.find(STUDY_KEYS);
  expect(await all()).toMatchObject({ status: 0, matches: { length: 3 } });
  south.behaviour.hang = true;
  const hung = await all();
  expect(hung).toMatchObject({ status: 0, matches: { length: 3 }, comment: 'incomplete: south no answer' });
  expect(hung.ms).toBeLessThan(LIVE_MS + 2_000);
  // who does not ask live does not wait, and is told nothing of it
  const plain = await ordinary.find(STUDY_KEYS);
  expect(plain.comment).toBeUndefined();
  expect(plain.ms).toBeLessThan(LIVE_MS);

  await south.stop();
  const gone = await all();
  expect(gone).toMatchObject({ status: 0, matches: { length: 3 }, comment: 'incomplete: south unreachable' });
  expect(gone.ms).toBeLessThan(LIVE_MS);
  // a question that it cannot have an answer to misses nothing
  expect((await hedwig(live)).comment).toBeUndefined();
});

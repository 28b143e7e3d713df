/**
 * Three unmodified archives (two Orthanc, one dcmqrscp; they know our AE title and nothing else), each with patient numbers of
 * its own, seen by workstations as one PACS.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  eventually,
  freePort,
  runDcmtk,
  startDcmqrscp,
  startOrthanc,
  startStandalone,
  startStorescp,
  type TestDcmqrscp,
  type TestOrthanc,
  type TestStandalone,
  type TestStorescp,
} from '@archipelago/testing';
import { lo, runCli, study, STUDY_KEYS, ui, type Study } from './support/federation';
import { valueOf, Workstation } from './support/workstation';

jest.setTimeout(180_000);

const CT = '1.2.840.10008.5.1.4.1.1.2';
const HEDWIG = { PatientName: 'HAUSMANN^HEDWIG', PatientBirthDate: '19311104', PatientSex: 'F' };
const north = [
  study('north hedwig', { ...HEDWIG, PatientID: 'N-1', StudyDate: '20240110' }),
  study('north id 100', {
    PatientName: 'OKONKWO^CHIDI',
    PatientID: '100',
    PatientBirthDate: '19880215',
    PatientSex: 'M',
    StudyDate: '20240111',
  }),
];
const south = [
  study('south hedwig', { ...HEDWIG, PatientID: 'S-77', StudyDate: '20250310' }),
  study('south id 100', {
    PatientName: 'FFORDE^MYFANWY',
    PatientID: '100',
    PatientBirthDate: '19720817',
    PatientSex: 'F',
    StudyDate: '20250311',
  }),
];
const east = [
  study('east', {
    PatientName: 'ZIELINSKI^MAREK',
    PatientID: 'E-5',
    PatientBirthDate: '19790130',
    PatientSex: 'M',
    StudyDate: '20230505',
  }),
];

let root: string;
let orthancs: { north: TestOrthanc; south: TestOrthanc };
let dcmqrscp: TestDcmqrscp;
let receiver: TestStorescp;
let system: TestStandalone;
let reader: Workstation;
let southReader: Workstation;
/** Knows no issuer as its own: what it gets is as it was stored. */
let anyReader: Workstation;

const cli = (...args: string[]): Promise<string> => runCli(system, ...args);

function writeStudy(name: string, one: Study): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  one.instances.forEach((instance, i) => writeFileSync(join(folder, `${i}.dcm`), instance.part10()));
  return folder;
}

const studiesOf = async (keys: object, who = reader): Promise<string[]> =>
  (await who.find({ ...STUDY_KEYS, ...keys })).matches.map((match) => valueOf(match, '0020000D')).sort();
const uids = (...list: Study[]): string[] => list.map((one) => one.uid).sort();

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'archipelago-federation-'));
  const [dicomPort, receiverPort] = [await freePort(), await freePort()];
  const us = { aet: 'ARCHFETCH', port: dicomPort };
  const [northArchive, southArchive] = await Promise.all([
    startOrthanc({ aet: 'NORTHPACS', peers: { us } }),
    startOrthanc({ aet: 'SOUTHPACS', peers: { us } }),
  ]);
  orthancs = { north: northArchive, south: southArchive };
  dcmqrscp = await startDcmqrscp({ aet: 'EASTPACS', peers: [us] });
  receiver = await startStorescp({ aet: 'RECEIVER', port: receiverPort });
  for (const one of north) for (const i of one.instances) await northArchive.rest('POST', '/instances', i.part10());
  for (const one of south) for (const i of one.instances) await southArchive.rest('POST', '/instances', i.part10());
  const stored = await runDcmtk('storescu', [
    '+sd',
    '-aec',
    'EASTPACS',
    '127.0.0.1',
    String(dcmqrscp.port),
    writeStudy('east', east[0]!),
  ]);
  expect(stored).toMatchObject({ code: 0 });
  const config = join(root, 'archipelago.yaml');
  const at = { host: '127.0.0.1' };
  writeFileSync(
    config,
    JSON.stringify({
      peers: [
        { aeTitle: 'WSNORTH', issuer: 'NORTH' },
        { aeTitle: 'WSANY' },
        { aeTitle: 'WSSOUTH', issuer: 'SOUTH', incomplete: 'failure' },
        { aeTitle: 'RECEIVER', ...at, port: receiverPort },
      ],
      archives: [
        { name: 'north', aeTitle: 'NORTHPACS', ...at, port: northArchive.port, issuer: 'NORTH' },
        { name: 'south', aeTitle: 'SOUTHPACS', ...at, port: southArchive.port, issuer: 'SOUTH' },
        { name: 'east', aeTitle: 'EASTPACS', ...at, port: dcmqrscp.port, issuer: 'EAST', harvest: { depth: 'image' } },
      ],
    }),
  );
  system = await startStandalone({
    env: {
      ARCHIPELAGO_CONFIG: config,
      ARCHIPELAGO_DIMSE_PORT: String(dicomPort),
      ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '2',
      ARCHIPELAGO_FETCH_TIMEOUT_SECONDS: '5',
    },
  });
  const address = { port: system.dicomPort, aeTitle: system.aeTitle };
  reader = new Workstation(address, 'WSNORTH');
  southReader = new Workstation(address, 'WSSOUTH');
  anyReader = new Workstation(address, 'WSANY');
}, 180_000);

afterAll(async () => {
  await system?.stop();
  await Promise.all([orthancs?.north.stop(), orthancs?.south.stop(), dcmqrscp?.stop(), receiver?.stop()]);
  rmSync(root, { recursive: true, force: true });
}, 60_000);

describe('three archives as one PACS', () => {
  it('finds the studies of all of them, each once, and says when nothing is missing', async () => {
    await eventually(
      'all studies found and complete',
      async () => {
        const { matches, comment } = await reader.find(STUDY_KEYS);
        const counted = matches.every((match) => valueOf(match, '00201208') === '4');
        return matches.length === 5 && comment === undefined && counted;
      },
      120_000,
      500,
    );
    const found = await reader.find(STUDY_KEYS);
    expect(found).toMatchObject({ status: 0 });
    expect(found.matches.map((match) => valueOf(match, '0020000D')).sort()).toEqual(uids(...north, ...south, ...east));
    for (const match of found.matches) {
      expect(valueOf(match, '00080056')).toBe('NEARLINE');
      expect(valueOf(match, '00080054')).toBe('ARCHIPELAGO');
    }
  });

  it('one id in two archives is two patients', async () => {
    expect(await studiesOf({ '00100020': lo('100') })).toEqual(uids(north[1]!));
    expect(await studiesOf({ '00100020': lo('100') }, southReader)).toEqual(uids(south[1]!));
    expect(await studiesOf({ '00100020': lo('100'), '00100021': lo('SOUTH') })).toEqual(uids(south[1]!));
  });

  it('two ids become one person by a link, under the id that the reader knows, and two again', async () => {
    expect(await studiesOf({ '00100020': lo('N-1') })).toEqual(uids(north[0]!));
    await cli('identity', 'link', 'NORTH:N-1', 'SOUTH:S-77', '--reason', 'same person');
    await eventually('one person', async () => (await studiesOf({ '00100020': lo('N-1') })).length === 2);
    expect(await studiesOf({ '00100020': lo('N-1') })).toEqual(uids(north[0]!, south[0]!));
    expect(await studiesOf({ '00100020': lo('S-77') }, southReader)).toEqual(uids(north[0]!, south[0]!));
    const { matches } = await reader.find({ ...STUDY_KEYS, '00100020': lo('N-1') });
    expect(new Set(matches.map((match) => [valueOf(match, '00100020'), valueOf(match, '00100021')].join()))).toEqual(
      new Set(['N-1,NORTH']),
    );
    const asked = await southReader.find({ ...STUDY_KEYS, '00100020': lo('S-77') });
    expect(new Set(asked.matches.map((match) => valueOf(match, '00100020')))).toEqual(new Set(['S-77']));
    await cli('identity', 'unlink', 'NORTH:N-1', 'SOUTH:S-77', '--reason', 'for the test');
    await eventually('two persons', async () => (await studiesOf({ '00100020': lo('N-1') })).length === 1);
    expect(await studiesOf({ '00100020': lo('S-77') }, southReader)).toEqual(uids(south[0]!));
  });

  it('retrieves by C-GET what only an archive has, byte for byte, and the second time from its own', async () => {
    const first = await anyReader.getStudy(south[0]!.uid, [CT]);
    expect(first.last).toMatchObject({ status: 0, counts: { completed: 4, failed: 0, warning: 0 } });
    expect(first.datasets).toEqual(south[0]!.digests);
    await eventually('at hand', async () => {
      const { matches } = await reader.find({ ...STUDY_KEYS, '0020000D': ui(south[0]!.uid) });
      return valueOf(matches[0]!, '00080056') === 'ONLINE';
    });
    // nothing is told twice: the same four, still one study
    const { matches } = await reader.find({ ...STUDY_KEYS, '0020000D': ui(south[0]!.uid) });
    expect([matches.length, valueOf(matches[0]!, '00201208')]).toEqual([1, '4']);
    expect((await anyReader.getStudy(south[0]!.uid, [CT])).datasets).toEqual(south[0]!.digests);
  });

  it('moves what another archive has to a third, with DCMTK on all sides', async () => {
    const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${east[0]!.uid}`];
    const moved = await runDcmtk('movescu', [
      ...['-S', '-aet', 'WSANY', '-aec', system.aeTitle, '-aem', 'RECEIVER', ...keys],
      ...['127.0.0.1', String(system.dicomPort)],
    ]);
    expect(moved).toMatchObject({ code: 0 });
    expect(receiver.files()).toHaveLength(4);
  });

  it('twenty readers of one study cause one fetch', async () => {
    const before = await fetches();
    const all = await Promise.all(Array.from({ length: 20 }, () => anyReader.getStudy(north[1]!.uid, [CT])));
    for (const one of all) expect(one.datasets).toEqual(north[1]!.digests);
    await eventually('counted', async () => (await fetches()) > before);
    expect((await fetches()) - before).toBe(1);
  });

  it('an archive that is away: its studies are found, what was read is served, the rest fails by name, and it is said', async () => {
    await orthancs.south.stop();
    await eventually(
      'noticed',
      async () => (await reader.find(STUDY_KEYS)).comment?.includes('south unreachable') === true,
      60_000,
      500,
    );
    const found = await reader.find(STUDY_KEYS);
    expect(found).toMatchObject({ status: 0, comment: 'incomplete: south unreachable' });
    expect(found.matches).toHaveLength(5);
    expect((await southReader.find(STUDY_KEYS)).status).toBe(0xc002);
    expect((await anyReader.getStudy(south[0]!.uid, [CT])).datasets).toEqual(south[0]!.digests);
    const failed = await anyReader.getStudy(south[1]!.uid, [CT]);
    expect(failed.last).toMatchObject({ status: 0xa702, counts: { completed: 0, failed: 4 } });
    expect(failed.last.errorComment).toMatch(/^archive south: archive-/);
    // nobody else is held up
    expect((await anyReader.getStudy(north[0]!.uid, [CT])).datasets).toEqual(north[0]!.digests);
  });

  it('the archives themselves were not touched', async () => {
    const { CountInstances } = await orthancs.north.rest<{ CountInstances: number }>('GET', '/statistics');
    expect(CountInstances).toBe(8);
    expect(readdirSync(dcmqrscp.dir).filter((name) => name.startsWith('CT'))).toHaveLength(4);
  });
});

async function fetches(): Promise<number> {
  const text = await (await fetch(`${system.httpUrl}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('archipelago_edge_fetches_total{'))
    .reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
}

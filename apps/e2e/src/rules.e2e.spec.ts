/**
 * Rules over two unmodified archives: other values in what is found and in what is retrieved, by DCMTK, and never in the
 * archives; and the PatientID of what is retrieved is the one that the query showed.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  eventually,
  freePort,
  runDcmtk,
  startOrthanc,
  startStandalone,
  startStorescp,
  type TestOrthanc,
  type TestStandalone,
  type TestStorescp,
} from '@archipelago/testing';
import { lo, runCli, study, STUDY_KEYS } from './support/federation';
import { readPart10Dataset } from './support/part10';
import { valueOf, Workstation } from './support/workstation';

jest.setTimeout(120_000);

const CT = '1.2.840.10008.5.1.4.1.1.2';
const HEDWIG = { PatientName: 'HAUSMANN^HEDWIG', PatientBirthDate: '19311104', PatientSex: 'F' };
const north = study('rules north', { ...HEDWIG, PatientID: 'N-1', StudyDescription: 'CT THX', StudyDate: '20240110' });
const south = study('rules south', { ...HEDWIG, PatientID: 'S-77', StudyDescription: 'CT THX', StudyDate: '20250310' });
const ward = study('rules ward', { ...HEDWIG, PatientID: 'M-3', StudyDescription: 'CT WARD', StudyDate: '20260301' });
const RULES = `
version: 1
tables:
  descriptions: { rows: { CT THX: CT Thorax } }
rules:
  - id: north-descriptions
    scope: { archive: [north] }
    actions:
      - map: { tag: StudyDescription, table: descriptions }
  - id: corrected-name
    scope: { archive: [north] }
    when: tags.PatientID == "N-1"
    actions:
      - set: { PatientName: 'Müller^Änne' }
`;

let root: string;
let archives: { north: TestOrthanc; south: TestOrthanc };
let receiver: TestStorescp;
let wardPort: number;
let system: TestStandalone;
let reader: Workstation;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'archipelago-rules-'));
  const [dicomPort, receiverPort] = [await freePort(), await freePort()];
  wardPort = await freePort();
  const us = { aet: 'ARCHFETCH', port: dicomPort };
  const [one, two] = await Promise.all([
    startOrthanc({ aet: 'NORTHPACS', peers: { us } }),
    startOrthanc({ aet: 'SOUTHPACS', peers: { us } }),
  ]);
  archives = { north: one, south: two };
  receiver = await startStorescp({ aet: 'RECEIVER', port: receiverPort });
  for (const i of north.instances) await one.rest('POST', '/instances', i.part10());
  for (const i of south.instances) await two.rest('POST', '/instances', i.part10());
  const at = { host: '127.0.0.1' };
  const config = join(root, 'archipelago.yaml');
  writeFileSync(
    config,
    JSON.stringify({
      peers: [
        { aeTitle: 'WSNORTH', issuer: 'NORTH' },
        { aeTitle: 'WSANY' },
        { aeTitle: 'LECT1', name: 'LECTURE-1' },
        { aeTitle: 'RECEIVER', ...at, port: receiverPort },
        { aeTitle: 'WARDSCP', name: 'WARD', ...at, port: wardPort },
        { aeTitle: 'CTSCU' },
      ],
      archives: [
        { name: 'north', aeTitle: 'NORTHPACS', ...at, port: one.port, issuer: 'NORTH' },
        { name: 'south', aeTitle: 'SOUTHPACS', ...at, port: two.port, issuer: 'SOUTH' },
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
  reader = new Workstation({ port: system.dicomPort, aeTitle: system.aeTitle }, 'WSNORTH');
  await eventually('both studies found', async () => (await find('*')).length === 2, 90_000, 300);
}, 180_000);

afterAll(async () => {
  await system?.stop();
  await Promise.all([archives?.north.stop(), archives?.south.stop(), receiver?.stop()]);
  rmSync(root, { recursive: true, force: true });
}, 60_000);

const KEYS = { ...STUDY_KEYS, '00081030': lo('') };
async function find(name: string): Promise<{ uid: string; name: string; description: string; id: string }[]> {
  const { matches } = await reader.find({ ...KEYS, '00100010': { vr: 'PN', Value: [{ Alphabetic: name }] } });
  return matches.map((match) => ({
    uid: valueOf(match, '0020000D'),
    name: valueOf(match, '00100010'),
    description: valueOf(match, '00081030'),
    id: valueOf(match, '00100020'),
  }));
}

async function rules(text: string): Promise<void> {
  const file = join(root, 'rules.yaml');
  writeFileSync(file, text);
  await runCli(system, 'rules', 'apply', file, '--by', 'admin', '--reason', 'the spec');
}

/** By getscu, as files. */
async function retrieved(uid: string, aet: string): Promise<ReturnType<typeof readPart10Dataset>[]> {
  const folder = mkdtempSync(join(root, 'got-'));
  const done = await runDcmtk('getscu', [
    ...['-S', '-aet', aet, '-aec', system.aeTitle, '-od', folder, '127.0.0.1', String(system.dicomPort)],
    ...['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${uid}`],
  ]);
  expect(done).toMatchObject({ code: 0 });
  return readdirSync(folder).map((name) => readPart10Dataset(readFileSync(join(folder, name))));
}

describe('rules on where data came from', () => {
  it('are refused with the place of the error, and nothing changes', async () => {
    const file = join(root, 'wrong.yaml');
    writeFileSync(
      file,
      'version: 1\nrules:\n  - id: a\n    scope: { archive: [nord] }\n    actions: [set: { StudyDescription: X }]\n',
    );
    await expect(runCli(system, 'rules', 'apply', file)).rejects.toThrow(
      /wrong.yaml:4:24: error: rule a: no archive nord/,
    );
    // nobody is to rely on a denial that does not act
    writeFileSync(
      file,
      'version: 1\nrules:\n  - id: d\n    scope: { user: [guest] }\n    actions: [deny: { reason: X }]\n',
    );
    await expect(runCli(system, 'rules', 'apply', file)).rejects.toThrow(
      /wrong.yaml:3:5: error: rule d: who asks is known by workstation/,
    );
    await expect(runCli(system, 'rules', 'show')).rejects.toThrow(/no such rule set/);
  });

  it('show what a dry run says they would, in queries, and explain it', async () => {
    const file = join(root, 'dry.yaml');
    writeFileSync(file, RULES);
    expect(await runCli(system, 'rules', 'dry-run', file)).toMatch(/StudyDescription: 2 differ/);
    expect(await find('MULLER*')).toEqual([]);
    await rules(RULES);
    await eventually('shown', async () => (await find('muller*')).length === 1);
    expect(await find('MÜLLER^ÄNNE')).toMatchObject([
      { uid: north.uid, name: 'Müller^Änne', description: 'CT Thorax' },
    ]);
    expect((await find('HAUSMANN*')).map((one) => [one.uid, one.description])).toEqual([[south.uid, 'CT THX']]);
    const told = await runCli(system, 'rules', 'explain', north.uid);
    expect(told).toMatch(/rule set 1, in force since .* by admin: the spec/);
    expect(told).toMatch(/StudyDescription by north-descriptions \(map\)/);
  });

  it('are in what is retrieved by C-GET and C-MOVE, pixels as they were, and not in the archive', async () => {
    for (const dataset of await retrieved(north.uid, 'WSANY')) {
      expect(dataset.strings('StudyDescription')).toEqual(['CT Thorax']);
      expect(dataset.strings('PatientName')).toEqual(['Müller^Änne']);
      expect(dataset.strings('PatientID')).toEqual(['N-1']);
      expect(dataset.original('PatientName')).toEqual(['HAUSMANN^HEDWIG']);
      const stored = north.instances.find((one) => one.sopInstanceUid === dataset.strings('SOPInstanceUID')[0])!;
      expect(dataset.pixels().equals(readPart10Dataset(stored.part10()).pixels())).toBe(true);
    }
    const moved = await runDcmtk('movescu', [
      ...['-S', '-aet', 'WSANY', '-aec', system.aeTitle, '-aem', 'RECEIVER', '127.0.0.1', String(system.dicomPort)],
      ...['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${north.uid}`],
    ]);
    expect(moved).toMatchObject({ code: 0 });
    const files = receiver.files();
    expect(files).toHaveLength(4);
    for (const file of files)
      expect(readPart10Dataset(readFileSync(file)).strings('StudyDescription')).toEqual(['CT Thorax']);
    for (const id of await archives.north.rest<string[]>('GET', '/instances')) {
      const kept = await archives.north.rest<Record<string, string>>('GET', `/instances/${id}/simplified-tags`);
      expect([kept['StudyDescription'], kept['PatientName']]).toEqual(['CT THX', 'HAUSMANN^HEDWIG']);
    }
    // what no rule names is passed on byte for byte
    const any = new Workstation({ port: system.dicomPort, aeTitle: system.aeTitle }, 'WSANY');
    expect((await any.getStudy(south.uid, [CT])).datasets).toEqual(south.digests);
  });

  it('the PatientID of what is retrieved is the one that the query showed', async () => {
    const stranger = (await find('HAUSMANN*'))[0]!;
    expect(stranger.id).toMatch(/^AR/);
    for (const dataset of await retrieved(south.uid, 'WSNORTH'))
      expect([dataset.strings('PatientID'), dataset.strings('IssuerOfPatientID')]).toEqual([
        [stranger.id],
        ['ARCHIPELAGO'],
      ]);
    await runCli(system, 'identity', 'link', 'NORTH:N-1', 'SOUTH:S-77', '--reason', 'same person');
    await eventually('one person', async () => (await find('*')).every((one) => one.id === 'N-1'));
    for (const dataset of await retrieved(south.uid, 'WSNORTH'))
      expect([dataset.strings('PatientID'), dataset.strings('IssuerOfPatientID')]).toEqual([['N-1'], ['NORTH']]);
    await runCli(system, 'identity', 'unlink', 'NORTH:N-1', 'SOUTH:S-77', '--reason', 'for the test');
    await eventually('two persons', async () => (await find('HAUSMANN*'))[0]?.id === stranger.id);
  });

  it('leave exactly what was when they are taken away, and come back when restored', async () => {
    await rules('version: 2\nrules: []\n');
    await eventually('as it was', async () => (await find('HAUSMANN*')).length === 2);
    const any = new Workstation({ port: system.dicomPort, aeTitle: system.aeTitle }, 'WSANY');
    expect((await any.getStudy(north.uid, [CT])).datasets).toEqual(north.digests);
    expect((await runCli(system, 'rules', 'restore', '1')).trim()).toMatch(/restores version 1/);
    await eventually('shown again', async () => (await find('muller*')).length === 1);
  });
});

describe('rules on who asks', () => {
  it('keep studies and elements from the workstation they name, in queries and in what is retrieved', async () => {
    await rules(`
version: 3
rules:
  - id: no-south
    scope: { archive: [south], workstation: [LECTURE-1] }
    actions:
      - deny: { reason: not for teaching }
  - id: nameless
    scope: { workstation: [LECTURE-1] }
    when: tags.Modality == "CT"
    actions:
      - hide: [PatientName, PatientID]
      - obscure: { tags: [PatientBirthDate], by: year }
`);
    const lecture = new Workstation({ port: system.dicomPort, aeTitle: system.aeTitle }, 'LECT1');
    const name = (pattern: string) => ({ vr: 'PN', Value: [{ Alphabetic: pattern }] });
    const seen = async (pattern: string): Promise<string[][]> => {
      const { matches } = await lecture.find({ ...KEYS, '00100010': name(pattern) });
      return matches.map((match) => ['0020000D', '00100010', '00100020'].map((key) => valueOf(match, key) ?? ''));
    };
    // while studies are tested it is told nothing at all
    await eventually('in force', async () => (await seen('*').catch(() => [])).length === 1);
    expect(await seen('*')).toEqual([[north.uid, '', '']]);
    expect(await seen('HAUSMANN*')).toEqual([]);
    expect(await find('HAUSMANN*')).toHaveLength(2);
    const told = await runCli(system, 'rules', 'explain', south.uid);
    expect(told).toMatch(/kept from LECTURE-1 by no-south \(deny\)/);
    const [first, ...more] = await retrieved(north.uid, 'LECT1');
    expect(more.length + 1).toBe(north.instances.length);
    expect([first!.strings('PatientName'), first!.strings('PatientID')]).toEqual([[], []]);
    expect(first!.strings('PatientBirthDate')).toEqual(['19310101']);
    expect(first!.original('PatientBirthDate')).toEqual([]);
    expect(await retrieved(south.uid, 'LECT1')).toEqual([]);
    expect((await retrieved(south.uid, 'WSANY')).length).toBe(south.instances.length);
    const receivedBefore = receiver.files().length;
    await runDcmtk('movescu', [
      ...['-S', '-aet', 'LECT1', '-aec', system.aeTitle, '-aem', 'RECEIVER', '127.0.0.1', String(system.dicomPort)],
      ...['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${south.uid}`],
    ]);
    expect(receiver.files()).toHaveLength(receivedBefore);
  });
});

describe('rules on where copies go', () => {
  it('send what arrives, with the values that are shown, when the destination is there; and no circle goes on', async () => {
    await rules(`
version: 4
rules:
  - id: ward-description
    when: tags.StudyDescription == "CT WARD"
    scope: { site: [main] }
    actions:
      - set: { StudyDescription: For the ward }
  - id: ward-copy
    scope: { site: [main] }
    when: tags.StudyDescription == "For the ward"
    actions:
      - route: { workstation: [WARD], archive: [south] }
`);
    const folder = mkdtempSync(join(root, 'sent-'));
    const names = ward.instances.map((one, n) => {
      const file = join(folder, `${n}.dcm`);
      writeFileSync(file, one.part10());
      return file;
    });
    const to = ['-aet', 'CTSCU', '-aec', system.aeTitle, '127.0.0.1', String(system.dicomPort)];
    expect(await runDcmtk('storescu', [...to, ...names])).toMatchObject({ code: 0 });
    const listed = (): Promise<string> => runCli(system, 'route', 'list');
    const atSouth = async (): Promise<string[]> => {
      const query = { Level: 'Instance', Query: { StudyInstanceUID: ward.uid } };
      return archives.south.rest<string[]>('POST', '/tools/find', query);
    };
    await eventually('at the archive', async () => (await atSouth()).length === ward.instances.length);
    const [first] = await atSouth();
    const kept = await archives.south.rest<Record<string, string>>('GET', `/instances/${first}/simplified-tags`);
    expect(kept['StudyDescription']).toBe('For the ward');
    // nobody is at the ward yet
    expect(await listed()).toMatch(/^\d+ {2}workstation WARD .*unreachable/m);
    const receiving = await startStorescp({ aet: 'WARDSCP', port: wardPort });
    try {
      expect(await runCli(system, 'route', 'retry', '--destination', 'WARD')).toMatch(/1 will be tried now/);
      const there = (): Promise<boolean> => Promise.resolve(receiving.files().length === ward.instances.length);
      await eventually('all there', there, 30_000, 100);
      for (const file of receiving.files())
        expect(readPart10Dataset(readFileSync(file)).strings('StudyDescription')).toEqual(['For the ward']);
      // the ward's system sends it back, as one would that has a rule like ours
      expect(await runDcmtk('storescu', [...to, ...receiving.files()])).toMatchObject({ code: 0 });
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      expect(await listed()).toBe('');
      expect(receiving.files()).toHaveLength(ward.instances.length);
    } finally {
      await receiving.stop();
    }
  });
});

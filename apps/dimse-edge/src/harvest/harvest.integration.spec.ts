import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import { connect as connectNats, type NatsConnection } from '@nats-io/transport-node';
import {
  ArchiveTask,
  type ArchiveTaskOrder,
  type ArchiveTaskReply,
  type ArchiveTaskResult,
  type ArchiveV1,
  subjectFor,
} from '@archipelago/contracts';
import { decompressHeader, readHeader } from '@archipelago/dicom-encoding';
import { imageCount, ScriptedArchive, scriptedContent } from '@archipelago/dimse';
import { FileSource, type PackEntry, PackReader } from '@archipelago/pack';
import { createService } from '@archipelago/platform-service';
import {
  freePort,
  generateArchive,
  runDcmtk,
  startDcmqrscp,
  startNats,
  startOrthanc,
  type TestNats,
} from '@archipelago/testing';
import { EdgeModule } from '../edge.module';
import { TestCentre } from '../testing/test-centre';

jest.setTimeout(120_000);
const PLUGIN = '/usr/share/orthanc/plugins/libOrthancDicomWeb.so';

let home: string;
let nats: TestNats;
let bus: NatsConnection;
let centre: TestCentre;
let app: INestApplication;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'edge-harvest-'));
  nats = await startNats();
  bus = await connectNats({ servers: nats.url });
  mkdirSync(join(home, 'objects'));
  writeFileSync(join(home, 'archipelago.yaml'), '{}');
  for (const name of Object.keys(process.env)) if (name.startsWith('ARCHIPELAGO_')) delete process.env[name];
  Object.assign(process.env, {
    ARCHIPELAGO_HOME: home,
    ARCHIPELAGO_CONFIG: join(home, 'archipelago.yaml'),
    ARCHIPELAGO_NATS_URL: nats.url,
    ARCHIPELAGO_DIMSE_PORT: String(await freePort()),
    ARCHIPELAGO_LOG_LEVEL: 'silent',
    ARCHIPELAGO_SHUTDOWN_SECONDS: '2',
  });
  centre = await TestCentre.start(nats.url, join(home, 'objects'));
  app = await createService(EdgeModule, { service: 'dimse-edge' });
  await app.init();
  await new Promise((resolve) => setTimeout(resolve, 500));
});

afterAll(async () => {
  await app?.close();
  await centre?.stop();
  await bus?.close();
  await nats?.stop();
  rmSync(home, { recursive: true, force: true });
});

function archiveAt(port: number, aeTitle: string, more: Partial<ArchiveV1> = {}): ArchiveV1 {
  return {
    name: `a-${port}`,
    site: 'main',
    aeTitle,
    host: '127.0.0.1',
    port,
    tls: false,
    depth: 'full',
    fetchAeTitle: 'ARCHFETCH',
    budget: { associations: 4, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
    state: 'active',
    revision: 1,
    ...more,
  };
}

async function ask(payload: unknown, partition = 'any'): Promise<ArchiveTaskReply> {
  const envelope = { id: randomUUID(), time: new Date().toISOString(), site: 'main', payload };
  const subject = subjectFor(ArchiveTask, partition, 'main');
  const message = await bus.request(subject, JSON.stringify(envelope), { timeout: 30_000 });
  const reply = message.json<{ ok: boolean; payload: ArchiveTaskReply; error?: { code: string } }>();
  if (!reply.ok) throw Object.assign(new Error(reply.error?.code), { code: reply.error?.code });
  return reply.payload;
}

async function run(archive: ArchiveV1, order: ArchiveTaskOrder): Promise<ArchiveTaskResult> {
  const jobId = randomUUID();
  let reply = await ask({ jobId, waitMs: 1_000, begin: { archive, order } });
  while (reply.state === 'running') reply = await ask({ jobId, waitMs: 5_000 }, reply.edgeId);
  if (reply.state === 'failed') throw Object.assign(new Error(reply.error?.message), { code: reply.error?.code });
  expect(reply.next).toBeUndefined();
  return reply.result as ArchiveTaskResult;
}

/** The entries that a task has written, as ingest would read them. */
async function entriesOf({
  packs,
}: ArchiveTaskResult): Promise<{ entry: PackEntry; header: ReturnType<typeof readHeader> }[]> {
  const found: { entry: PackEntry; header: ReturnType<typeof readHeader> }[] = [];
  for (const packId of packs) {
    const end = Date.now() + 20_000;
    while (!centre.announced.some((each) => each.packId === packId)) {
      if (Date.now() > end) throw new Error('pack not announced');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const pack = centre.announced.find((each) => each.packId === packId)!;
    const source = await FileSource.open(join(home, 'objects', pack.key));
    const { index } = await PackReader.open(source, pack.tailOffset);
    for (const entry of index.entries) {
      const block = await source.read(entry.headerOffset, entry.headerOffset + entry.headerLength);
      found.push({ entry, header: readHeader(decompressHeader(block, entry.headerRawLength)) });
    }
    await source.close();
  }
  return found;
}

const STUDIES: ArchiveTaskOrder = {
  kind: 'studies',
  scope: {},
  write: true,
  known: [],
  limit: 1_000,
  deadlineMs: 60_000,
};

/** Study, series, image level of a real archive, each with what the one before found. */
async function harvest(archive: ArchiveV1): Promise<{ studies: string[]; sopClasses: string[]; images: number }> {
  const studies = await run(archive, STUDIES);
  expect(studies.parts[0]).toMatchObject({ end: 'complete' });
  const uids = studies.parts[0]!.items.map((item) => item.uid);
  const written = await entriesOf(studies);
  expect(written.map(({ entry }) => [entry.sopInstanceUid, entry.harvest, entry.source, entry.origin]).sort()).toEqual(
    uids.map((uid) => [uid, 'study', archive.name, 'fetched']).sort(),
  );
  for (const { header } of written) expect(header.string('PatientID')).toBeTruthy();
  const series = await run(archive, { kind: 'series', studies: uids, known: [], deadlineMs: 60_000 });
  expect(series.parts.every((part) => part.end === 'complete' && part.items.length > 0)).toBe(true);
  for (const { entry, header } of await entriesOf(series)) {
    expect(entry.harvest).toBe('series');
    expect(uids).toContain(header.string('StudyInstanceUID'));
  }
  const wanted = series.parts.map((part) => ({ study: part.study!, series: part.items.map((item) => item.uid) }));
  const images = await run(archive, { kind: 'images', studies: wanted, known: [], deadlineMs: 60_000 });
  expect(images.parts.every((part) => part.end === 'complete')).toBe(true);
  for (const { header } of await entriesOf(images)) {
    expect(uids).toContain(header.string('StudyInstanceUID'));
    expect(header.string('SeriesInstanceUID')).toBeTruthy();
  }
  const items = images.parts.flatMap((part) => part.items);
  // once more with what is known: nothing is written
  const again = await run(archive, {
    ...STUDIES,
    known: studies.parts[0]!.items.map((i) => [i.uid, i.digest]),
  } as ArchiveTaskOrder);
  expect(again.packs).toEqual([]);
  expect(again.parts[0]!.items).toHaveLength(uids.length);
  return {
    studies: uids,
    sopClasses: [...new Set(items.flatMap((item) => (item.sopClass === undefined ? [] : [item.sopClass])))],
    images: items.length,
  };
}

/** 6 studies of 3 patients as files. */
function samples(folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  return [
    ...generateArchive({
      studies: 6,
      studiesPerPatient: 2,
      count: 4,
      seriesCount: 2,
      rows: 32,
      columns: 32,
      seed: 'h',
    }),
  ].map((instance, i) => {
    const path = join(folder, `${i}.dcm`);
    writeFileSync(path, Buffer.concat([instance.fileMeta(), instance.dataset()]));
    return path;
  });
}

test('Orthanc: probed, read to every depth, whole headers by C-GET and by DICOMweb', async () => {
  expect(existsSync(PLUGIN)).toBe(true);
  const orthanc = await startOrthanc({
    config: { Plugins: [PLUGIN], DicomWeb: { Enable: true, Root: '/dicom-web/' } },
  });
  try {
    const files = samples(join(home, 'samples'));
    const sent = await runDcmtk('storescu', ['-aec', orthanc.aet, '127.0.0.1', String(orthanc.port), ...files]);
    expect(sent.code).toBe(0);
    const archive = archiveAt(orthanc.port, orthanc.aet, { dicomWebUrl: `${orthanc.httpUrl}/dicom-web` });
    const { capabilities } = await run(archive, { kind: 'probe' });
    expect(capabilities).toMatchObject({
      reachable: true,
      find: { studyRoot: true, patientRoot: true },
      get: true,
      move: true,
      getWithoutBulkData: false,
      dicomWeb: true,
    });
    const { studies, sopClasses, images } = await harvest(archive);
    expect([studies.length, images]).toEqual([6, 24]);
    for (const method of ['get', 'wado'] as const) {
      const wanted = studies.map((study) => ({ study, sopClasses }));
      const full = await run(archive, { kind: 'full', method, studies: wanted, deadlineMs: 60_000 });
      expect(full.parts.map((part) => [part.end, part.items.length])).toEqual(studies.map(() => ['complete', 4]));
      const written = await entriesOf(full);
      expect(written).toHaveLength(24);
      for (const { entry, header } of written) {
        expect(entry).toMatchObject({ harvest: 'full', source: archive.name });
        expect(entry.datasetLength).toBeLessThan(16_000);
        expect(header.number('Rows')).toBe(32);
      }
    }
  } finally {
    await orthanc.stop();
  }
});

test('dcmqrscp: probed and read to image depth', async () => {
  const dcmqrscp = await startDcmqrscp();
  try {
    const files = samples(join(home, 'samples-2'));
    const sent = await runDcmtk('storescu', ['-aec', dcmqrscp.aet, '127.0.0.1', String(dcmqrscp.port), ...files]);
    expect(sent.code).toBe(0);
    const archive = archiveAt(dcmqrscp.port, dcmqrscp.aet);
    const { capabilities } = await run(archive, { kind: 'probe' });
    expect(capabilities).toMatchObject({ reachable: true, find: { studyRoot: true }, move: true, dicomWeb: false });
    const { studies, images } = await harvest(archive);
    expect([studies.length, images]).toEqual([6, 24]);
  } finally {
    await dcmqrscp.stop();
  }
});

describe('archives that misbehave', () => {
  const content = scriptedContent({ studies: 40, seed: 'bad' });
  let scripted: ScriptedArchive;
  let archive: ArchiveV1;

  beforeEach(async () => {
    scripted = await new ScriptedArchive(content).start();
    archive = archiveAt(scripted.port, scripted.aeTitle);
  });
  afterEach(() => scripted.stop());

  test('slow at 1 answer a second: the deadline ends the query, what came is kept', async () => {
    scripted.behaviour = { delayMs: 1_000 };
    const started = Date.now();
    const { parts } = await run(archive, { ...STUDIES, deadlineMs: 3_000 } as ArchiveTaskOrder);
    expect(Date.now() - started).toBeLessThan(12_000);
    expect(parts[0]).toMatchObject({ end: 'deadline' });
    expect(parts[0]!.items.length).toBeGreaterThan(0);
  });

  test('more answers than are wanted: cancelled at the limit', async () => {
    const { parts } = await run(archive, { ...STUDIES, limit: 10 } as ArchiveTaskOrder);
    expect(parts[0]).toMatchObject({ end: 'limit', answers: 10 });
  });

  test('dead in mid-answer: said, with what came before', async () => {
    scripted.behaviour = { dieAfter: 7 };
    const { parts } = await run(archive, STUDIES);
    expect(parts[0]).toMatchObject({ end: 'failed', code: 'archive-aborted', answers: 7 });
  });

  test('refusing and failing: said as what it is', async () => {
    scripted.behaviour = { status: 0xa700 };
    expect((await run(archive, STUDIES)).parts[0]).toMatchObject({ end: 'status', status: 0xa700 });
    scripted.behaviour = { refuse: true };
    expect((await run(archive, STUDIES)).parts[0]).toMatchObject({ end: 'failed', code: 'archive-refused' });
    expect((await run(archive, { kind: 'probe' })).capabilities).toMatchObject({ reachable: false });
  });

  test('another study’s series, and parents left out', async () => {
    const studies = content.slice(0, 3).map((s) => s.uid);
    const order: ArchiveTaskOrder = { kind: 'series', studies, known: [], deadlineMs: 30_000 };
    scripted.behaviour = { omitParents: true };
    for (const { header } of await entriesOf(await run(archive, order)))
      expect(studies).toContain(header.string('StudyInstanceUID'));
    scripted.behaviour = {
      answer: (answer) => [answer, { ...answer, '0020000D': { vr: 'UI', Value: ['1.2.3.4'] } }],
    };
    const { parts } = await run(archive, order);
    expect(parts.map((part) => part.leftOut['foreign'])).toEqual(content.slice(0, 3).map((s) => s.series.length));
  });

  test('the byte budget of whole headers is kept', async () => {
    scripted.behaviour = { get: true };
    const bytes = imageCount(content.slice(0, 4)) * 8_500;
    const slow = { ...archive, budget: { ...archive.budget, harvestBytesPerSecond: Math.floor(bytes / 3) } };
    const sopClasses = [...new Set(content.flatMap((s) => s.series.flatMap((x) => x.images.map((i) => i.sopClass))))];
    const started = Date.now();
    const full = await run(slow, {
      kind: 'full',
      method: 'get',
      studies: content.slice(0, 4).map((s) => ({ study: s.uid, sopClasses })),
      deadlineMs: 60_000,
    });
    expect(full.parts.every((part) => part.end === 'complete')).toBe(true);
    expect(Date.now() - started).toBeGreaterThan(1_200);
  });

  test('a job that no edge knows is said to be lost', async () => {
    await expect(ask({ jobId: randomUUID(), waitMs: 0 })).rejects.toMatchObject({ code: 'job-unknown' });
  });
});

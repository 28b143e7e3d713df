import { randomUUID } from 'node:crypto';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import {
  ArchiveCommand,
  type ArchiveCommandV1,
  ArchiveStatus,
  type ArchiveStatusV1,
  type Contract,
  DriftList,
  type DriftReportV1,
  subjectFor,
} from '@archipelago/contracts';
import { imageCount, ScriptedArchive, scriptedContent, type ScriptedStudy } from '@archipelago/dimse';
import { eventually, startSystem, type TestSystem } from '@archipelago/testing';
import { Client } from 'pg';

// eight archives are looked at every two seconds beside each test: minutes on a slow machine
jest.setTimeout(600_000);

let system: TestSystem;
let nats: NatsConnection;
let database: Client;
const archives: ScriptedArchive[] = [];

beforeAll(async () => {
  system = await startSystem({
    replications: 2,
    env: {
      ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '2',
      ARCHIPELAGO_AUDIT_HOURS: '0',
      ARCHIPELAGO_LOG_LEVEL: 'info',
    },
  });
  nats = await connect({ servers: system.nats.url });
  database = new Client({ connectionString: system.postgres.url });
  await database.connect();
});

afterAll(async () => {
  await database?.end();
  await nats?.close();
  await system?.stop();
  for (const archive of archives) await archive.stop();
});

async function ask<T>(contract: Contract, payload: unknown): Promise<T> {
  const envelope = { id: randomUUID(), time: new Date().toISOString(), site: 'main', payload };
  const message = await nats.request(subjectFor(contract, '0', 'main'), JSON.stringify(envelope), { timeout: 20_000 });
  const reply = message.json<{ ok: boolean; payload: T; error?: { code: string } }>();
  if (!reply.ok) throw Object.assign(new Error(reply.error?.code), { code: reply.error?.code });
  return reply.payload;
}

const command = (payload: ArchiveCommandV1): Promise<unknown> => ask(ArchiveCommand, payload);

async function statusOf(name: string): Promise<ArchiveStatusV1> {
  const { archives: list } = await ask<{ archives: ArchiveStatusV1[] }>(ArchiveStatus, { name });
  return list[0] as ArchiveStatusV1;
}

async function add(
  name: string,
  studies: ScriptedStudy[],
  more: Partial<ArchiveStatusV1['archive']> = {},
): Promise<ScriptedArchive> {
  const archive = await new ScriptedArchive(studies).start();
  archives.push(archive);
  await command({
    action: 'add',
    name,
    settings: {
      site: 'main',
      aeTitle: archive.aeTitle,
      host: '127.0.0.1',
      port: archive.port,
      tls: false,
      depth: 'image',
      fetchAeTitle: 'ARCHFETCH',
      budget: { associations: 3, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
      ...more,
    },
  });
  return archive;
}

const complete = (name: string, depth = 'image', ms = 120_000): Promise<ArchiveStatusV1> =>
  eventually(
    `${name} complete to ${depth}`,
    async () => {
      const status = await statusOf(name);
      return status.completeTo === depth && status.asOf !== undefined ? status : undefined;
    },
    ms,
    500,
  );

/** What tag-replication holds of an archive, as UIDs. */
async function known(name: string): Promise<{ studies: Set<string>; images: Set<string> }> {
  const { rows } = await database.query<{ uid: string }>(
    'SELECT study_uid AS uid FROM harvest_study WHERE archive = $1',
    [name],
  );
  const { rows: images } = await database.query<{ uid: string }>(
    `SELECT image ->> 0 AS uid FROM harvest_series, jsonb_array_elements(images) AS image WHERE archive = $1`,
    [name],
  );
  return { studies: new Set(rows.map((r) => r.uid)), images: new Set(images.map((r) => r.uid)) };
}

const uidsOf = (studies: readonly ScriptedStudy[]): Set<string> => new Set(studies.map((s) => s.uid));
const imagesOf = (studies: readonly ScriptedStudy[]): Set<string> =>
  new Set(studies.flatMap((s) => s.series.flatMap((each) => each.images.map((image) => image.uid))));

test('an archive added at run time is probed and read to the depth asked for, each answer once', async () => {
  const studies = scriptedContent({ studies: 300, seed: 'north', undatedEvery: 50 });
  const archive = await add('north', studies);
  const status = await complete('north');
  expect(status.archive.capabilities).toMatchObject({ reachable: true, find: { studyRoot: true }, get: false });
  expect(status).toMatchObject({ reachable: true, studies: 300, unlistable: 0, waiting: {} });
  const { studies: found, images } = await known('north');
  expect(found).toEqual(uidsOf(studies));
  expect(images).toEqual(imagesOf(studies));
  // series and images are never asked for twice
  const twice = [...archive.answered].filter(([uid, n]) => n > 1 && !found.has(uid));
  expect(twice).toEqual([]);
  expect(archive.mostAssociations).toBeLessThanOrEqual(3);
});

test('what is new, changed and gone is found by the next look', async () => {
  const archive = archives[0] as ScriptedArchive;
  const today = new Date().toISOString().slice(0, 10);
  const fresh = scriptedContent({
    studies: 3,
    seed: 'fresh',
    root: '1.2.826.0.1.3680043.10.999.777',
    days: 1,
    until: `${today}T00:00:00Z`,
  });
  archive.studies.push(...fresh);
  await eventually('new studies are known', async () => (await known('north')).studies.has(fresh[2]!.uid), 30_000);
  await complete('north');
  // a further image changes the counts: the study is read again
  fresh[0]!.series[0]!.images.push({ uid: `${fresh[0]!.uid}.9.9`, sopClass: '1.2.840.10008.5.1.4.1.1.2', number: 99 });
  await eventually(
    'the further image is known',
    async () => (await known('north')).images.has(`${fresh[0]!.uid}.9.9`),
    30_000,
  );
  archive.studies = archive.studies.filter((s) => s.uid !== fresh[1]!.uid);
  await eventually(
    'the vanished study is gone',
    async () => !(await known('north')).studies.has(fresh[1]!.uid),
    30_000,
  );
  const { rows } = await database.query<{ data: string }>(
    `SELECT data FROM outbox WHERE subject LIKE 'cmd.ingest.source.vanished.%'`,
  );
  expect(rows.map((row) => (JSON.parse(row.data) as { payload: { uids: string[] } }).payload.uids).flat()).toContain(
    fresh[1]!.uid,
  );
});

test('100 planted changes are all found by a full audit', async () => {
  const archive = archives[0] as ScriptedArchive;
  await command({ action: 'pause', name: 'north' });
  const old = archive.studies.filter((s) => s.date !== '' && s.date < '20260901' && s.series.length > 1);
  expect(old.length).toBeGreaterThan(60);
  const changed = old.slice(0, 20);
  for (const study of changed) study.description = 'CHANGED';
  for (const study of old.slice(20, 40)) study.series[0]!.description = 'CHANGED';
  const gone = old.slice(40, 50);
  archive.studies = archive.studies.filter((s) => !gone.includes(s));
  const lostSeries = old.slice(50, 60).map((study) => study.series.pop()!);
  const others = archive.studies.filter(
    (s) => s.date !== '' && s.date < '20260901' && s.series[0]!.images.length > 1 && !old.slice(0, 60).includes(s),
  );
  const lostImages = others.slice(0, 20).map((study) => study.series[0]!.images.pop()!.uid);
  const appeared = scriptedContent({
    studies: 20,
    seed: 'late',
    root: '1.2.826.0.1.3680043.10.999.778',
    until: '2020-01-01T00:00:00Z',
  });
  archive.studies.push(...appeared);
  await command({ action: 'resume', name: 'north' });
  await command({ action: 'audit', name: 'north', full: true });
  const report = await eventually(
    'the audit is over',
    async () => {
      const { reports } = await ask<{ reports: DriftReportV1[] }>(DriftList, { archive: 'north', limit: 1 });
      return reports[0]?.finishedAt ? reports[0] : undefined;
    },
    120_000,
    500,
  );
  expect(report).toMatchObject({ full: true, failed: 0 });
  expect(report.appeared['study']).toBe(20);
  expect(report.vanished).toMatchObject({ study: 10, series: 10 });
  expect(report.vanished['image']).toBe(20);
  expect(report.changed['series']).toBeGreaterThanOrEqual(20);
  // counts in the studies' answers change with series and images
  expect(report.changed['study']).toBe(20 + 10 + 20);
  await complete('north');
  const { studies, images } = await known('north');
  expect(studies).toEqual(uidsOf(archive.studies));
  expect(images).toEqual(imagesOf(archive.studies));
  expect(lostImages.some((uid) => images.has(uid)) || lostSeries.some((s) => images.has(s.images[0]!.uid))).toBe(false);
});

test('studies that a command names are read at once, where the windows do not look', async () => {
  const archive = archives[0] as ScriptedArchive;
  const [late] = scriptedContent({
    studies: 1,
    seed: 'asked',
    root: '1.2.826.0.1.3680043.10.999.779',
    until: '2015-01-01T00:00:00Z',
  });
  archive.studies.push(late!);
  // other images, as many as before: no answer above the images tells of it
  const changed = archive.studies.find((s) => s.date !== '' && s.date < '20260801' && s.series[0]!.images.length > 0)!;
  const other = `${changed.uid}.7.7`;
  const replaced = changed.series[0]!.images.splice(-1, 1, { ...changed.series[0]!.images.at(-1)!, uid: other })[0]!;
  const asked = new Map(archive.answered);
  await command({ action: 'harvest', name: 'north', again: false });
  await eventually(
    'looked at what is new',
    async () => {
      const { rows } = await database.query(
        `SELECT FROM archive_status a WHERE name = 'north' AND NOT wanted ? 'harvest' AND NOT EXISTS (SELECT FROM harvest_run r
          WHERE r.archive = a.name AND r.finished_at IS NULL)`,
      );
      return rows.length === 1;
    },
    30_000,
  );
  const before = await known('north');
  expect([before.studies.has(late!.uid), before.images.has(other)]).toEqual([false, false]);
  const missing = '1.2.826.0.1.3680043.10.999.780';
  await command({ action: 'harvest', name: 'north', again: false, studies: [late!.uid, changed.uid] });
  await command({ action: 'harvest', name: 'north', again: false, studies: [missing, late!.uid] });
  await eventually(
    'both are known',
    async () => {
      const { images } = await known('north');
      return images.has(other) && late!.series.at(-1)!.images.every((image) => images.has(image.uid));
    },
    30_000,
  );
  await complete('north');
  const after = await known('north');
  expect([after.images.has(replaced.uid), after.studies.has(missing)]).toEqual([false, false]);
  const { rows } = await database.query(`SELECT FROM harvest_study WHERE archive = 'north' AND asked`);
  expect(rows).toEqual([]);
  // nothing else was read for it below the windows of what is new
  const old = archive.studies.filter((s) => s.date !== '' && s.date < '20260801' && s !== changed && s !== late);
  expect(old.length).toBeGreaterThan(50);
  for (const study of old) expect(archive.answered.get(study.uid)).toBe(asked.get(study.uid));
  await expect(
    command({ action: 'harvest', name: 'north', again: false, studies: ['1.2*'] } as ArchiveCommandV1),
  ).rejects.toMatchObject({ code: 'message-invalid' });
});

test('an archive that gives 137 answers and no more is read whole, one that gives 50 too', async () => {
  const studies = scriptedContent({ studies: 900, seed: 'capped', days: 400 });
  // a busy day, and many at one second of another
  for (const study of studies.slice(0, 200)) study.date = '20260202';
  for (const study of studies.slice(200, 420)) Object.assign(study, { date: '20260303', time: '000000' });
  const capped = await new ScriptedArchive(studies, { cap: 137 }).start();
  archives.push(capped);
  const again = await new ScriptedArchive(studies, { cap: 50, omitParents: true }).start();
  archives.push(again);
  for (const [name, archive] of [
    ['capped', capped],
    ['capped50', again],
  ] as const) {
    await command({
      action: 'add',
      name,
      settings: {
        site: 'main',
        aeTitle: archive.aeTitle,
        host: '127.0.0.1',
        port: archive.port,
        tls: false,
        depth: 'study',
        fetchAeTitle: 'ARCHFETCH',
        budget: { associations: 4, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
      },
    });
  }
  const status = await complete('capped', 'study', 180_000);
  expect(status).toMatchObject({ studies: 900, unlistable: 0, cap: 137 });
  expect((await known('capped')).studies).toEqual(uidsOf(studies));
  expect(await complete('capped50', 'study', 180_000)).toMatchObject({ studies: 900, unlistable: 0, cap: 50 });
});

test('nonsense answers are left out and counted, and harm nobody', async () => {
  const studies = scriptedContent({ studies: 60, seed: 'nonsense' });
  const archive = await new ScriptedArchive(studies, {
    answer: (answer, level, n) => {
      if (level !== 'STUDY') return answer;
      const uid = answer['0020000D'];
      return [
        answer,
        ...(n % 3 === 0 ? [answer] : []),
        ...(n % 4 === 0 ? [{ ...answer, '00080052': { vr: 'CS', Value: ['IMAGE'] } }] : []),
        ...(n % 5 === 0 ? [{ ...answer, '0020000D': { vr: 'UI' } }] : []),
        ...(n % 5 === 1 ? [{ ...answer, '0020000D': { vr: 'UI', Value: ['../../../../etc/passwd'] } }] : []),
        ...(n % 7 === 0
          ? [{ ...answer, '00080020': { vr: 'DA', Value: ['18000101'] }, '0020000D': { ...uid!, vr: 'UI' } }]
          : []),
      ];
    },
  }).start();
  archives.push(archive);
  await command({
    action: 'add',
    name: 'nonsense',
    settings: {
      site: 'main',
      aeTitle: archive.aeTitle,
      host: '127.0.0.1',
      port: archive.port,
      tls: false,
      depth: 'series',
      fetchAeTitle: 'ARCHFETCH',
      budget: { associations: 2, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
    },
  });
  const status = await complete('nonsense', 'series');
  expect((await known('nonsense')).studies).toEqual(uidsOf(studies));
  for (const reason of ['duplicate', 'wrong-level', 'no-uid', 'bad-uid'])
    expect(status.leftOut[reason]).toBeGreaterThan(0);
});

test('whole headers by C-GET, pixels dropped in flight; without bulk data where it is offered', async () => {
  const studies = scriptedContent({ studies: 15, seed: 'full' });
  for (const [name, behaviour] of [
    ['get', { get: true }],
    ['nobulk', { get: true, getWithoutBulk: true, relational: true }],
  ] as const) {
    const archive = await add(name, studies, { depth: 'full' });
    archive.behaviour = behaviour;
    await command({ action: 'probe', name });
    await complete(name, 'full');
    expect(archive.sent.objects).toBe(imageCount(studies));
    if (name === 'nobulk') expect(archive.sent.bytes).toBeLessThan(imageCount(studies) * 2_000);
  }
});

test('an archive that suddenly has nothing is not believed, until somebody asks for it', async () => {
  const today = new Date().toISOString().slice(0, 10);
  const studies = scriptedContent({ studies: 80, seed: 'rebuilt', days: 1, until: `${today}T00:00:00Z` });
  const archive = await add('rebuilt', studies, { depth: 'study' });
  await complete('rebuilt', 'study');
  archive.studies = [];
  const before = archive.queries['STUDY'] ?? 0;
  // 80 are denied one by one, and still known after the next look
  await eventually(
    'they were asked for',
    () => Promise.resolve((archive.queries['STUDY'] ?? 0) >= before + 160),
    180_000,
  );
  expect((await known('rebuilt')).studies.size).toBe(80);
  await command({ action: 'audit', name: 'rebuilt', full: true });
  await eventually('they have vanished', async () => (await known('rebuilt')).studies.size === 0, 180_000);
});

test('removing takes what is known away, and tells ingest', async () => {
  await command({ action: 'remove', name: 'nonsense' });
  await eventually('nothing is known any more', async () => (await known('nonsense')).studies.size === 0, 30_000);
  await expect(command({ action: 'pause', name: 'nonsense' })).rejects.toMatchObject({ code: 'archive-unknown' });
  const { rows } = await database.query<{ n: string }>(
    `SELECT count(*) AS n FROM outbox WHERE subject LIKE 'cmd.ingest.source.vanished.%' AND data LIKE '%nonsense%'`,
  );
  expect(Number(rows[0]?.n)).toBe(1);
});

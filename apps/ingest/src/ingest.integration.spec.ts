import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import { PackAnswered, PackSealed, type PackAnsweredV1, type PackSealedV1 } from '@archipelago/contracts';
import { recount } from '@archipelago/catalog-store';
import { HeaderReader, writeDataset } from '@archipelago/dicom-encoding';
import { Spool, type SealedPack } from '@archipelago/pack';
import { Bus } from '@archipelago/platform-bus';
import { createService } from '@archipelago/platform-service';
import { createObjectStore, Database, type ObjectStore } from '@archipelago/platform-storage';
import {
  generateStudy,
  startNats,
  startPostgres,
  type GeneratedInstance,
  type TestNats,
  type TestPostgres,
} from '@archipelago/testing';
import { IngestModule, SweepService } from './index';

jest.setTimeout(120_000);
const EDGE = randomUUID();

describe('ingest with a real NATS, PostgreSQL and object store', () => {
  let nats: TestNats;
  let postgres: TestPostgres;
  let dir: string;
  let app: INestApplication;
  let spool: Spool;
  let store: ObjectStore;
  let database: Database;
  const answers: PackAnsweredV1[] = [];

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'archipelago-ingest-'));
    [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
    Object.assign(process.env, {
      ARCHIPELAGO_NATS_URL: nats.url,
      ARCHIPELAGO_DATABASE_URL: postgres.url,
      ARCHIPELAGO_OBJECT_STORE: `fs:${join(dir, 'objects')}`,
      ARCHIPELAGO_LOG_LEVEL: process.env['PROBE_LOG'] ?? 'silent',
      ARCHIPELAGO_SWEEP_MINUTES: '0',
    });
    mkdirSync(join(dir, 'spool'));
    store = createObjectStore(process.env['ARCHIPELAGO_OBJECT_STORE'] as string);
    spool = await Spool.open({ dir: join(dir, 'spool'), site: 'main' });
    await spool.recover();
    app = await createService(IngestModule, { service: 'ingest' });
    await app.init();
    await app.startAllMicroservices();
    database = app.get(Database);
    app.get(Bus).subscribe(PackAnswered, {}, (answer) => void answers.push(answer));
    await new Promise((resolve) => setTimeout(resolve, 300));
  });
  afterAll(async () => {
    await app?.close();
    await spool?.close();
    await Promise.all([nats?.stop(), postgres?.stop()]);
    rmSync(dir, { recursive: true, force: true });
  });

  async function packOf(
    instances: Iterable<GeneratedInstance>,
    receivedAt = new Date().toISOString(),
  ): Promise<SealedPack> {
    const segment = spool.openSegment();
    for (const instance of instances) {
      const entry = await segment.begin({
        origin: 'acquired',
        source: 'main',
        callingAeTitle: 'CT1',
        calledAeTitle: 'ARCHIPELAGO',
        remoteAddress: '127.0.0.1',
        site: 'main',
        receivedAt,
        sopClassUid: instance.sopClassUid,
        sopInstanceUid: instance.sopInstanceUid,
        transferSyntaxUid: instance.transferSyntaxUid,
        warnings: [],
      });
      const dataset = instance.dataset();
      const reader = new HeaderReader(instance.transferSyntaxUid);
      reader.push(dataset);
      await entry.write(dataset);
      await entry.commit(reader.end());
    }
    return (await segment.seal()) as SealedPack;
  }

  /** What an edge writes of an archive's answer to a study level query. */
  async function answerPack(studyUid: string, description: string, at: string): Promise<SealedPack> {
    const segment = spool.openSegment();
    const entry = await segment.begin({
      origin: 'fetched',
      source: 'north',
      callingAeTitle: 'ARCHIPELAGO',
      calledAeTitle: 'NORTHPACS',
      remoteAddress: '127.0.0.1',
      site: 'main',
      receivedAt: at,
      sopClassUid: '1.2.840.10008.5.1.4.1.2.2.1',
      sopInstanceUid: studyUid,
      transferSyntaxUid: '1.2.840.10008.1.2.1',
      harvest: 'study',
      warnings: [],
    });
    const dataset = writeDataset(
      {
        '0020000D': { vr: 'UI', Value: [studyUid] },
        '00100020': { vr: 'LO', Value: ['N1'] },
        '00081030': { vr: 'LO', Value: [description] },
        '00201208': { vr: 'IS', Value: [17] },
      },
      '1.2.840.10008.1.2.1',
    );
    const reader = new HeaderReader('1.2.840.10008.1.2.1');
    reader.push(dataset);
    await entry.write(dataset);
    await entry.commit(reader.end());
    return (await segment.seal()) as SealedPack;
  }

  async function upload(pack: SealedPack): Promise<PackSealedV1> {
    const key = `packs/main/2026/11/23/${pack.packId}.pack`;
    await store.putFile(key, pack.path, pack);
    const { packId, bytes, tailOffset, entries, sha256, sealedAt } = pack;
    return {
      packId,
      edgeId: EDGE,
      site: 'main',
      store: store.name,
      key,
      bytes,
      tailOffset,
      entries,
      sha256,
      sealedAt,
      attempt: 1,
    };
  }

  async function announce(announcement: PackSealedV1): Promise<PackAnsweredV1> {
    const from = answers.length;
    await app.get(Bus).publish(PackSealed, announcement);
    const end = Date.now() + 20_000;
    for (;;) {
      const answer = answers.slice(from).find((one) => one.packId === announcement.packId);
      if (answer !== undefined) return answer;
      if (Date.now() > end) throw new Error('no answer');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  const count = async (table: string): Promise<number> =>
    Number((await database.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]!.n);

  it('indexes a pack once, and answers repeated announcements without effects', async () => {
    const announcement = await upload(await packOf(generateStudy({ seed: 'a', count: 5, rows: 16, columns: 16 })));
    expect(await announce(announcement)).toMatchObject({ outcome: 'indexed', edgeId: EDGE });
    expect(await count('instance')).toBe(5);
    const events = await count('outbox');
    expect(events).toBe(2);
    expect(await announce({ ...announcement, attempt: 2 })).toMatchObject({ outcome: 'indexed' });
    expect([await count('instance'), await count('outbox'), await count('pack')]).toEqual([5, events, 1]);
  });

  it('a missing pack is asked for again, a damaged one once, then it is quarantined', async () => {
    const pack = await packOf(generateStudy({ seed: 'b', count: 2, rows: 16, columns: 16 }));
    const announcement = await upload(pack);
    await store.delete(announcement.key);
    expect(await announce(announcement)).toMatchObject({ outcome: 'resend', code: 'pack-missing' });
    const broken = { ...announcement, key: announcement.key.replace('.pack', 'x.pack') };
    await store.putBuffer(broken.key, Buffer.alloc(announcement.bytes, 7));
    expect(await announce(broken)).toMatchObject({ outcome: 'resend', code: 'pack-format' });
    expect(await announce(broken)).toMatchObject({ outcome: 'rejected', code: 'pack-format' });
    expect((await database.query<{ state: string }>('SELECT state FROM quarantined_pack')).rows).toEqual([
      { state: 'quarantined' },
    ]);
    await store.delete(broken.key);
    expect(await announce(await upload(pack))).toMatchObject({ outcome: 'indexed' });
    // the alarm ends, and a later damage is asked for again, not rejected at once
    expect((await database.query<{ state: string }>('SELECT state FROM quarantined_pack')).rows).toEqual([
      { state: 'healed' },
    ]);
  });

  it('the same UID with other pixels: both are kept, the difference is flagged', async () => {
    const [one] = [...generateStudy({ seed: 'c', count: 1, rows: 16, columns: 16 })];
    await announce(await upload(await packOf([one!])));
    const other = one!.dataset();
    other[other.length - 3]! ^= 1;
    const changed = Object.create(one!, { dataset: { value: () => other } }) as GeneratedInstance;
    const before = await count('difference');
    expect(await announce(await upload(await packOf([changed])))).toMatchObject({ outcome: 'indexed' });
    expect(await count('difference')).toBe(before + 1);
  });

  it('what an archive answered becomes a study that nothing is held of, and an event when it changes', async () => {
    const uid = '1.2.826.0.1.77';
    const updates = (): Promise<number> => count("outbox WHERE subject LIKE 'evt.catalog.study.updated%'");
    const stored = await count("outbox WHERE subject LIKE 'evt.catalog.instance.stored%'");
    const before = await updates();
    await announce(await upload(await answerPack(uid, 'Thorax', '2026-11-23T10:00:00.000Z')));
    await announce(await upload(await answerPack(uid, 'Thorax', '2026-11-23T11:00:00.000Z')));
    const { rows } = await database.query(
      "SELECT patient_id, instances, basis, attributes #>> '{00081030,Value,0}' AS description FROM study WHERE study_instance_uid = $1",
      [uid],
    );
    expect(rows).toEqual([{ patient_id: 'N1', instances: 17, basis: 'archive', description: 'Thorax' }]);
    expect(await updates()).toBe(before + 1);
    await announce(await upload(await answerPack(uid, 'Abdomen', '2026-11-23T12:00:00.000Z')));
    expect(await updates()).toBe(before + 2);
    expect(await count("outbox WHERE subject LIKE 'evt.catalog.instance.stored%'")).toBe(stored);
    expect(await count('source_study WHERE NOT held')).toBe(2);
  });

  it('the sweep ingests the unknown, and asks for the missing and the damaged', async () => {
    const unknown = await upload(await packOf(generateStudy({ seed: 'd', count: 3, rows: 16, columns: 16 })));
    const gone = await upload(await packOf(generateStudy({ seed: 'e', count: 1, rows: 16, columns: 16 })));
    const short = await packOf(generateStudy({ seed: 'f', count: 1, rows: 16, columns: 16 }));
    const damaged = await upload(short);
    for (const one of [gone, damaged]) await announce(one);
    await store.delete(gone.key);
    truncateSync(short.path, short.bytes - 1);
    const from = answers.length;
    const result = await app.get(SweepService).run({ deep: true, graceSeconds: 0 });
    expect(result).toMatchObject({ ingested: 1, missing: 1, damaged: 1, refused: 0 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const heard = answers.slice(from).map(({ packId, outcome, code }) => ({ packId, outcome, code }));
    expect(heard).toEqual(
      expect.arrayContaining([
        { packId: unknown.packId, outcome: 'indexed', code: undefined },
        { packId: gone.packId, outcome: 'resend', code: 'pack-missing' },
        { packId: damaged.packId, outcome: 'resend', code: 'pack-damaged' },
      ]),
    );
  });

  it('conflicting packs at once: sums equal a recount', async () => {
    const packs: PackSealedV1[] = [];
    for (let i = 0; i < 4; i++) {
      const instances = [...generateStudy({ seed: 'g', count: 40, seriesCount: 2, rows: 8, columns: 8 })];
      packs.push(await upload(await packOf(i % 2 === 0 ? instances : instances.reverse().slice(5))));
    }
    const outcomes = await Promise.all(packs.map((one) => announce(one)));
    expect(outcomes.map((one) => one.outcome)).toEqual(['indexed', 'indexed', 'indexed', 'indexed']);
    expect(await recount(database)).toEqual([]);
  });

  it('many packs of one image share transactions; one that cannot be indexed is rejected, and no other', async () => {
    const stored = await count('instance');
    const told = async (event: string): Promise<number> => count(`outbox WHERE subject LIKE '%.${event}.v1.%'`);
    const [events, updates] = [await told('instance.stored'), await told('study.updated')];
    const images = [...generateStudy({ seed: 'i', count: 40, rows: 8, columns: 8 })];
    const packs = await Promise.all(images.map(async (image) => upload(await packOf([image]))));
    const [odd] = [...generateStudy({ seed: 'j', count: 1, rows: 8, columns: 8 })];
    const bad = await upload(await packOf([odd!], '2026-13-40T00:00:00.000Z'));
    const all = [...packs.slice(0, 20), bad, ...packs.slice(20)];
    const outcomes = await Promise.all(all.map((one) => announce(one)));
    expect(outcomes.filter(({ packId, outcome }) => (outcome === 'rejected') !== (packId === bad.packId))).toEqual([]);
    expect(outcomes.filter(({ outcome }) => outcome === 'indexed').length).toBe(40);
    expect([(await count('instance')) - stored, (await told('instance.stored')) - events]).toEqual([40, 40]);
    // one for each revision of the study
    const [study] = (
      await database.query<{ revision: number }>('SELECT revision::int FROM study WHERE study_instance_uid = $1', [
        images[0]!.studyInstanceUid,
      ])
    ).rows;
    expect((await told('study.updated')) - updates).toBe(study!.revision);
    const { rows } = await database.query<{ n: number }>(
      'SELECT count(DISTINCT xmin::text)::int AS n FROM pack WHERE pack_id = ANY($1)',
      [packs.map(({ packId }) => packId)],
    );
    // those beside the bad one go one by one
    expect(rows[0]!.n).toBeLessThan(40);
    expect(await recount(database)).toEqual([]);
    // told again: answered, without effects
    expect((await announce({ ...packs[3]!, attempt: 2 })).outcome).toBe('indexed');
    expect(await count('instance')).toBe(stored + 40);
  });

  it('a pack of 500 instances takes well under 2 s, and prints how long', async () => {
    const times: number[] = [];
    for (let round = 0; round < 4; round++) {
      const announcement = await upload(
        await packOf(generateStudy({ seed: `h${round}`, count: 500, rows: 4, columns: 4 })),
      );
      const started = performance.now();
      expect(await announce(announcement)).toMatchObject({ outcome: 'indexed' });
      times.push(Math.round(performance.now() - started));
    }
    process.stdout.write(`500 instances, announcement to answer: ${times.join(', ')} ms\n`);
    // the bound of 200 ms is for a quiet machine: benchmarks hold it, a test beside others cannot
    expect(Math.min(...times)).toBeLessThan(2_000);
  });
});

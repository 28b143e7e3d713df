import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import {
  AssignmentChanged,
  DifferenceDecide,
  DifferenceList,
  PackAnswered,
  PackSealed,
  PresentationRebuild,
  QuarantineList,
  QuarantineRelease,
  SourceVanished,
  type Contract,
  type PackAnsweredV1,
  type PackSealedV1,
} from '@archipelago/contracts';
import { recount } from '@archipelago/catalog-store';
import { HeaderReader, writeDataset } from '@archipelago/dicom-encoding';
import { Spool, type SealedPack } from '@archipelago/pack';
import { Bus, type PayloadIn } from '@archipelago/platform-bus';
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
    // instances stored, study updated, patient updated
    expect(events).toBe(3);
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

  const ask = <C extends Contract>(contract: C, payload: PayloadIn<C>) =>
    app.get(Bus).request(contract, payload, { timeoutMs: 20_000 });

  it('a difference is decided, also the other way; a rebuild keeps the decision', async () => {
    const [one] = [...generateStudy({ seed: 'decide', count: 1, rows: 16, columns: 16 })];
    const first = await upload(await packOf([one!]));
    await announce(first);
    const other = one!.dataset();
    other[other.length - 3]! ^= 1;
    await announce(
      await upload(await packOf([Object.create(one!, { dataset: { value: () => other } }) as GeneratedInstance])),
    );
    const open = (await ask(DifferenceList, { state: 'open' })).differences.filter(
      ({ evidence }) => evidence['sopInstanceUid'] === one!.sopInstanceUid,
    );
    expect(open).toMatchObject([{ kind: 'same-uid-other-content', state: 'open' }]);
    const { id, evidence } = open[0]!;
    const [firstWire, otherWire] = [evidence['answer'], evidence['incoming']].map(
      (side) => (side as { wireDigest: string }).wireDigest,
    );
    const answer = async (): Promise<string[]> =>
      (
        await database.query<{ wire: string }>(
          "SELECT encode(wire_digest, 'hex') AS wire FROM instance WHERE sop_instance_uid = $1 AND is_answer",
          [one!.sopInstanceUid],
        )
      ).rows.map(({ wire }) => wire);
    expect(await answer()).toEqual([firstWire]);
    const events = await count('outbox');
    const taken = await ask(DifferenceDecide, { id, decision: 'take', by: 'test', note: 'checked' });
    expect(taken.difference).toMatchObject({
      state: 'decided',
      decidedBy: 'test',
      decision: { decision: 'take', note: 'checked' },
    });
    expect(taken.studies).toHaveLength(1);
    expect(await answer()).toEqual([otherWire]);
    expect(await count('outbox')).toBe(events + 1);
    expect(await recount(database)).toEqual([]);
    // what is shown is derived anew from the packs, with the decision
    const packs = await count('pack');
    expect(await ask(PresentationRebuild, {})).toMatchObject({ packs });
    expect(await answer()).toEqual([otherWire]);
    expect(await recount(database)).toEqual([]);
    // decided again: the same changes nothing, the other way restores
    expect((await ask(DifferenceDecide, { id, decision: 'take', by: 'test' })).studies).toEqual([]);
    expect((await ask(DifferenceDecide, { id, decision: 'keep', by: 'test' })).studies).toHaveLength(1);
    expect(await answer()).toEqual([firstWire]);
    expect((await ask(DifferenceDecide, { id, decision: 'keep', by: 'test' })).studies).toEqual([]);
    expect((await ask(DifferenceList, { ids: [id] })).differences).toMatchObject([{ state: 'decided' }]);
    expect((await ask(DifferenceList, { state: 'open' })).differences.map((each) => each.id)).not.toContain(id);
    await ask(PresentationRebuild, {});
    expect(await answer()).toEqual([firstWire]);
  });

  it('refuses a decision that cannot be', async () => {
    const decide = (id: string, decision: 'keep' | 'take') => ask(DifferenceDecide, { id, decision, by: 'test' });
    await expect(decide('999999', 'keep')).rejects.toMatchObject({ code: 'difference-unknown', kind: 'permanent' });
    const { rows } = await database.query<{ id: string }>(
      `INSERT INTO difference (kind, subject, evidence) VALUES ('study-with-other-patient', 'x', '{}') RETURNING id::text`,
    );
    await expect(decide(rows[0]!.id, 'take')).rejects.toMatchObject({ code: 'difference-not-takeable' });
    expect((await decide(rows[0]!.id, 'keep')).difference).toMatchObject({ state: 'decided' });
    const gone = await database.query<{ id: string }>(
      `INSERT INTO difference (kind, subject, evidence) VALUES ('same-uid-other-content', 'y', $1) RETURNING id::text`,
      [JSON.stringify({ sopInstanceUid: '1.2.3.4', incoming: { wireDigest: 'ab'.repeat(32) } })],
    );
    await expect(decide(gone.rows[0]!.id, 'take')).rejects.toMatchObject({ code: 'content-gone' });
    expect((await ask(DifferenceList, { ids: [gone.rows[0]!.id] })).differences).toMatchObject([{ state: 'open' }]);
  });

  it('a pack in quarantine is listed, asked for again on command, and heals', async () => {
    const pack = await packOf(generateStudy({ seed: 'released', count: 2, rows: 16, columns: 16 }));
    const announcement = await upload(pack);
    const broken = { ...announcement, key: announcement.key.replace('.pack', 'y.pack') };
    await store.putBuffer(broken.key, Buffer.alloc(announcement.bytes, 7));
    await announce(broken);
    expect(await announce(broken)).toMatchObject({ outcome: 'rejected' });
    const listed = async (all: boolean) =>
      (await ask(QuarantineList, { all })).packs.filter(({ packId }) => packId === pack.packId);
    expect(await listed(false)).toMatchObject([{ state: 'quarantined', failures: 2, edgeId: EDGE }]);
    const from = answers.length;
    expect(await ask(QuarantineRelease, { packId: pack.packId })).toEqual({ packId: pack.packId, edgeId: EDGE });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(answers.slice(from)).toMatchObject([{ packId: pack.packId, outcome: 'resend', code: 'released' }]);
    // it is in quarantine until it is indexed, and its failures count anew
    expect(await listed(false)).toMatchObject([{ failures: 0 }]);
    expect(await announce(broken)).toMatchObject({ outcome: 'resend' });
    await store.delete(broken.key);
    expect(await announce(announcement)).toMatchObject({ outcome: 'indexed' });
    expect(await listed(false)).toEqual([]);
    expect(await listed(true)).toMatchObject([{ state: 'healed' }]);
    await expect(ask(QuarantineRelease, { packId: pack.packId })).rejects.toMatchObject({
      code: 'pack-not-quarantined',
    });
  });

  it('qualifies what an archive says with the issuer that the registry has by then', async () => {
    const uid = '1.2.826.0.1.81';
    await database.query('CREATE TABLE archive (name text PRIMARY KEY, position int, issuer text, site text)');
    await database.query("INSERT INTO archive VALUES ('north', 0, 'NORTH')");
    await announce(await upload(await answerPack(uid, 'Thorax', '2026-11-23T10:00:00.000Z')));
    const { rows } = await database.query('SELECT patient_id, issuer FROM study WHERE study_instance_uid = $1', [uid]);
    await database.query('DROP TABLE archive');
    expect(rows).toEqual([{ patient_id: 'N1', issuer: 'NORTH' }]);
  });

  it('assignments of persons, and what an archive has lost, are shown when the bus tells of them', async () => {
    const [first, second] = ['1.2.826.0.1.78', '1.2.826.0.1.79'] as const;
    const at = '2026-11-23T10:00:00.000Z';
    await announce(await upload(await answerPack(first, 'Thorax', at)));
    await announce(await upload(await answerPack(second, 'Thorax', at)));
    const { rows } = await database.query<{ patient: string }>(
      'SELECT patient::text FROM study WHERE study_instance_uid = $1',
      [first],
    );
    const patient = rows[0]!.patient;
    await database.query(
      "INSERT INTO identity_assignment (patient, person, revision) VALUES ($1, 'AR0000000000PX', 1)",
      [patient],
    );
    await app.get(Bus).publish(AssignmentChanged, { patientIds: [patient], studyIds: [], revision: 1 });
    await app
      .get(Bus)
      .publish(SourceVanished, { archive: 'north', level: 'STUDY', uids: [second], asOf: new Date().toISOString() });
    const end = Date.now() + 20_000;
    for (;;) {
      const found = await database.query(
        'SELECT person, said IS NOT NULL AS shown FROM study WHERE study_instance_uid = ANY($1) ORDER BY study_instance_uid',
        [[first, second]],
      );
      const [one, other] = found.rows as { person: string; shown: boolean }[];
      if (one?.person === 'AR0000000000PX' && other?.person === one.person && one.shown && !other.shown) break;
      if (Date.now() > end) throw new Error(`not shown: ${JSON.stringify(found.rows)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
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

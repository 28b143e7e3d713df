import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Module, type INestApplication } from '@nestjs/common';
import { Pool } from 'pg';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { CacheServiceModule } from '@archipelago/cache-service';
import {
  ArchiveList,
  PackAnswered,
  PackSealed,
  StudyAccessed,
  StudyEvict,
  subjectFilter,
  SweepStart,
  type ArchiveV1,
  type PackAnsweredV1,
  type PackSealedV1,
} from '@archipelago/contracts';
import { HeaderReader, writeDataset } from '@archipelago/dicom-encoding';
import { IngestModule } from '@archipelago/ingest';
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

jest.setTimeout(120_000);
const EDGE = randomUUID();
const BUDGET = 400_000;
const EXPLICIT = '1.2.840.10008.1.2.1';

const NORTH: ArchiveV1 = {
  name: 'north',
  site: 'main',
  aeTitle: 'NORTH',
  host: '127.0.0.1',
  port: 104,
  tls: false,
  depth: 'image',
  fetchAeTitle: 'ARCHFETCH',
  budget: { associations: 4, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
  state: 'active',
  revision: 1,
};

interface Cached {
  study: string;
  announcement: PackSealedV1;
}

@Module({ imports: [IngestModule, CacheServiceModule] })
class CacheAndIngestModule {}

describe('the keeper of the cache with a real NATS, PostgreSQL, object store and ingest', () => {
  let nats: TestNats;
  let postgres: TestPostgres;
  let registry: NatsConnection;
  let dir: string;
  const apps: INestApplication[] = [];
  let outside: Pool;
  let spool: Spool;
  let store: ObjectStore;
  let database: Database;
  let bus: Bus;
  const answers: PackAnsweredV1[] = [];

  /** With ingest in one process, as a standalone has it: the keeper stands by while another holds its lease. */
  async function start(): Promise<void> {
    const app = await createService(CacheAndIngestModule, { service: 'core' });
    apps.push(app);
    await app.init();
    await app.startAllMicroservices();
    if (apps.length > 1) return;
    database = app.get(Database);
    bus = app.get(Bus);
    bus.subscribe(PackAnswered, {}, (answer) => void answers.push(answer));
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  async function stop(): Promise<void> {
    for (const app of apps.splice(0).reverse()) await app.close();
  }
  /** Before a stop: what is started then has no keeper until `freeLease`. */
  const takeLease = (): Promise<unknown> =>
    outside.query(
      "UPDATE lease SET holder = gen_random_uuid(), token = token + 1, expires_at = now() + interval '1 hour' WHERE name = 'cache-keeper'",
    );
  const freeLease = (): Promise<unknown> =>
    outside.query("UPDATE lease SET expires_at = now() WHERE name = 'cache-keeper'");

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'archipelago-cache-'));
    [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
    Object.assign(process.env, {
      ARCHIPELAGO_NATS_URL: nats.url,
      ARCHIPELAGO_DATABASE_URL: postgres.url,
      ARCHIPELAGO_OBJECT_STORE: `fs:${join(dir, 'objects')}`,
      ARCHIPELAGO_LOG_LEVEL: process.env['PROBE_LOG'] ?? 'silent',
      ARCHIPELAGO_SWEEP_MINUTES: '0',
      ARCHIPELAGO_CACHE_BYTES: String(BUDGET),
    });
    registry = await connect({ servers: nats.url });
    registry.subscribe(subjectFilter(ArchiveList), {
      callback: (_, message) => void message.respond(JSON.stringify({ ok: true, payload: { archives: [NORTH] } })),
    });
    mkdirSync(join(dir, 'spool'));
    store = createObjectStore(process.env['ARCHIPELAGO_OBJECT_STORE'] as string);
    spool = await Spool.open({ dir: join(dir, 'spool'), site: 'main' });
    await spool.recover();
    outside = new Pool({ connectionString: postgres.url, max: 1 });
    outside.on('error', () => undefined);
    await start();
    await start();
  }, 120_000);
  afterAll(async () => {
    await stop();
    await outside?.end();
    await registry?.close();
    await spool?.close();
    await Promise.all([nats?.stop(), postgres?.stop()]);
    rmSync(dir, { recursive: true, force: true });
  });

  async function write(
    objects: { uid: string; sopClass: string; syntax: string; dataset: Buffer }[],
    more: { origin: 'acquired' | 'fetched'; source: string; harvest?: 'image' },
  ): Promise<PackSealedV1> {
    const segment = spool.openSegment();
    for (const { uid, sopClass, syntax, dataset } of objects) {
      const entry = await segment.begin({
        ...more,
        callingAeTitle: 'NORTH',
        calledAeTitle: 'ARCHIPELAGO',
        remoteAddress: '127.0.0.1',
        site: 'main',
        receivedAt: new Date().toISOString(),
        sopClassUid: sopClass,
        sopInstanceUid: uid,
        transferSyntaxUid: syntax,
        warnings: [],
      });
      const reader = new HeaderReader(syntax);
      reader.push(dataset);
      await entry.write(dataset);
      await entry.commit(reader.end());
    }
    const pack = (await segment.seal()) as SealedPack;
    const { packId, bytes, tailOffset, entries, sha256, sealedAt } = pack;
    const key = `packs/main/2026/11/26/${packId}.pack`;
    await store.putFile(key, pack.path, pack);
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

  async function until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const end = Date.now() + 40_000;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      if (Date.now() > end) throw new Error(`not in time: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  async function announce(announcement: PackSealedV1): Promise<string> {
    const from = answers.length;
    await bus.publish(PackSealed, announcement);
    return until('answer', () => answers.slice(from).find((one) => one.packId === announcement.packId)?.outcome);
  }

  const objects = (instances: GeneratedInstance[]): Parameters<typeof write>[0] =>
    instances.map((one) => ({
      uid: one.sopInstanceUid,
      sopClass: one.sopClassUid,
      syntax: one.transferSyntaxUid,
      dataset: one.dataset(),
    }));
  const generate = (seed: string): GeneratedInstance[] => [
    ...generateStudy({ seed, count: 4, rows: 96, columns: 128 }),
  ];

  /** What the archive said of the study, then its objects as a fetch brings them. */
  async function fetchStudy(seed: string): Promise<Cached> {
    const instances = generate(seed);
    const said = instances.map((one) => ({
      uid: one.sopInstanceUid,
      sopClass: one.sopClassUid,
      syntax: EXPLICIT,
      dataset: writeDataset(
        {
          '00080016': { vr: 'UI', Value: [one.sopClassUid] },
          '00080018': { vr: 'UI', Value: [one.sopInstanceUid] },
          '0020000D': { vr: 'UI', Value: [one.studyInstanceUid] },
          '0020000E': { vr: 'UI', Value: [one.seriesInstanceUid] },
        },
        EXPLICIT,
      ),
    }));
    expect(await announce(await write(said, { origin: 'fetched', source: 'north', harvest: 'image' }))).toBe('indexed');
    const announcement = await write(objects(instances), { origin: 'fetched', source: 'north' });
    expect(await announce(announcement)).toBe('indexed');
    return { study: instances[0]!.studyInstanceUid, announcement };
  }
  const use = (study: string, bytes: number, fetchedMilliseconds?: number): Promise<unknown> =>
    bus.publish(StudyAccessed, {
      studyInstanceUid: study,
      at: new Date().toISOString(),
      bytes,
      ...(fetchedMilliseconds === undefined ? {} : { fetchedMilliseconds }),
    });
  const cachedBytes = async (): Promise<number> =>
    (await database.query<{ n: number }>('SELECT coalesce(sum(bytes), 0)::float8 AS n FROM cache_pack')).rows[0]!.n;
  const count = async (what: string, values: unknown[] = []): Promise<number> =>
    (await database.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${what}`, values)).rows[0]!.n;
  const exists = async (one: PackSealedV1): Promise<boolean> => (await store.stat(one.key)) !== null;
  /** Within the budget and nothing on its list, for longer than two of its rounds. */
  async function quiet(): Promise<void> {
    let since = Date.now();
    await until('the keeper has done its work', async () => {
      const busy =
        (await cachedBytes()) > BUDGET ||
        (await count(
          "cache_study s WHERE state IN ('evict', 'pending') AND EXISTS (SELECT FROM cache_pack p WHERE p.study = s.study)",
        )) > 0;
      if (busy) since = Date.now();
      return Date.now() - since > 2_500 ? true : undefined;
    });
  }

  const places = (one: PackSealedV1): Promise<number> =>
    count('pack_location l JOIN pack p ON p.id = l.pack WHERE p.pack_id = $1', [one.packId]);

  const all: Cached[] = [];
  let own: PackSealedV1;

  it('keeps fetched studies within the budget, and never touches acquired ones', async () => {
    const ours = generate('own');
    own = await write(objects(ours), { origin: 'acquired', source: 'main' });
    expect(await announce(own)).toBe('indexed');
    await use(ours[0]!.studyInstanceUid, own.bytes);
    for (let i = 0; i < 8; i++) {
      const cached = await fetchStudy(`s${i}`);
      all.push(cached);
      // milliseconds have fractions, as the edge measures them
      await use(cached.study, cached.announcement.bytes, 900.25);
      await use(all[0]!.study, all[0]!.announcement.bytes);
    }
    expect(all.reduce((sum, one) => sum + one.announcement.bytes, 0)).toBeGreaterThan(1.5 * BUDGET);
    await until('all accesses told', async () =>
      (await count('cache_pack')) >= 3 && (await count("inbox WHERE consumer = 'cache-study-accessed'")) === 17
        ? true
        : undefined,
    );
    await quiet();
    expect(await cachedBytes()).toBeGreaterThan(0);
    let kept = 0;
    for (const one of all) {
      const there = await exists(one.announcement);
      if (there) kept += one.announcement.bytes;
      // in the catalog as in the store
      expect(await places(one.announcement)).toBe(there ? 1 : 0);
      expect(
        await count('instance i JOIN study s ON s.id = i.study WHERE s.study_instance_uid = $1 AND i.held', [
          one.study,
        ]),
      ).toBe(there ? 4 : 0);
      expect(
        await count('instance i JOIN study s ON s.id = i.study WHERE s.study_instance_uid = $1', [one.study]),
      ).toBe(4);
    }
    expect(kept).toBe(await cachedBytes());
    expect(await exists(own)).toBe(true);
    expect(await places(own)).toBe(1);
    expect(await count('cache_pack WHERE pack_id = $1', [own.packId])).toBe(0);
  });

  it('answers an evicted pack that is announced again, and the sweep deletes it when it was uploaded again', async () => {
    const gone = await until('an evicted pack', async () => {
      for (const one of all) if (!(await exists(one.announcement))) return one.announcement;
      return undefined;
    });
    expect(await announce({ ...gone, attempt: 2 })).toBe('indexed');
    await store.putBuffer(gone.key, Buffer.alloc(100, 1));
    expect(await announce({ ...gone, attempt: 3 })).toBe('indexed');
    await bus.publish(SweepStart, { deep: true, graceSeconds: 0 });
    await until('the sweep deletes it', async () => ((await exists(gone)) ? undefined : true));
    await until('sweep finished', async () =>
      (await count('ingest_sweep WHERE finished_at IS NOT NULL')) > 0 ? true : undefined,
    );
    const { rows } = await database.query<{ result: object }>('SELECT result FROM ingest_sweep');
    expect(rows[0]!.result).toMatchObject({ ingested: 0, missing: 0, damaged: 0, refused: 0 });
    expect(await places(gone)).toBe(0);
    expect(await count('pack_eviction WHERE deleted_at IS NULL')).toBe(0);
  });

  it('goes on after a restart with what it had learnt, and with what happened meanwhile', async () => {
    await stop();
    const before = (await outside.query<{ snapshot: string }>('SELECT snapshot FROM cache_policy')).rows[0]!.snapshot;
    const known = (JSON.parse(before) as { names: string[] }).names;
    expect(known).toEqual(expect.arrayContaining(all.map((one) => one.study)));
    expect((await outside.query('SELECT FROM cache_journal')).rowCount).toBe(0);
    await takeLease();
    await start();
    const meanwhile = [await fetchStudy('m0'), await fetchStudy('m1'), await fetchStudy('m2')];
    for (const one of meanwhile) await use(one.study, one.announcement.bytes, 500);
    await freeLease();
    await until('told', async () =>
      (await count("inbox WHERE consumer = 'cache-study-accessed'")) === 20 ? true : undefined,
    );
    await quiet();
    await stop();
    const after = (await outside.query<{ snapshot: string }>('SELECT snapshot FROM cache_policy')).rows[0]!.snapshot;
    expect((JSON.parse(after) as { names: string[] }).names).toEqual(
      expect.arrayContaining([...known, ...meanwhile.map((one) => one.study)]),
    );
    all.push(...meanwhile);
    await takeLease();
    await start();
  });

  it('deletes the bytes of what ingest had evicted when the keeper died before it', async () => {
    const victim = await until('a cached study', async () => {
      for (const one of all) if (await exists(one.announcement)) return one;
      return undefined;
    });
    // as a keeper leaves it that dies between the answer of ingest and the deletion
    await database.query("UPDATE cache_study SET state = 'evict' WHERE study = $1", [victim.study]);
    const reply = await bus.request(StudyEvict, { studyInstanceUid: victim.study }, { timeoutMs: 10_000 });
    expect(reply.packs.map((pack) => pack.packId)).toContain(victim.announcement.packId);
    expect([await exists(victim.announcement), await places(victim.announcement)]).toEqual([true, 0]);
    await freeLease();
    await until('deleted', async () => ((await exists(victim.announcement)) ? undefined : true));
    await until('forgotten', async () =>
      (await count('cache_pack WHERE study = $1', [victim.study])) === 0 ? true : undefined,
    );
  });

  it('a pinned study stays, whatever else comes', async () => {
    const pinned = await fetchStudy('pinned');
    await database.query('INSERT INTO cache_pin (study) VALUES ($1)', [pinned.study]);
    await use(pinned.study, pinned.announcement.bytes, 100);
    for (let i = 0; i < 6; i++) {
      const other = await fetchStudy(`p${i}`);
      await use(other.study, other.announcement.bytes, 60_000);
      await use(other.study, other.announcement.bytes);
    }
    await until('told', async () =>
      (await count("inbox WHERE consumer = 'cache-study-accessed'")) === 33 ? true : undefined,
    );
    await quiet();
    expect([await exists(pinned.announcement), await places(pinned.announcement)]).toEqual([true, 1]);
    expect([await exists(own), await places(own)]).toEqual([true, 1]);
    expect(await cachedBytes()).toBeLessThanOrEqual(BUDGET);
  });
});

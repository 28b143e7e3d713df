import type { INestApplication } from '@nestjs/common';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import {
  ArchiveList,
  type ArchiveV1,
  type Contract,
  FetchEnded,
  FetchEnsure,
  type FetchEnsureReplyV1,
  type FetchEnsureV1,
  FetchStart,
  type FetchStartV1,
  subjectFilter,
} from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { createService } from '@archipelago/platform-service';
import { Database } from '@archipelago/platform-storage';
import { startNats, startPostgres, type TestNats, type TestPostgres } from '@archipelago/testing';
import { CacheServiceModule } from './cache.module';

const EDGE = '3b241101-e2bb-4255-8caf-4136c566a962';
const started: FetchStartV1[] = [];
const refusing = new Set<string>();

function archive(name: string, over: Partial<ArchiveV1> = {}): ArchiveV1 {
  return {
    name,
    site: 'main',
    aeTitle: name.toUpperCase(),
    host: '127.0.0.1',
    port: 104,
    tls: false,
    depth: 'image',
    fetchAeTitle: 'ARCHFETCH',
    budget: { associations: 4, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
    state: 'active',
    revision: 1,
    ...over,
  };
}

/** An edge of the site and the registry, as far as the broker talks to them. */
async function others(url: string): Promise<NatsConnection> {
  const nats = await connect({ servers: url });
  const on = (contract: Contract, answer: (payload: never) => Promise<unknown>): void => {
    nats.subscribe(subjectFilter(contract), {
      callback: (_, message) =>
        void answer(message.json<{ payload: never }>().payload).then(
          (payload) => message.respond(JSON.stringify({ ok: true, payload })),
          (error: Error) =>
            message.respond(
              JSON.stringify({ ok: false, error: { kind: 'transient', code: error.message, message: '' } }),
            ),
        ),
    });
  };
  on(ArchiveList, () =>
    Promise.resolve({ archives: [archive('north'), archive('south'), archive('paused', { state: 'paused' })] }),
  );
  on(FetchStart, async (request: FetchStartV1) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (refusing.has(request.archive.name)) throw new Error('archive-open');
    started.push(request);
    return { edgeId: EDGE, url: 'http://127.0.0.1:1', grant: 'g' };
  });
  return nats;
}

describe('the broker, in two replicas, on a real NATS and a real PostgreSQL', () => {
  let nats: TestNats;
  let postgres: TestPostgres;
  const apps: INestApplication[] = [];
  let bus: Bus;

  let rest: NatsConnection;

  async function start(): Promise<void> {
    const app = await createService(CacheServiceModule, { service: 'cache' });
    apps.push(app);
    await app.init();
    await app.startAllMicroservices();
  }
  const ensure = (study: string, over: Partial<FetchEnsureV1> = {}): Promise<FetchEnsureReplyV1> =>
    bus.request(
      FetchEnsure,
      { target: { studyInstanceUid: study, sopClasses: [] }, archives: ['north', 'south'], ...over },
      { timeoutMs: 10_000 },
    );

  beforeAll(async () => {
    [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
    process.env['ARCHIPELAGO_NATS_URL'] = nats.url;
    process.env['ARCHIPELAGO_DATABASE_URL'] = postgres.url;
    process.env['ARCHIPELAGO_LOG_LEVEL'] = process.env['PROBE_LOG'] ?? 'silent';
    rest = await others(nats.url);
    await start();
    await start();
    bus = apps[0]!.get(Bus);
  }, 60_000);
  afterAll(async () => {
    for (const app of apps) await app.close();
    await rest?.close();
    await Promise.all([nats?.stop(), postgres?.stop()]);
  });
  beforeEach(() => {
    started.length = 0;
    refusing.clear();
  });

  it('begins one fetch for all who want the same, whichever replica they ask', async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, () => ensure('1.1')));
    expect(started.length).toBe(1);
    expect(new Set(replies.map((reply) => reply.leg?.legId))).toEqual(new Set([started[0]!.legId]));
    expect(replies[0]!.leg).toMatchObject({ archive: 'north', edgeId: EDGE, grant: 'g' });
  });

  it('a series joins the fetch of its study, a study does not join that of a series', async () => {
    const whole = await ensure('1.2');
    const series = { studyInstanceUid: '1.2', seriesInstanceUids: ['1.2.1'], sopClasses: [] };
    expect((await ensure('1.2', { target: series })).leg?.legId).toBe(whole.leg?.legId);
    const part = await ensure('1.3', { target: { ...series, studyInstanceUid: '1.3' } });
    expect((await ensure('1.3')).leg?.legId).not.toBe(part.leg?.legId);
  });

  it('goes to the next archive when one cannot be asked, and says why', async () => {
    refusing.add('north');
    const reply = await ensure('1.4', { archives: ['gone', 'paused', 'north', 'south'] });
    expect(reply.leg?.archive).toBe('south');
    expect(reply.refused).toEqual([
      { archive: 'gone', code: 'archive-unknown' },
      { archive: 'paused', code: 'archive-paused' },
      { archive: 'north', code: 'archive-open' },
    ]);
    refusing.add('south');
    const none = await ensure('1.5');
    expect(none.leg).toBeUndefined();
    expect(none.refused.map((one) => one.code)).toEqual(['archive-open', 'archive-open']);
    refusing.clear();
    // a refusal claims nothing
    expect((await ensure('1.5')).leg?.archive).toBe('north');
  });

  it('joins a fetch that has just ended well, and begins anew after one that did not', async () => {
    const end = async (legId: string, outcome: 'complete' | 'partial'): Promise<void> => {
      await bus.emit(FetchEnded, { legId, archive: 'north', outcome, instances: 3, bytes: 30, milliseconds: 5 });
      const database = apps[0]!.get(Database);
      for (let i = 0; i < 100; i++) {
        const { rows } = await database.query('SELECT 1 FROM fetch_leg WHERE leg_id = $1 AND ended_at IS NOT NULL', [
          legId,
        ]);
        if (rows.length > 0) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error('the end was not noted');
    };
    const well = (await ensure('1.6')).leg!;
    await end(well.legId, 'complete');
    expect((await ensure('1.6')).leg?.legId).toBe(well.legId);
    const badly = (await ensure('1.7')).leg!;
    await end(badly.legId, 'partial');
    expect((await ensure('1.7')).leg?.legId).not.toBe(badly.legId);
  });

  it('begins anew when the edge of a fetch has gone', async () => {
    const first = (await ensure('1.8')).leg!;
    const again = (await ensure('1.8', { lost: first.legId })).leg!;
    expect(again.legId).not.toBe(first.legId);
    expect((await ensure('1.8')).leg?.legId).toBe(again.legId);
  });
});

import { Controller, Inject, Module, type INestApplication } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { z } from 'zod';
import { subjectFor, type Contract } from '@archipelago/contracts';
import { createService, PermanentError, TransientError } from '@archipelago/platform-service';
import { Database } from '@archipelago/platform-storage';
import { startNats, startPostgres, type TestNats, type TestPostgres } from '@archipelago/testing';
import {
  assertLease,
  Bus,
  BusConnection,
  BusContext,
  BusModule,
  BusStoreModule,
  claimInbox,
  DeadLetters,
  eventsWithoutEffect,
  Leases,
  OnEvent,
  OnQuery,
  outboxEvent,
  OutboxRelay,
  writeOutbox,
} from './index';

const Happened = {
  kind: 'evt',
  context: 'probe',
  aggregate: 'thing',
  name: 'happened',
  version: 1,
  privacy: 'none',
  orderingKey: 'key',
  schema: z.object({
    key: z.string(),
    n: z.number().int(),
    mode: z.enum(['ok', 'flaky', 'bad', 'slow']).default('ok'),
  }),
} as const satisfies Contract;
const Ordered = {
  kind: 'evt',
  context: 'probe',
  aggregate: 'thing',
  name: 'ordered',
  version: 1,
  privacy: 'none',
  orderingKey: 'key',
  schema: z.object({ key: z.string(), n: z.number().int() }),
} as const satisfies Contract;
const Ask = {
  kind: 'qry',
  context: 'probe',
  aggregate: 'thing',
  name: 'ask',
  version: 1,
  privacy: 'none',
  schema: z.object({ how: z.enum(['ok', 'transient', 'permanent', 'bug', 'wrong', 'slow']) }),
  reply: z.object({ answer: z.number().int() }),
} as const satisfies Contract;
const AskSite = { ...Ask, name: 'ask-site' } as const satisfies Contract;

const seen = { happened: [] as number[], ordered: [] as { key: string; n: number }[], atOnce: 0, mostAtOnce: 0 };
let crashAfterCommit = false;

@Controller()
class ProbeController {
  constructor(@Inject(Database) private readonly database: Database) {}

  @OnEvent(Happened, { consumer: 'probe-happened', maxDeliveries: 20, ackWaitMs: 3_000 })
  async happened(@Payload() payload: z.output<typeof Happened.schema>, @Ctx() context: BusContext): Promise<void> {
    if (payload.mode === 'bad') throw new PermanentError('probe-bad', 'can never work');
    if (payload.mode === 'flaky' && context.deliveries < 3) throw new TransientError('probe-flaky', 'later');
    if (payload.mode === 'slow') await new Promise((resolve) => setTimeout(resolve, 5_000));
    await this.database.withTransaction(async (client) => {
      if (!(await claimInbox(client, context.consumer, context.meta.id))) return;
      await client.query('INSERT INTO effect (n) VALUES ($1)', [payload.n]);
    });
    seen.happened.push(payload.n);
    if (crashAfterCommit) {
      crashAfterCommit = false;
      throw new TransientError('probe-crash', 'as if the process had died between commit and acknowledgement');
    }
  }

  @OnEvent(Ordered, { consumer: 'probe-ordered', ordered: true })
  async ordered(@Payload() payload: z.output<typeof Ordered.schema>): Promise<void> {
    seen.ordered.push(payload);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }

  @OnQuery(AskSite, { ownSite: true })
  askSite(): unknown {
    return { answer: 7 };
  }

  @OnQuery(Ask, { concurrency: 4, queue: 4 })
  async ask(@Payload() { how }: z.output<typeof Ask.schema>): Promise<unknown> {
    if (how === 'transient') throw new TransientError('catalog-away', 'no database');
    if (how === 'permanent') throw new PermanentError('cursor-invalid', 'no such cursor');
    if (how === 'bug') throw new Error('Key (patient_id)=(12345) exists');
    if (how === 'slow') await new Promise((resolve) => setTimeout(resolve, 400));
    return how === 'wrong' ? { answer: 'no' } : { answer: 42 };
  }
}

@Module({
  imports: [
    BusStoreModule,
    BusModule.forFeature({ handles: [Happened, Ordered], answers: [Ask, AskSite], publishes: [Happened, Ordered] }),
  ],
  controllers: [ProbeController],
})
class ProbeModule {}

jest.setTimeout(120_000);

async function until(check: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await check())) {
    if (Date.now() > end) throw new Error('did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('the bus with a real NATS and a real PostgreSQL', () => {
  let nats: TestNats;
  let postgres: TestPostgres;
  let app: INestApplication;
  let bus: Bus;
  let database: Database;
  let n = 0;

  const effects = async (): Promise<number[]> =>
    (await database.query<{ n: number }>('SELECT n FROM effect ORDER BY n')).rows.map((row) => row.n);
  const effectOf = (value: number) => async (): Promise<boolean> => (await effects()).includes(value);
  const send = (mode: 'ok' | 'flaky' | 'bad' | 'slow' = 'ok', id?: string): Promise<number> => {
    const value = ++n;
    return bus.publish(Happened, { key: `k${value}`, n: value, mode }, { id, timeoutMs: 10_000 }).then(() => value);
  };

  beforeAll(async () => {
    [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
    process.env['ARCHIPELAGO_NATS_URL'] = nats.url;
    process.env['ARCHIPELAGO_DATABASE_URL'] = postgres.url;
    process.env['ARCHIPELAGO_LOG_LEVEL'] = process.env['PROBE_LOG'] ?? 'silent';
    app = await createService(ProbeModule, { service: 'probe' });
    database = app.get(Database);
    await database.query('CREATE TABLE effect (n integer PRIMARY KEY)');
    await app.init();
    await app.startAllMicroservices();
    bus = app.get(Bus);
  });
  afterAll(async () => {
    await app?.close();
    await Promise.all([nats?.stop(), postgres?.stop()]);
  });

  it('handles what was published, validated both ways', async () => {
    const value = await send();
    await until(effectOf(value));
    await expect(bus.publish(Happened, { key: 'x', n: 1.5 })).rejects.toMatchObject({
      kind: 'permanent',
      code: 'message-invalid',
    });
  });

  it('a poison message becomes a dead letter, and later ones flow', async () => {
    const connection = await app.get(BusConnection).ready(1_000);
    connection.publish(subjectFor(Happened, 0, 'main'), Buffer.from('not json'));
    connection.publish(subjectFor(Happened, 0, 'main'), Buffer.from(JSON.stringify({ id: 'x', payload: {} })));
    await send('bad');
    const good = await send();
    await until(effectOf(good));
    const letters = app.get(DeadLetters);
    await until(async () => (await letters.list()).length === 3);
    const codes = (await letters.list()).map((letter) => letter.code);
    expect(codes.sort()).toEqual(['message-invalid', 'message-invalid', 'probe-bad']);
    const first = (await letters.list()).find((letter) => letter.code === 'message-invalid')!;
    expect((await letters.show(first.id)).data.length).toBeGreaterThan(0);
    await letters.discard(first.id);
    expect(await letters.list()).toHaveLength(2);
    await expect(letters.discard(first.id)).rejects.toMatchObject({ code: 'dead-letter-decided' });
  });

  it('a replayed dead letter goes through once its reason is gone', async () => {
    const letters = app.get(DeadLetters);
    const bad = (await letters.list()).find((letter) => letter.code === 'probe-bad')!;
    const envelope = JSON.parse((await letters.show(bad.id)).data.toString()) as {
      payload: { mode: string; n: number };
    };
    envelope.payload.mode = 'ok';
    await database.query('UPDATE dead_letter SET data = $1 WHERE id = $2', [
      Buffer.from(JSON.stringify(envelope)),
      bad.id,
    ]);
    await letters.replay(bad.id);
    await until(effectOf(envelope.payload.n));
    expect((await letters.list({ state: 'replayed' })).map((letter) => letter.id)).toEqual([bad.id]);
  });

  it('a transient failure is tried again with back-off', async () => {
    const value = await send('flaky');
    await until(effectOf(value));
  });

  it('work longer than the acknowledgement wait is not delivered twice', async () => {
    const value = await send('slow');
    await until(effectOf(value), 10_000);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(seen.happened.filter((seenN) => seenN === value)).toHaveLength(1);
  });

  it('a crash between commit and acknowledgement has its effect once', async () => {
    crashAfterCommit = true;
    const value = await send();
    await until(() => seen.happened.filter((seenN) => seenN === value).length >= 2);
    expect((await effects()).filter((e) => e === value)).toHaveLength(1);
  });

  it('ordered handlers see each partition in order', async () => {
    for (let i = 0; i < 100; i++) await bus.publish(Ordered, { key: `key-${i % 5}`, n: i });
    await until(() => seen.ordered.length >= 100);
    for (let k = 0; k < 5; k++) {
      const order = seen.ordered.filter(({ key }) => key === `key-${k}`).map(({ n: value }) => value);
      expect(order).toEqual([...order].sort((a, b) => a - b));
      expect(order).toHaveLength(20);
    }
  });

  it('answers queries, and errors arrive with their class', async () => {
    expect(await bus.request(Ask, { how: 'ok' }, { timeoutMs: 2_000 })).toEqual({ answer: 42 });
    const fail = (how: 'transient' | 'permanent' | 'bug' | 'wrong'): Promise<unknown> =>
      bus.request(Ask, { how }, { timeoutMs: 2_000 });
    await expect(fail('transient')).rejects.toMatchObject({ kind: 'transient', code: 'catalog-away' });
    await expect(fail('permanent')).rejects.toMatchObject({ kind: 'permanent', code: 'cursor-invalid' });
    await expect(fail('bug')).rejects.toMatchObject({ kind: 'bug', message: 'internal error' });
    await expect(fail('wrong')).rejects.toMatchObject({ kind: 'bug' });
    await expect(bus.request(Ask, { how: 'slow' }, { timeoutMs: 100 })).rejects.toMatchObject({ code: 'bus-timeout' });
    const none = { ...Ask, name: 'nobody' as const };
    await expect(bus.request(none, { how: 'ok' }, { timeoutMs: 2_000 })).rejects.toMatchObject({
      code: 'bus-no-responders',
    });
  });

  it('answers what is addressed to its site only', async () => {
    expect(await bus.request(AskSite, { how: 'ok' }, { timeoutMs: 2_000 })).toEqual({ answer: 7 });
    await expect(bus.request(AskSite, { how: 'ok' }, { timeoutMs: 2_000, site: 'elsewhere' })).rejects.toMatchObject({
      code: 'bus-no-responders',
    });
  });

  it('refuses queries beyond its queue at once', async () => {
    // the one that nobody waits for any more, of the test before
    await new Promise((resolve) => setTimeout(resolve, 600));
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => bus.request(Ask, { how: 'slow' }, { timeoutMs: 5_000 })),
    );
    const busy = results.filter((r) => r.status === 'rejected' && (r.reason as { code: string }).code === 'busy');
    expect(busy.length).toBe(12);
    expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(8);
  });

  it('the outbox publishes after the commit, and not after a rollback', async () => {
    const value = ++n;
    const event = outboxEvent({ contract: Happened, payload: { key: 'o', n: value }, site: 'main' });
    await expect(
      database.withTransaction(async (client) => {
        await writeOutbox(client, [outboxEvent({ contract: Happened, payload: { key: 'o', n: 9_999 }, site: 'main' })]);
        throw new PermanentError('undo', 'undo');
      }),
    ).rejects.toMatchObject({ code: 'undo' });
    await database.withTransaction((client) => writeOutbox(client, [event]));
    app.get(OutboxRelay).nudge();
    await until(effectOf(value));
    expect(await effects()).not.toContain(9_999);
    await until(
      async () => (await eventsWithoutEffect(database, 'probe-happened', 'evt.probe.thing.happened.v1')).length === 0,
    );
  });

  it('leases: one holder, fenced off after losing it', async () => {
    const leases = app.get(Leases);
    const other = new Leases(database, { warn: () => undefined } as never);
    const lease = (await leases.acquire('probe', 1))!;
    expect(await other.acquire('probe', 1)).toBeNull();
    expect(await leases.renew(lease, 1)).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const taken = (await other.acquire('probe', 5))!;
    expect(Number(taken.token)).toBe(Number(lease.token) + 1);
    expect(await leases.renew(lease, 1)).toBe(false);
    await expect(database.withTransaction((client) => assertLease(client, lease))).rejects.toMatchObject({
      code: 'lease-lost',
    });
    await database.withTransaction((client) => assertLease(client, taken));
    expect(await leases.whileHeld('probe', 5, () => Promise.resolve('ran'))).toBeUndefined();
    await other.release(taken);
    expect(await leases.whileHeld('probe', 5, () => Promise.resolve('ran'))).toBe('ran');
  });

  it('NATS wiped after publication and before consumption: the outbox publishes again', async () => {
    // the consumer stands still while its messages are published
    const values = Array.from({ length: 50 }, () => ++n);
    await nats.kill9();
    await database.withTransaction((client) =>
      writeOutbox(
        client,
        values.map((value) => outboxEvent({ contract: Happened, payload: { key: 'w', n: value }, site: 'main' })),
      ),
    );
    await nats.restart();
    await database.query('BEGIN; LOCK TABLE effect IN EXCLUSIVE MODE; COMMIT');
    const open = async (): Promise<number> =>
      Number(
        (await database.query<{ n: string }>('SELECT count(*) AS n FROM outbox WHERE published_at IS NULL')).rows[0]!.n,
      );
    // hold back every effect until the volume is gone
    const holder = database.withTransaction(async (client) => {
      await client.query('LOCK TABLE effect IN EXCLUSIVE MODE');
      await until(async () => (await open()) === 0);
      await nats.kill9();
      nats.wipe();
    });
    await holder;
    await nats.restart();
    await until(async () => {
      const have = await effects();
      return values.every((value) => have.includes(value));
    }, 40_000);
    const all = await effects();
    expect(new Set(all).size).toBe(all.length);
  });

  it('NATS away for seconds: publishers and askers hear of it in time, then everything goes on', async () => {
    await nats.kill9();
    const started = Date.now();
    await expect(bus.request(Ask, { how: 'ok' }, { timeoutMs: 1_000 })).rejects.toMatchObject({ kind: 'transient' });
    await expect(bus.publish(Happened, { key: 'z', n: 77_777 }, { timeoutMs: 1_000 })).rejects.toMatchObject({
      kind: 'transient',
    });
    expect(Date.now() - started).toBeLessThan(4_000);
    const waiting = send();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await nats.restart();
    await until(effectOf(await waiting));
    await until(async () => (await bus.request(Ask, { how: 'ok' }, { timeoutMs: 1_000 }).catch(() => null)) !== null);
  });

  it('PostgreSQL restarted under load: every message has its effect once', async () => {
    const values: Promise<number>[] = [];
    for (let i = 0; i < 200; i++) {
      values.push(send());
      if (i === 100) void postgres.kill9().then(() => postgres.restart());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const sent = await Promise.all(values);
    await until(async () => {
      try {
        const have = new Set(await effects());
        return sent.every((value) => have.has(value));
      } catch {
        return false;
      }
    }, 60_000);
    expect((await effects()).length).toBe(new Set(await effects()).size);
  });
});

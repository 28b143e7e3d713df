import type { ArchiveV1 } from '@archipelago/contracts';
import { coreConfig, Logger, MetricsRegistry, parseArchipelagoConfig } from '@archipelago/platform-service';
import { ScriptedArchive, scriptedContent } from '@archipelago/dimse';
import { freePort } from '@archipelago/testing';
import { ArchiveConnections, type UseOptions } from './archive-connections';
import { ArchiveMetrics } from './archive.metrics';

const VERIFICATION = { abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: ['1.2.840.10008.1.2'] };
const FIND = { abstractSyntax: '1.2.840.10008.5.1.4.1.2.2.1', transferSyntaxes: ['1.2.840.10008.1.2.1'] };
const ECHO: UseOptions = { contexts: [VERIFICATION] };

const scripted = new ScriptedArchive(scriptedContent({ studies: 5 }));
let connections: ArchiveConnections;

function archive(changes: Partial<ArchiveV1> = {}): ArchiveV1 {
  return {
    name: 'north',
    site: 'main',
    aeTitle: scripted.aeTitle,
    host: '127.0.0.1',
    port: scripted.port,
    tls: false,
    depth: 'full',
    fetchAeTitle: 'ARCHFETCH',
    budget: { associations: 3, requestsPerSecond: 0, harvestBytesPerSecond: 0, harvestHours: [] },
    state: 'active',
    revision: 1,
    ...changes,
  };
}

beforeEach(async () => {
  scripted.behaviour = {};
  await scripted.start();
  scripted.reset();
  connections = new ArchiveConnections(
    parseArchipelagoConfig(''),
    coreConfig.load({}),
    new ArchiveMetrics(new MetricsRegistry()),
    Logger.create('test', 'silent'),
  );
});

afterEach(async () => {
  await connections.beforeApplicationShutdown();
  await scripted.stop();
});

const echo = (of = archive()): Promise<number> =>
  connections.use(of, 'probe', async (association) => (await association.echo()).status, ECHO);

test('an association serves the next one with the same needs, and never more than the budget are open', async () => {
  const statuses = await Promise.all(Array.from({ length: 20 }, () => echo()));
  expect(statuses.every((status) => status === 0)).toBe(true);
  expect(scripted.mostAssociations).toBeLessThanOrEqual(3);
  expect(scripted.mostAssociations).toBeGreaterThan(0);
});

test('a refusing archive is not asked after three refusals, another one is', async () => {
  scripted.behaviour.refuse = true;
  for (let i = 0; i < 3; i++)
    await expect(echo()).rejects.toMatchObject({ code: 'archive-refused', kind: 'transient' });
  await expect(echo()).rejects.toMatchObject({ code: 'archive-open' });
  expect(connections.availability({ name: 'north' })).toBe('open');
  scripted.behaviour.refuse = false;
  expect(await echo(archive({ name: 'south' }))).toBe(0);
  // at another address the same name is another archive
  const other = await new ScriptedArchive([]).start();
  expect(await echo(archive({ port: other.port }))).toBe(0);
  await other.stop();
});

test('an archive that is not there, and one that hangs, fail in bounded time', async () => {
  const gone = archive({ name: 'gone', port: await freePort() });
  await expect(echo(gone)).rejects.toMatchObject({ code: 'archive-unreachable' });
  scripted.behaviour.hang = true;
  const started = Date.now();
  const hung = connections.use(
    archive({ name: 'hung' }),
    'harvest',
    async (association) => {
      for await (const response of association.find(FIND.abstractSyntax, Buffer.alloc(0))) void response;
    },
    { contexts: [FIND], responseTimeoutMs: 300 },
  );
  await expect(hung).rejects.toMatchObject({ code: 'archive-timeout' });
  expect(Date.now() - started).toBeLessThan(5_000);
});

test('what the caller gives up says nothing about the archive', async () => {
  scripted.behaviour.hang = true;
  for (let i = 0; i < 5; i++) {
    const given = connections.use(
      archive(),
      'harvest',
      async (association) => {
        for await (const response of association.find(FIND.abstractSyntax, Buffer.alloc(0))) void response;
      },
      { contexts: [FIND], signal: AbortSignal.timeout(50) },
    );
    await expect(given).rejects.toBeDefined();
  }
  expect(connections.availability({ name: 'north' })).toBe('closed');
});

test('a paused archive is probed, but not harvested or fetched from', async () => {
  const paused = archive({ state: 'paused' });
  expect(await echo(paused)).toBe(0);
  await expect(connections.use(paused, 'fetch', async (a) => a.echo(), ECHO)).rejects.toMatchObject({
    code: 'archive-paused',
  });
});

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { connect as connectNats } from '@nats-io/transport-node';
import { subjectFor, SweepStart } from '@archipelago/contracts';
import { encodeMessage } from '@archipelago/platform-bus';
import { eventually, runCommand, type TestSystem } from '@archipelago/testing';
import { spoolFiles, untilQuiet, type Centre } from './kit/centre';
import { exams } from './kit/exams';
import { defineCampaign, type Stage } from './kit/run';
import { sendAll } from './kit/sender';
import { checkCatalog, checkRetrieval, checkStored } from './kit/truth';

/**
 * What the centre loses behind our back comes back from the edge's segments: stored packs deleted, the catalog set back,
 * and both for the same packs. In the end the segments go too: everything must come from the object store alone.
 */
async function play(stage: Stage): Promise<void> {
  const { options, system, checks, ledger } = stage;
  const instances = options.instances ?? (options.long ? 3_000 : 120);
  const source = exams(options.seed, 20);
  const send = async (): Promise<void> => {
    const before = ledger.acknowledgedAt.length;
    await sendAll(stage.senders(3), source, () => ledger.acknowledgedAt.length - before >= instances);
    await untilQuiet(system, 90_000);
  };
  await send();
  await stage.withCentre((centre) => deleted(stage, centre));
  const copy = await copyOfDatabase(system);
  await send();
  await setBack(system, copy);
  await stage.withCentre((centre) => unknownPacks(stage, centre));
  await setBack(system, copy);
  await stage.withCentre((centre) => unknownAndDeleted(stage, centre));
  await untilQuiet(system, 90_000);
  await forgetSegments(system);
  await stage.withCentre(async (centre) => {
    checks.note('from the object store alone:');
    await checkRetrieval(centre, ledger, checks);
    await checkStored(centre, ledger, checks);
    await checkCatalog(centre, ledger, checks);
  });
}

/** Every third stored pack is deleted: still retrievable from the segments, and back in the store after a sweep. */
async function deleted({ checks, ledger }: Stage, centre: Centre): Promise<void> {
  const gone = (await places(centre)).filter((_, n) => n % 3 === 0);
  for (const key of gone) await centre.store.delete(key);
  checks.note(`${gone.length} stored packs deleted:`);
  await checkRetrieval(centre, ledger, checks);
  await sweep(centre.system);
  await untilStored(centre, gone);
  checks.note('after the sweep:');
  await checkStored(centre, ledger, checks);
}

/** The catalog is older than the stored packs: the sweep ingests what it does not know. */
async function unknownPacks({ checks, ledger }: Stage, centre: Centre): Promise<void> {
  const known = (await places(centre)).length;
  const confirmed = spoolFiles(centre.system, 'confirmed').length;
  checks.check('the catalog was set back', known < confirmed, `${known} of ${confirmed} packs are known`);
  await sweep(centre.system);
  await eventually('the sweep ingests', async () => (await places(centre)).length >= confirmed, 60_000, 200);
  // cut off by the next set-back it would begin again, and know of packs before they are deleted
  await eventually(
    'the sweep is over',
    async () => (await centre.count('ingest_sweep WHERE finished_at IS NULL')) === 0,
  );
  checks.note('catalog set back, after the sweep:');
  await checkRetrieval(centre, ledger, checks);
  await checkCatalog(centre, ledger, checks);
}

/** Neither the catalog nor the store knows of them: only the edge can tell. */
async function unknownAndDeleted({ system, checks, ledger }: Stage, centre: Centre): Promise<void> {
  const known = new Set(await places(centre));
  const lost: string[] = [];
  for await (const { key } of centre.store.list('packs/')) if (!known.has(key)) lost.push(key);
  for (const key of lost) await centre.store.delete(key);
  checks.check('packs that only the edge has', lost.length > 0, String(lost.length));
  // the edge tells again of all that it keeps when it starts
  await system.edge.restart();
  await untilStored(centre, lost);
  await eventually(
    'all packs known again',
    async () => (await places(centre)).length >= known.size + lost.length,
    60_000,
  );
  checks.note('catalog set back and packs deleted, after the edge told again:');
  await checkRetrieval(centre, ledger, checks);
  await checkStored(centre, ledger, checks);
}

async function places(centre: Centre): Promise<string[]> {
  return (await centre.rows<{ key: string }>('SELECT key FROM pack_location ORDER BY key')).map(({ key }) => key);
}

async function untilStored(centre: Centre, keys: readonly string[]): Promise<void> {
  await eventually(
    'the packs are stored again',
    async () => (await Promise.all(keys.map((key) => centre.store.stat(key)))).every((info) => info !== null),
    90_000,
    200,
  );
  // the object is there before the catalog is told so
  await eventually('the catalog knows that they are', async () => {
    const missing = await centre.rows<{ key: string }>('SELECT key FROM pack_location WHERE missing_at IS NOT NULL');
    return !missing.some(({ key }) => keys.includes(key));
  });
}

async function sweep(system: TestSystem): Promise<void> {
  const nats = await connectNats({ servers: system.nats.url });
  try {
    const { data } = encodeMessage(SweepStart, { deep: true, graceSeconds: 0 }, { site: 'main' });
    await jetstream(nats).publish(subjectFor(SweepStart, '0', 'main'), data);
  } finally {
    await nats.close();
  }
}

/** Its files while it is down, as after a crash. */
async function copyOfDatabase(system: TestSystem): Promise<string> {
  const copy = join(system.home, 'postgres-copy');
  await system.postgres.kill9();
  await copyFolder(join(system.home, 'postgres'), copy);
  await restart(system);
  return copy;
}

async function setBack(system: TestSystem, copy: string): Promise<void> {
  const folder = join(system.home, 'postgres');
  await system.postgres.kill9();
  rmSync(folder, { recursive: true });
  await copyFolder(copy, folder);
  await restart(system);
}

/** With owners and modes: as root the server runs as a plain user. */
async function copyFolder(from: string, to: string): Promise<void> {
  const { code, output } = await runCommand('cp', ['-a', from, to]);
  if (code !== 0) throw new Error(`cp: ${output}`);
}

async function restart(system: TestSystem): Promise<void> {
  await eventually('PostgreSQL runs again', async () => (await system.postgres.restart(), true), 60_000, 300);
}

/** The edge starts again without the segments that were confirmed, as after their eviction. */
async function forgetSegments(system: TestSystem): Promise<void> {
  await system.edge.kill9();
  rmSync(join(system.spoolDir, 'confirmed'), { recursive: true });
  await system.edge.restart();
}

export const heal = defineCampaign({
  name: 'heal',
  summary: 'stored packs deleted, catalog set back, both at once: all of it heals while segments are kept',
  store: 'fs',
  play,
});

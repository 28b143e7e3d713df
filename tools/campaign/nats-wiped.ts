import { setTimeout as pause } from 'node:timers/promises';
import { eventually, type TestSystem } from '@archipelago/testing';
import { spoolFiles, untilQuiet } from './kit/centre';
import { exams, type Exam } from './kit/exams';
import { defineCampaign, type Stage } from './kit/run';
import { sendAll } from './kit/sender';
import { checkCatalog, checkEvents, checkRetrieval, checkStored } from './kit/truth';

/** JetStream loses everything after the announcements and before anybody read them. */
async function play(stage: Stage): Promise<void> {
  const { options, system, checks, ledger, senders } = stage;
  const source = exams(options.seed, 25);
  const instances = options.instances ?? (options.long ? 5_000 : 150);
  for (const how of ['stopped', 'paused'] as const) {
    for (const ingest of system.ingests) await (how === 'stopped' ? ingest.kill9() : ingest.pause());
    const before = ledger.acknowledgedAt.length;
    await sendAll(senders(3), source as Generator<Exam>, () => ledger.acknowledgedAt.length - before >= instances);
    const packs = await untilAnnounced(stage);
    checks.check(`ingest ${how}: packs announced and waiting`, packs > 0, String(packs));
    await wipe(system);
    for (const ingest of system.ingests) {
      if (how === 'stopped') await ingest.restart();
      else ingest.resume();
    }
    await untilQuiet(system, 150_000);
    checks.note(ledger.summary());
  }
  await stage.withCentre(async (centre) => {
    await checkRetrieval(centre, ledger, checks);
    await checkStored(centre, ledger, checks);
    await checkCatalog(centre, ledger, checks);
    await checkEvents(centre, checks, { wiped: true });
  });
}

/** Every sealed pack of the spool has a message in the stream. */
async function untilAnnounced(stage: Stage): Promise<number> {
  const { system } = stage;
  return stage.withCentre(async (centre) =>
    eventually(
      'every pack is announced',
      async () => {
        if (spoolFiles(system, 'open').length > 0) return false;
        const told = new Set((await centre.sealedPacks()).map(({ payload }) => String(payload['packId'])));
        const waiting = spoolFiles(system, 'sealed').map((name) => name.replace(/\.pack$/, ''));
        return waiting.length > 0 && waiting.every((id) => told.has(id)) && waiting.length;
      },
      60_000,
      200,
    ),
  );
}

async function wipe(system: TestSystem): Promise<void> {
  await system.nats.kill9();
  system.nats.wipe();
  await pause(300);
  await system.nats.restart();
}

export const natsWiped = defineCampaign({
  name: 'nats-wiped',
  summary: 'NATS loses its volume after packs were announced and before ingest read them; nothing is lost',
  store: 'fs',
  system: () => ({ ingests: 2 }),
  play,
});

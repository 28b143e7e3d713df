import { Random, startSystem, type TestSystem } from '@archipelago/testing';
import type { Campaign, CampaignResult } from './campaign';
import { Centre, untilQuiet } from './kit/centre';
import { Chaos, plan } from './kit/chaos';
import { Checks } from './kit/checks';
import { exams } from './kit/exams';
import { Ledger } from './kit/ledger';
import { OPTIONS_HELP, parseOptions, type CampaignOptions } from './kit/options';
import { Sender, sendAll } from './kit/sender';
import { checkAll } from './kit/truth';

const ASSOCIATIONS = 4;

async function storm(
  system: TestSystem,
  options: CampaignOptions,
  ledger: Ledger,
  checks: Checks,
): Promise<{ kills: number; aimed: number }> {
  const random = new Random(`${options.seed}/storm`);
  const instances = options.instances ?? (options.long ? 100_000 : 2_000);
  const chaos = new Chaos(system, checks.note);
  await chaos.watch();
  let calm = false;
  const source = exams(options.seed, options.long ? 120 : 40);
  const senders = Array.from(
    { length: ASSOCIATIONS },
    (_, n) =>
      new Sender({
        target: system,
        ledger,
        callingAeTitle: `CT${n}`,
        random: random.fork(`sender/${n}`),
        pauseMs: options.long ? 10 : 60,
      }),
  );
  const sending = sendAll(senders, source, () => calm && ledger.acknowledgedAt.length >= instances);
  try {
    do {
      for (const strike of plan(Object.keys(system.processes), options.long ? 3 : 2, random)) await chaos.strike(strike);
    } while (options.long && ledger.acknowledgedAt.length < instances);
    await chaos.allRevived();
  } finally {
    calm = true;
    await sending;
    await chaos.close();
  }
  return { kills: chaos.kills, aimed: chaos.aimed };
}

async function run(args: string[], note: (line: string) => void): Promise<CampaignResult> {
  const options = parseOptions(args, { store: 's3' });
  const checks = new Checks(note, 'never-lost', options.seed);
  const system = await startSystem({ store: options.store, ingests: 2 });
  const ledger = new Ledger();
  try {
    const { kills, aimed } = await storm(system, options, ledger, checks);
    checks.note('sent; waiting until every pack is answered');
    await untilQuiet(system, 150_000);
    const centre = await Centre.open(system);
    try {
      checks.note(`${summary(ledger)}; ${kills} kills, ${aimed} of them aimed between two steps`);
      await checkAll(centre, ledger, checks);
    } finally {
      await centre.close();
    }
  } catch (error) {
    checks.broken('the campaign ran to its end', error);
  } finally {
    await system.stop();
  }
  return checks.result();
}

export function summary(ledger: Ledger): string {
  const attempts = ledger.all().reduce((sum, each) => sum + each.attempts, 0);
  const refusals = [...ledger.refusals].map(([status, times]) => `${times} × ${status}`).join(', ') || 'none';
  return `${ledger.acknowledged().length} acknowledged of ${attempts} attempts in ${ledger.studies().length} studies; interruptions ${ledger.interruptions}, refusals ${refusals}`;
}

export const neverLost: Campaign = {
  name: 'never-lost',
  summary: 'kill -9 at every process at random moments under load; then everything acknowledged is there, byte for byte',
  help: OPTIONS_HELP,
  run,
};

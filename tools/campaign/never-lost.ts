import { untilQuiet } from './kit/centre';
import { Chaos, plan } from './kit/chaos';
import { Checks } from './kit/checks';
import { exams } from './kit/exams';
import { Ledger } from './kit/ledger';
import { defineCampaign, type Stage } from './kit/run';
import { sendAll } from './kit/sender';
import { checkAll, checkRetrieval } from './kit/truth';

const ASSOCIATIONS = 5;

async function play(stage: Stage): Promise<void> {
  const { system, checks, ledger } = stage;
  const { kills, aimed } = await storm(stage);
  checks.note('sent; waiting until every pack is answered');
  await untilQuiet(system, 150_000);
  checks.note(`${ledger.summary()}; ${kills} kills, ${aimed} of them aimed between two steps`);
  await stage.withCentre(async (centre) => {
    await checkAll(centre, ledger, checks);
    const seen = await findsFaults(stage, (falsified, scratch) => checkRetrieval(centre, falsified, scratch));
    checks.equal('the comparison finds a missing and a changed instance when there are some', seen, [true, true]);
  });
}

/** Load over several associations while every process is struck again and again. */
async function storm({ options, system, checks, ledger, random, senders }: Stage): Promise<{
  kills: number;
  aimed: number;
}> {
  const instances = options.instances ?? (options.long ? 100_000 : 2_000);
  const chaos = new Chaos(system, checks.note);
  await chaos.watch();
  let calm = false;
  const sending = sendAll(
    senders(ASSOCIATIONS, { pauseMs: options.long ? 10 : 40 }),
    exams(options.seed, options.long ? 120 : 40),
    () => calm && ledger.acknowledgedAt.length >= instances,
  );
  try {
    do {
      for (const strike of plan(Object.keys(system.processes), 3, random.fork(`storm/${chaos.kills}`)))
        await chaos.strike(strike);
    } while (options.long && ledger.acknowledgedAt.length < instances);
    await chaos.allRevived();
  } finally {
    calm = true;
    await sending;
    await chaos.close();
  }
  return { kills: chaos.kills, aimed: chaos.aimed };
}

/** A check that cannot fail proves nothing: with a falsified list the comparison must see what is not there. */
async function findsFaults(
  { ledger }: Stage,
  compare: (falsified: Ledger, scratch: Checks) => Promise<void>,
): Promise<[boolean, boolean]> {
  const [one] = ledger.acknowledged();
  if (!one) return [false, false];
  const falsified = new Ledger();
  for (const sent of ledger.all().filter((each) => each.studyInstanceUid === one.studyInstanceUid)) {
    const wireDigest = sent === one ? '00'.repeat(32) : sent.wireDigest;
    falsified.acknowledge(falsified.trying({ ...sent, wireDigest }));
  }
  falsified.acknowledge(falsified.trying({ ...one, sopInstanceUid: '2.25.1' }));
  const scratch = new Checks(() => undefined, 'self-test', '-');
  await compare(falsified, scratch);
  const { failures } = scratch.result();
  return [failures.some((each) => each.includes(' lost')), failures.some((each) => each.includes(' different'))];
}

export const neverLost = defineCampaign({
  name: 'never-lost',
  summary:
    'kill -9 at every process at random moments under load; then everything acknowledged is there, byte for byte',
  store: 's3',
  system: () => ({ ingests: 2 }),
  play,
});

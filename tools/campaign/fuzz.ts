import { parseArgs } from 'node:util';
import { percentile, startSystem, Watch } from '@archipelago/testing';
import type { Campaign, CampaignResult } from './campaign';
import { readCorpus } from './fuzz-corpus';
import { KNOWN_PEER, timeEcho } from './fuzz-echo';
import { fuzzInProcess, MEMORY_BYTES, mib } from './fuzz-in-process';
import { emptyResult, fuzzFinds, fuzzSessions, fuzzStores, oneSession } from './fuzz-network';
import { makeSamples } from './fuzz-samples';
import { compareAll, settled } from './fuzz-verify';

const SHORT = 20_000;
const LONG = 1_000_000;
/** Longer than this an answer hangs (issue "The spine", Bad input). */
const HANG_MS = 2_000;
/** How many of the acknowledged objects are compared byte for byte. */
const MOST_COMPARED = 300;

type Note = (line: string) => void;

/** Of each hundred inputs so many go over the network; the rest into readers in a child process, which is faster. */
const SHARE = { sessions: 0.15, stores: 0.05, finds: 0.02 };

/** Bad input: mutated PDUs, data sets, identifiers, packs and messages, seeded. */
export const fuzz: Campaign = {
  name: 'fuzz',
  summary: 'damaged input into the running edge and into every reader: no exit, no hang over 2 s, bounded memory',
  help: '[--count N] [--seed S] [--long]',
  async run(args, note) {
    const { values } = parseArgs({
      args,
      options: {
        count: { type: 'string' },
        seed: { type: 'string', default: '1' },
        long: { type: 'boolean', default: false },
      },
    });
    const count = Number(values.count ?? (values.long ? LONG : SHORT));
    const seed = Number(values.seed);
    if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed))
      throw new Error('--count and --seed are whole numbers');
    const first = seed * 10_000_000;
    const overNetwork = Math.round(count * (SHARE.sessions + SHARE.stores + SHARE.finds));
    // the running system first: a long run that is ended early has shown what matters most
    const outside = await runningSystem(first, count, note);
    const inside = await readers(first, count - overNetwork, note);
    return { passed: inside.passed + outside.passed, failures: [...inside.failures, ...outside.failures] };
  },
};

async function readers(first: number, count: number, note: Note): Promise<CampaignResult> {
  const started = Date.now();
  const { done, perTarget, rss, failures } = await fuzzInProcess(first, count, note);
  note(`readers: ${done} inputs in ${seconds(started)} s, at most ${mib(rss)} MiB`);
  for (const [name, n] of Object.entries(perTarget)) note(`  ${name.padEnd(12)}${n}`);
  return { passed: failures.length === 0 ? 1 : 0, failures };
}

/** Against the edge as a process of its own, with everything behind it. Each check counts as one. */
async function runningSystem(first: number, count: number, note: Note): Promise<CampaignResult> {
  const peers = [{ aeTitle: KNOWN_PEER, addresses: ['127.0.0.1'] }];
  const system = await startSystem({ config: { peers } });
  const failures: string[] = [];
  let passed = 0;
  const check = (held: boolean, ...found: string[]): void => {
    if (held) passed++;
    else failures.push(...found);
  };
  try {
    const result = emptyResult();
    const watch = new Watch(system, { echoMs: HANG_MS, rssBytes: MEMORY_BYTES }, () => timeEcho(system));
    for (const { name, bytes } of readCorpus().filter(({ target }) => target === 'session')) {
      const wrong = await oneSession(system, [bytes], 1);
      check(!wrong, `corpus session ${name}: ${wrong}`);
    }
    const samples = await makeSamples(72, 1);
    const part = async (what: string, n: number, work: () => Promise<void>): Promise<void> => {
      const started = Date.now();
      await work();
      note(`${what}: ${n} in ${seconds(started)} s`);
    };
    const of = (share: number): number => Math.max(1, Math.round(count * share));
    await part('sessions', of(SHARE.sessions), () => fuzzSessions(system, first, of(SHARE.sessions), result));
    await part('C-STOREs', of(SHARE.stores), () => fuzzStores(system, samples, first, of(SHARE.stores), result));
    await part('C-FINDs', of(SHARE.finds), () => fuzzFinds(system, first, of(SHARE.finds), result));
    const { echoes, peaks, failures: watched } = await watch.stop();
    for (const [key, n] of [...result.statuses].sort()) note(`  ${key.padEnd(32)}${n}`);
    note(
      `known peer's C-ECHO: ${echoes.length}, median ${percentile(echoes, 0.5).toFixed(0)} ms, most ${percentile(echoes, 1).toFixed(0)} ms`,
    );
    note(
      `memory: ${Object.entries(peaks)
        .map(([name, bytes]) => `${name} ${mib(bytes)} MiB`)
        .join(', ')}`,
    );
    check(result.failures.length === 0, ...result.failures);
    check(watched.length === 0, ...watched);
    const unsettled = await settled(system);
    check(unsettled.length === 0, ...unsettled);
    // from the whole run: what is lost late is lost, too
    const every = Math.max(1, Math.ceil(result.acknowledged.size / MOST_COMPARED));
    const sample = new Map([...result.acknowledged].filter((_, i) => i % every === 0));
    const { compared, failures: different } = await compareAll(system, sample);
    note(
      `acknowledged: ${result.acknowledged.size}; retrieved and compared: ${compared}, different: ${different.length}`,
    );
    check(different.length === 0, ...different);
    if (failures.length > 0) note(`${system.edge.log(40)}`);
  } finally {
    await system.stop();
  }
  return { passed, failures };
}

const seconds = (since: number): string => ((Date.now() - since) / 1000).toFixed(0);

import { parseArgs } from 'node:util';
import type { Campaign } from './campaign';
import { fuzzInProcess, mib } from './fuzz-in-process';

const SHORT = 20_000;
const LONG = 1_000_000;

/** Bad input: mutated PDUs, data sets, identifiers, packs and messages, seeded (issue "The spine", Bad input). */
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
    const started = Date.now();
    const { done, perTarget, rss, failures } = await fuzzInProcess(seed * 10_000_000, count, note);
    note(`in process: ${done} inputs in ${((Date.now() - started) / 1000).toFixed(0)} s, at most ${mib(rss)} MiB`);
    for (const [name, n] of Object.entries(perTarget)) note(`  ${name.padEnd(12)}${n}`);
    return { passed: failures.length === 0 ? 1 : 0, failures };
  },
};

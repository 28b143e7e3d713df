import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine';
import { render, type Benchmark, type BenchContext } from './report';
import { cache } from './cache';
import { find } from './find';
import { hung } from './hung';
import { ingest } from './ingest';
import { latency } from './latency';
import { linkage } from './linkage/linkage';
import { memory } from './memory';
import { get, move } from './retrieve';
import { store } from './store';
import { through } from './through';

const BENCHMARKS: Benchmark[] = [store, get, move, find, ingest, memory, latency, through, hung, cache, linkage];

const HELP = `Usage: npm run bench -- <name> [options]

${BENCHMARKS.map(({ name, summary }) => `  ${name.padEnd(9)}${summary}`).join('\n')}

Options:
  --rounds N     rounds; medians are given (default 5)
  --instances N  CT images of 512x512 in the study (default 500)
  --studies N    find: studies in the generated catalog (default 1000000)
  --archives N   find: spread over N archives with their own patient ids, every other person linked
  --catalog DIR  find: keeps the generated catalog there, and uses what is there
  --only A,B     store, get, move: these receivers only; cache: these built-in traces
  --trace FILE   cache: a CSV file with a header time,study,bytes,fetch_ms (default: the built-in traces)
  --bytes N      cache: sizes of the cache, as 5000000, 20G or 5% of the trace's footprint, several with commas
  --small        ingest: packs of one image instead of one pack
  --left A.csv --right B.csv --links OUT.csv [--reviews OUT2.csv]
                 linkage: these files (header: id and any of given, family, dob, sex, street, city, zip, phone)
                 instead of FEBRL 4 and the city; writes left,right,score
  --persons N    linkage: persons of the speed run (default 1000000; 0: none)
  --folder DIR   where everything is stored (default: a new folder under the system's temporary one)
  --json         one JSON document on standard output
  --rules        find: rules deny a tenth of the studies to who asks and hide elements of another
  --check        exit status 1 when a promised figure does not hold

Measures us and the peers in the same run, in turn within each round, with fresh UIDs every round. Needs Linux
(cache needs nothing but a build).
`;

function number(text: string | undefined, fallback: number, name: string): number {
  const value = text === undefined ? fallback : Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`);
  return value;
}

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      instances: { type: 'string' },
      studies: { type: 'string' },
      catalog: { type: 'string' },
      archives: { type: 'string' },
      only: { type: 'string' },
      trace: { type: 'string' },
      bytes: { type: 'string' },
      left: { type: 'string' },
      right: { type: 'string' },
      links: { type: 'string' },
      reviews: { type: 'string' },
      persons: { type: 'string' },
      folder: { type: 'string' },
      rules: { type: 'boolean' },
      small: { type: 'boolean' },
      json: { type: 'boolean' },
      check: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const benchmark = BENCHMARKS.find((each) => each.name === positionals[0]);
  if (values.help || !benchmark || positionals.length > 1) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'archipelago-bench-'));
  const context: BenchContext = {
    rounds: number(values.rounds, 5, 'rounds'),
    instances: number(values.instances, 500, 'instances'),
    folder,
    note: (line) => void process.stderr.write(`${line}\n`),
    option: (name) => (values as Record<string, string | boolean | undefined>)[name] as string | undefined,
  };
  try {
    const machine = describeMachine(folder);
    const result = await benchmark.run(context);
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ bench: benchmark.name, at: new Date().toISOString(), machine, ...result })}\n`
        : `${render(benchmark.name, machine, result)}\n`,
    );
    return values.check && result.verdicts.some((each) => !each.holds) ? 1 : 0;
  } finally {
    if (values.folder === undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import {
  BUILT_IN,
  compare,
  footprint,
  parseTrace,
  type Comparison,
  type Objective,
  type Score,
  type Trace,
} from '@archipelago/cache';
import { atLeast, type BenchContext, type Benchmark, type BenchResult, type Table, type Verdict } from './report';

const SIZES = ['1%', '5%', '10%', '20%', '40%'];
const UNITS: Record<string, number> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

const ratio = (value: number): string => value.toFixed(3);
const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
const points = (value: number): string => `${(100 * value).toFixed(1)} points`;
const amount = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e10 ? 3 : 0)} GB`;

/** `5000000`, `20G`, `1.5TiB`, or `5%` of the footprint; several with commas. */
export function parseBudgets(text: string, footprintBytes: number): number[] {
  return text.split(',').map((each) => {
    const match = /^\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*(%|[kmgt]?i?)b?\s*$/i.exec(each);
    const unit = match?.[2]?.toLowerCase() ?? '';
    const factor = unit === '%' ? footprintBytes / 100 : UNITS[unit];
    if (!match || factor === undefined) throw new Error(`--bytes ${each}: expected bytes, as 5000000, 20G or 5%`);
    return Math.floor(Number(match[1]) * factor);
  });
}

function scoreTable(result: Comparison, informed: Score | undefined): Table {
  const row = (score: Score): string[] => [
    score.policy,
    percent(score.objects),
    percent(score.bytes),
    percent(score.fetchTime),
    score.microseconds === undefined ? '' : score.microseconds.toFixed(1),
  ];
  const share = percent(result.budgetBytes / result.footprintBytes);
  return {
    title: `${result.trace}, ${amount(result.budgetBytes)} (${share} of the footprint)`,
    columns: ['policy', 'objects hit', 'bytes hit', 'fetch time saved', 'µs per decision'],
    rows: [...result.online, ...(informed ? [informed] : []), ...result.offline, result.bound].map(row),
  };
}

function summary(results: Comparison[]): Table {
  return {
    title: 'Objects hit, ours',
    columns: [
      'trace',
      'cache',
      'ours',
      'over LRU',
      'of Belady',
      'of best offline',
      'of upper bound',
      'µs per decision',
    ],
    rows: results.map((each) => [
      each.trace,
      percent(each.budgetBytes / each.footprintBytes),
      percent(each.online[0]!.objects),
      points(each.overLru),
      ratio(each.ratios.belady),
      ratio(each.ratios.best),
      ratio(each.ratios.bound),
      each.online[0]!.microseconds!.toFixed(1),
    ]),
  };
}

function verdicts(results: Comparison[], builtIn: boolean): Verdict[] {
  return results.flatMap((each) => {
    const where = `${each.trace} at ${percent(each.budgetBytes / each.footprintBytes)}`;
    return [
      atLeast(`${where}: of Belady's rule, sizes known`, each.ratios.belady, 0.95, ratio),
      atLeast(`${where}: of the best offline schedule found`, each.ratios.best, 0.95, ratio),
      ...(builtIn && each.trace.includes('drift') ? [atLeast(`${where}: over LRU`, each.overLru, 0.1, points)] : []),
    ];
  });
}

const NOTES = [
  'From an empty cache, every access counted, first ones too. Ratios are of objects hit.',
  'Belady: farthest next use leaves first, or is not kept. Belady-size: largest (distance × size) first. PFOO-U: cheapest (bytes × time) stretches first, where they fit; all three could really be kept to by who knows the future. The best of them is the optimum that could be found.',
  'Upper bound: PFOO-L (Berger, Beckmann, Harchol-Balter 2018), for each column by itself; nothing hits more.',
];

async function run(context: BenchContext): Promise<BenchResult> {
  const file = context.option('trace');
  const results: Comparison[] = [];
  const tables: Table[] = [];
  const notes = [...NOTES];
  const one = (trace: Trace, budget: number, objectives: Objective[], informed?: Score): void => {
    const result = compare(trace, budget, objectives);
    results.push(result);
    tables.push(scoreTable(result, informed));
    const { ratios, budgetBytes, footprintBytes } = result;
    context.note(
      `${trace.name} at ${percent(budgetBytes / footprintBytes)}: ${ratio(ratios.best)} of the best offline`,
    );
  };
  const all: Objective[] = ['objects', 'bytes', 'fetch-time'];
  if (file !== undefined) {
    const { trace, notes: found } = parseTrace(readFileSync(file), basename(file));
    notes.push(...found);
    for (const each of found) context.note(`${trace.name}: ${each}`);
    const sizes = context.option('bytes') ?? SIZES.join(',');
    for (const budget of parseBudgets(sizes, footprint(trace))) one(trace, budget, all);
  } else {
    const only = context.option('only')?.split(',');
    for (const { name, make, informed } of BUILT_IN) {
      if (only && !only.includes(name)) continue;
      const trace = make(1);
      context.note(`${name}: ${trace.study.length} accesses to ${trace.names.length} studies`);
      const sizes = context.option('bytes') ?? SIZES.join(',');
      for (const [i, budget] of parseBudgets(sizes, footprint(trace)).entries()) {
        one(trace, budget, i === 2 ? all : ['objects'], informed?.(1, budget));
      }
    }
    if (results.length === 0)
      throw new Error(`--only: there are the traces ${BUILT_IN.map((each) => each.name).join(', ')}`);
    notes.push(
      'Told the chances: knows the true chance of every study at every moment of a Zipf trace, but not the draws. What it misses of the optimum is luck, and cannot be learnt.',
    );
  }
  return {
    tables: [...tables, summary(results)],
    verdicts: verdicts(results, file === undefined),
    notes,
    raw: results,
  };
}

export const cache: Benchmark = {
  name: 'cache',
  summary: 'admission and eviction: ours, other policies and the optimum, on traces of accesses (no server)',
  run,
};

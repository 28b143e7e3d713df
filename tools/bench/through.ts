/** What it costs to ask us for what an archive has, beside asking the archive itself. */
import { eventually, startOrthanc, startSystem, type TestOrthanc, type TestSystem } from '@archipelago/testing';
import { fill, known, ours, retrieveWhole, type Asked, type Retrieved } from './federated';
import { load } from './machine';
import { atMost, millis, times, type BenchContext, type Benchmark, type BenchResult } from './report';
import { median } from './statistics';

/** Callers of one study at the same time. */
const CALLERS = 20;

type Way = 'direct' | 'through' | 'cached';
type Samples = Record<Way, Retrieved[]>;

interface Fetches {
  callers: number;
  fetches: number;
  instances: number;
}

const fetched = async (system: TestSystem, what: string): Promise<number> =>
  (await system.edge.metric(`archipelago_edge_${what}_total`)) ?? 0;

/** Each study is asked of the archive, then of us, then of us again; every other round of us first. */
async function measure(context: BenchContext, archive: Asked, us: Asked, studies: readonly string[]): Promise<Samples> {
  const samples: Samples = { direct: [], through: [], cached: [] };
  for (const [round, uid] of studies.entries()) {
    const ask: [Way, Asked][] = [
      ['direct', archive],
      ['through', us],
    ];
    if (round % 2 === 1) ask.reverse();
    ask.push(['cached', us]);
    for (const [way, asked] of ask) {
      const got = await retrieveWhole(asked, uid);
      if (round > 0) samples[way].push(got);
    }
    context.note(round === 0 ? 'warm' : `round ${round} of ${context.rounds}, load ${load().toFixed(1)}`);
  }
  return samples;
}

async function together(system: TestSystem, uid: string): Promise<Fetches> {
  const before = [await fetched(system, 'fetches'), await fetched(system, 'fetched_instances')];
  await Promise.all(Array.from({ length: CALLERS }, () => retrieveWhole(ours(system), uid)));
  // counted when the fetch has been sealed, which nobody waits for
  await eventually('the fetch is counted', async () => (await fetched(system, 'fetches')) > before[0]!, 10_000, 100);
  const after = [await fetched(system, 'fetches'), await fetched(system, 'fetched_instances')];
  return { callers: CALLERS, fetches: after[0]! - before[0]!, instances: after[1]! - before[1]! };
}

async function run(context: BenchContext): Promise<BenchResult> {
  let archive: TestOrthanc | undefined;
  let system: TestSystem | undefined;
  try {
    archive = await startOrthanc({ aet: 'NORTH', env: { TCP_NODELAY: '1' } });
    context.note('filling the archive');
    const size = { count: context.instances, rows: 512, columns: 512 };
    const studies = await fill(archive, 'through', context.rounds + 2, size);
    system = await startSystem({
      home: `${context.folder}/system`,
      caches: 1,
      replications: 1,
      config: {
        peers: [{ aeTitle: 'BENCH' }],
        archives: [{ name: 'north', aeTitle: 'NORTH', host: '127.0.0.1', port: archive.port }],
      },
      env: { ARCHIPELAGO_LOG_LEVEL: 'warn', ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '3600' },
    });
    context.note('waiting for the harvest');
    await known(system, studies.length);
    const last = studies.pop()!;
    const asked = { host: '127.0.0.1', port: archive.port, aet: 'NORTH' };
    const samples = await measure(context, asked, ours(system), studies);
    return report(context, samples, await together(system, last));
  } finally {
    await system?.stop();
    await archive?.stop();
  }
}

function report({ instances, rounds }: BenchContext, samples: Samples, fetches: Fetches): BenchResult {
  const first = (way: Way): number => median(samples[way].map((each) => each.firstMs));
  const whole = (way: Way): number => median(samples[way].map((each) => each.ms));
  const row = (name: string, way: Way): string[] => [
    name,
    millis(first(way)),
    times(first(way) / first('direct')),
    millis(whole(way), 0),
    times(whole(way) / whole('direct')),
  ];
  return {
    tables: [
      {
        title: `C-GET of a study of ${instances} CT (our own requester)`,
        columns: ['', 'first instance', 'against direct', 'whole study', 'against direct'],
        rows: [
          row('the archive itself', 'direct'),
          row('through us, first time', 'through'),
          row('through us, again', 'cached'),
        ],
      },
    ],
    verdicts: [
      atMost('first instance through us, against the archive itself', first('through') / first('direct'), 1.3, times),
      atMost('whole study through us, against the archive itself', whole('through') / whole('direct'), 1.15, times),
      atMost('whole study again, against the archive itself', whole('cached') / whole('direct'), 1, times),
      atMost(`fetches for ${fetches.callers} callers at once`, fetches.fetches, 1, String),
      atMost('instances fetched for them', fetches.instances, instances, String),
    ],
    notes: [`medians of ${rounds} rounds after one to warm up, a fresh study in each; Orthanc with TCP_NODELAY=1`],
    raw: { samples, fetches },
  };
}

export const through: Benchmark = {
  name: 'through',
  summary: 'C-GET of what an archive has: asked directly, through us, and through us again',
  run,
};

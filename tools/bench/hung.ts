/** What readers of one archive notice of another one that hangs: it accepts connections and never answers. */
import {
  eventually,
  startOrthanc,
  startProxy,
  startSystem,
  type TestProxy,
  type TestSystem,
} from '@archipelago/testing';
import { ask, fill, known, openQuery, ours, retrieve, retrieveWhole } from './federated';
import { atMost, millis, times, type BenchContext, type Benchmark, type BenchResult } from './report';
import { median, percentile } from './statistics';

const INSTANCES = 5;
const SMALL = { count: INSTANCES, rows: 128, columns: 128 };
/** Retrievals of the archive that works in each half of a round, and questions to the catalog. */
const STUDIES = 40;
const QUESTIONS = 100;
/** Readers that wait for the archive that hangs. */
const STUCK = 4;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Half {
  get: number[];
  find: number[];
}

interface Archives {
  system: TestSystem;
  proxy: TestProxy;
  /** Study Instance UIDs. */
  north: string[];
  south: string[];
}

/** @throws when the answer is not whole: then nothing is to be measured */
async function timed(expected: number, work: () => Promise<number>): Promise<number> {
  const started = performance.now();
  const got = await work();
  if (got !== expected) throw new Error(`an answer that was measured has ${got} in place of ${expected}`);
  return performance.now() - started;
}

/** Retrievals and questions about the archive that works, one after the other. */
async function half(system: TestSystem, studies: readonly string[]): Promise<Half> {
  const measured: Half = { get: [], find: [] };
  const query = await openQuery(ours(system));
  for (const [i, uid] of studies.entries()) {
    measured.get.push(await timed(INSTANCES, async () => (await retrieveWhole(ours(system), uid)).completed));
    const upTo = Math.floor(((i + 1) * QUESTIONS) / studies.length);
    while (measured.find.length < upTo) measured.find.push(await timed(1, () => ask(query, uid)));
  }
  await query.release();
  return measured;
}

/** The same while readers wait for the other archive, which hangs. */
async function halfBesideHung({ system, proxy, north }: Archives, studies: readonly string[]): Promise<Half> {
  proxy.mode = 'hold';
  let over = false;
  let asked = 0;
  const reader = async (): Promise<void> => {
    while (!over) {
      await retrieve(ours(system), north[asked++ % north.length]!);
      // while its circuit is open the failure comes at once: nobody asks again without a pause
      await pause(500);
    }
  };
  const stuck = Array.from({ length: STUCK }, reader);
  // all of them wait by then
  await pause(1_000);
  const measured = await half(system, studies);
  over = true;
  await Promise.all(stuck);
  proxy.mode = 'pass';
  return measured;
}

async function measure(context: BenchContext, archives: Archives): Promise<{ normal: Half; hung: Half }> {
  const { system, north, south } = archives;
  const all = { normal: { get: [], find: [] } as Half, hung: { get: [], find: [] } as Half };
  const add = (to: Half, from: Half): void => {
    to.get.push(...from.get);
    to.find.push(...from.find);
  };
  const next = (): string[] => south.splice(0, STUDIES);
  await half(system, next());
  for (let round = 0; round < context.rounds; round++) {
    context.note(`round ${round + 1} of ${context.rounds}`);
    add(all.normal, await half(system, next()));
    add(all.hung, await halfBesideHung(archives, next()));
    // the circuit closes by itself: until then the other half would not be the normal one
    const uid = north.shift()!;
    await eventually(
      'the archive is asked again',
      async () => {
        return (await retrieve(ours(system), uid)).completed === INSTANCES;
      },
      120_000,
      500,
    );
  }
  return all;
}

async function run(context: BenchContext): Promise<BenchResult> {
  const servers: { stop(): Promise<unknown> }[] = [];
  const own = <T extends { stop(): Promise<unknown> }>(server: T): T => {
    servers.push(server);
    return server;
  };
  try {
    // its DCMTK reads it; without it each object costs a delayed acknowledgement, which would hide what we add
    const env = { TCP_NODELAY: '1' };
    const hanging = own(await startOrthanc({ aet: 'NORTH', env }));
    const working = own(await startOrthanc({ aet: 'SOUTH', env }));
    context.note('filling the archives');
    const south = await fill(working, 'south', STUDIES * (2 * context.rounds + 1), SMALL);
    const north = await fill(hanging, 'north', STUCK * 8 + context.rounds, SMALL);
    const proxy = own(await startProxy({ port: hanging.port }));
    const at = { host: '127.0.0.1' };
    const system = own(
      await startSystem({
        home: `${context.folder}/system`,
        caches: 1,
        replications: 1,
        config: {
          peers: [{ aeTitle: 'BENCH' }],
          archives: [
            { name: 'north', aeTitle: 'NORTH', ...at, port: proxy.port },
            { name: 'south', aeTitle: 'SOUTH', ...at, port: working.port },
          ],
        },
        env: {
          ARCHIPELAGO_LOG_LEVEL: 'warn',
          ARCHIPELAGO_HARVEST_INTERVAL_SECONDS: '3600',
          ARCHIPELAGO_FETCH_TIMEOUT_SECONDS: '5',
        },
      }),
    );
    context.note('waiting for the harvest');
    await known(system, north.length + south.length);
    const { normal, hung } = await measure(context, { system, proxy, north, south });
    return report(normal, hung, context.rounds);
  } finally {
    for (const server of servers.reverse()) await server.stop();
  }
}

function report(normal: Half, hung: Half, rounds: number): BenchResult {
  const p95 = (values: number[]): number => percentile(values, 95);
  const row = (what: string, kind: keyof Half): string[] => [
    what,
    ...[normal, hung].flatMap((each) => [millis(median(each[kind])), millis(p95(each[kind]))]),
    times(p95(hung[kind]) / p95(normal[kind])),
  ];
  return {
    tables: [
      {
        title: `One archive hangs, ${STUCK} readers wait for it; what the readers of another one notice`,
        columns: ['', 'normal, median', 'normal, p95', 'beside it, median', 'beside it, p95', 'ratio of p95'],
        rows: [row(`C-GET of ${INSTANCES} CT from the other archive, not cached`, 'get'), row('C-FIND', 'find')],
      },
    ],
    verdicts: (['get', 'find'] as const).map((kind) =>
      atMost(`p95 of C-${kind.toUpperCase()} beside a hung archive`, p95(hung[kind]) / p95(normal[kind]), 1.2, times),
    ),
    notes: [`${rounds} rounds: normal and beside the hung archive in turn; ${normal.get.length} retrievals of each`],
    raw: { normal, hung },
  };
}

export const hung: Benchmark = {
  name: 'hung',
  summary: 'C-GET and C-FIND of one archive while another one hangs',
  run,
};

import { startPostgres, type TestPostgres } from '@archipelago/testing';
import { generateCatalog } from './generate-catalog';
import { QueryRunner } from './read/runner';
import { search } from './read/search';
import { recount } from './recount';
import { SpecDatabase } from './spec-database';

/** Number of studies; the benchmark by hand uses 1,000,000. */
const STUDIES = Number(process.env['CATALOG_STUDIES'] ?? 3_000);
let server: TestPostgres;
let db: SpecDatabase;
beforeAll(async () => {
  server = await startPostgres();
  db = await SpecDatabase.open(await server.createDatabase());
  await db.withClient((client) => generateCatalog(client, { studies: STUDIES, seed: 7 }));
}, 600_000);
afterAll(async () => {
  await db?.pool.end();
  await server?.stop();
});

async function timed(
  tag: string,
  vr: string,
  value: (i: number) => string,
  rounds: number,
): Promise<{ p95: number; max: number; rows: number }> {
  const runner = new QueryRunner(db);
  const times: number[] = [];
  let rows = 0;
  for (let i = 0; i < rounds; i++) {
    const keys = [
      { tag, vr, values: [value(i)] },
      ...['00100010', '00080050', '00081030', '00080061', '00201208']
        .filter((t) => t !== tag)
        .map((t) => ({ tag: t, vr: 'LO', values: [] })),
    ];
    const started = performance.now();
    const reply = await search(runner, {
      principal: { kind: 'peer', site: 'main', name: 'B' },
      model: 'study-root',
      level: 'STUDY',
      keys,
    });
    times.push(performance.now() - started);
    rows += reply.matches.length;
  }
  times.sort((a, b) => a - b);
  return { p95: times[Math.floor(times.length * 0.95)] ?? 0, max: times.at(-1) ?? 0, rows };
}

it('answers the usual queries over the generated catalog through its indexes', async () => {
  if (STUDIES <= 10_000) expect(await db.withClient((client) => recount(client))).toEqual([]);
  const n = (i: number): number => (i * 7919) % STUDIES;
  const figures = {
    patientId: await timed('00100020', 'LO', (i) => `G${Math.floor(n(i) / 3)}`, 60),
    accession: await timed('00080050', 'SH', (i) => `ACC${n(i)}`, 60),
    dateRange: await timed(
      '00080020',
      'DA',
      (i) => `2019${String(1 + (i % 12)).padStart(2, '0')}01-2019${String(1 + (i % 12)).padStart(2, '0')}28`,
      60,
    ),
    namePrefix: await timed('00100010', 'PN', (i) => `garcia${String(n(i) % 4000).padStart(4, '0')}*`, 60),
    broadName: await timed('00100010', 'PN', () => 'm*', 20),
    broadDate: await timed('00080020', 'DA', () => '20000101-', 20),
    all: await timed('00100010', 'PN', () => '', 20),
    middle: await timed('00100010', 'PN', (i) => `*owalski${String(n(i) % 4000).padStart(4, '0')}*`, 20),
    rareModality: await timed('00080061', 'CS', () => 'XX', 20),
  };
  if (process.env['CATALOG_STUDIES'] !== undefined) process.stdout.write(`${JSON.stringify(figures)}\n`);
  expect(figures.patientId.rows).toBeGreaterThanOrEqual(60);
  expect(figures.accession.rows).toBe(60);
  expect(figures.broadDate.rows).toBe(20 * 100);
  expect(figures.rareModality.rows).toBe(0);
  for (const figure of Object.values(figures)) expect(figure.p95).toBeLessThan(500);
}, 600_000);

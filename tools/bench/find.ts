import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  appendRuleSet,
  CATALOG_SCHEMA,
  generateCatalog,
  labelsOf,
  QueryRunner,
  relyOnLabels,
  RestrictionReader,
  search,
  type ArchiveState,
} from '@archipelago/catalog-store';
import type { SearchV1 } from '@archipelago/contracts';
import { Database, makeDataSource, migrate } from '@archipelago/platform-storage';
import { parseRules } from '@archipelago/rules';
import { startPostgres } from '@archipelago/testing';
import { atMost, millis, type BenchContext, type Benchmark, type BenchResult } from './report';
import { percentile } from './statistics';

interface Query {
  name: string;
  tag: string;
  vr: string;
  value(i: number, studies: number): string;
  /** Milliseconds that the 95th percentile may take. */
  limit?: number;
  /** Fewest matches that the queries must give in all, for each query. */
  matches: number;
  /** Home issuer of who asks. */
  issuer?(i: number, studies: number): string;
}

const SEED = 7;
/** Study number of the i-th query: spread over all of them. */
const pick = (i: number, studies: number): number => (i * 7919) % studies;
const two = (n: number): string => String(n).padStart(2, '0');

const QUERIES: Query[] = [
  {
    name: 'PatientID',
    tag: '00100020',
    vr: 'LO',
    value: (i, n) => `G${Math.floor(pick(i, n) / 3)}`,
    limit: 10,
    matches: 1,
  },
  { name: 'AccessionNumber', tag: '00080050', vr: 'SH', value: (i, n) => `ACC${pick(i, n)}`, limit: 10, matches: 1 },
  {
    name: 'StudyDate range of a day',
    tag: '00080020',
    vr: 'DA',
    value: (i) =>
      `${2006 + (i % 20)}${two(1 + (i % 12))}${two(1 + (i % 28))}-${2006 + (i % 20)}${two(1 + (i % 12))}${two(1 + (i % 28))}`,
    limit: 10,
    matches: 1,
  },
  {
    name: 'StudyDate range of a month',
    tag: '00080020',
    vr: 'DA',
    value: (i) => `2019${two(1 + (i % 12))}01-2019${two(1 + (i % 12))}28`,
    limit: 10,
    matches: 1,
  },
  {
    name: 'PatientName prefix',
    tag: '00100010',
    vr: 'PN',
    value: (i, n) => `garcia${String(pick(i, n) % 4000).padStart(4, '0')}*`,
    limit: 10,
    matches: 0,
  },
  { name: 'broad: name m*, first 100', tag: '00100010', vr: 'PN', value: () => 'm*', limit: 50, matches: 100 },
  {
    name: 'broad: since 2000, first 100',
    tag: '00080020',
    vr: 'DA',
    value: () => '20000101-',
    limit: 50,
    matches: 100,
  },
  { name: 'broad: all, first 100', tag: '00100010', vr: 'PN', value: () => '', limit: 50, matches: 100 },
  {
    name: 'wildcard in the middle of a name',
    tag: '00100010',
    vr: 'PN',
    value: (i, n) => `*owalski${String(pick(i, n) % 4000).padStart(4, '0')}*`,
    matches: 0,
  },
];
/** The catalog of several archives: a patient by the id that the asker's own archive gave, with all that the others have. */
const ofArchives = (archives: number): Query[] => {
  const study = (i: number, n: number): number => pick(i, n);
  return QUERIES.map((query) =>
    query.name === 'PatientID'
      ? {
          ...query,
          name: `PatientID, of persons in ${archives} archives`,
          value: (i, n) => `G${Math.floor(study(i, n) / 3)}A${study(i, n) % archives}`,
          issuer: (i, n) => `ISSUER${study(i, n) % archives}`,
          limit: 15,
        }
      : query,
  );
};
const archiveStates = (archives: number): ArchiveState[] =>
  Array.from({ length: archives }, (_, i) => ({
    name: `archive${i}`,
    state: 'active',
    depth: 'image',
    completeTo: i === 0 ? 'study' : 'image',
    reachable: true,
    asOf: new Date().toISOString(),
  }));
const RETURNED = ['00100010', '00080050', '00081030', '00080061', '00201208'];

async function openCatalog(
  context: BenchContext,
  studies: number,
  archives: number,
): Promise<{ database: Database; stop(): Promise<void> }> {
  const kept = context.option('catalog');
  const dir = kept ?? join(context.folder, 'catalog');
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  const server = await startPostgres({ dir, settings: { shared_buffers: '512MB' } });
  const source = makeDataSource(
    { url: server.url, poolSize: 4, connectTimeoutMs: 10_000, statementTimeoutMs: 3_600_000 },
    [CATALOG_SCHEMA],
    () => undefined,
  );
  await source.initialize();
  await migrate(source);
  const database = new Database(source);
  const { rows } = await database.query<{ n: string }>('SELECT count(*) AS n FROM study');
  if (Number(rows[0]?.n) < studies) {
    context.note(`generating ${studies} studies`);
    const started = performance.now();
    await database.withClient((client) => generateCatalog(client, { studies, seed: SEED, archives }));
    await database.query('VACUUM ANALYZE');
    context.note(`generated in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
  return {
    database,
    stop: async () => {
      await source.destroy();
      await server.stop();
      if (!kept && existsSync(dir)) rmSync(dir, { recursive: true, force: true });
    },
  };
}

const ASKER = 'BENCH';
const RULES = `
version: 1
rules:
  - id: denied
    scope: { archive: [archive0], workstation: [${ASKER}] }
    when: tags.PatientSex == "F"
    actions: [{ deny: { reason: bench } }]
  - id: hidden
    scope: { archive: [archive1], workstation: [${ASKER}] }
    actions: [{ hide: [PatientName, AccessionNumber] }]
`;

/** Rules that deny every tenth study to who asks, and hide elements of another tenth: as ingest would have labelled them. */
async function restrict(database: Database): Promise<void> {
  const { ruleSet } = parseRules(RULES);
  const labels = labelsOf(ruleSet!);
  await database.withTransaction(async (client) => {
    const { rules, digest, version: authorVersion } = ruleSet!;
    const by = { origin: 'command', madeBy: 'bench', reason: '' } as const;
    await appendRuleSet(client, { ...by, source: RULES, digest, authorVersion, rules: rules.length, labels });
    for (const [i, label] of labels.entries())
      await client.query(`UPDATE study SET labels = ARRAY[$1::text] WHERE id % 10 = $2 AND labels <> ARRAY[$1::text]`, [
        label,
        i,
      ]);
    await relyOnLabels(client, labels);
  });
  await database.query('VACUUM ANALYZE study');
}

async function timed(
  runner: QueryRunner,
  query: Query,
  count: number,
  studies: number,
  archives: ArchiveState[],
  rules: RestrictionReader,
): Promise<{ ms: number[]; matches: number }> {
  const ms: number[] = [];
  let matches = 0;
  for (let i = 0; i < count; i++) {
    const keys: SearchV1['keys'] = [
      { tag: query.tag, vr: query.vr, values: [query.value(i, studies)] },
      ...RETURNED.filter((tag) => tag !== query.tag).map((tag) => ({ tag, vr: 'LO', values: [] })),
    ];
    const started = performance.now();
    const issuer = query.issuer?.(i, studies);
    const principal = { kind: 'peer' as const, site: 'main', name: ASKER, ...(issuer === undefined ? {} : { issuer }) };
    const restrictions = await rules.of(principal);
    const reply = await search(
      runner,
      {
        principal,
        model: 'study-root',
        level: 'STUDY',
        keys,
      },
      { archives, restrictions },
    );
    ms.push(performance.now() - started);
    matches += reply.matches.length;
  }
  return { ms, matches };
}

async function run(context: BenchContext): Promise<BenchResult> {
  const studies = Number(context.option('studies') ?? 1_000_000);
  const count = Number(context.option('archives') ?? 0);
  const archives = archiveStates(count);
  const { database, stop } = await openCatalog(context, studies, count);
  try {
    const runner = new QueryRunner(database);
    const restricted = context.option('rules') !== undefined;
    if (restricted) await restrict(database);
    const reader = new RestrictionReader(runner);
    const raw: Record<string, number[]> = {};
    const rows: string[][] = [];
    const verdicts: BenchResult['verdicts'] = [];
    for (const query of count > 0 ? ofArchives(count) : QUERIES) {
      await timed(runner, query, 10, studies, archives, reader);
      const { ms, matches } = await timed(runner, query, Math.max(20, context.rounds * 40), studies, archives, reader);
      // what is denied or hidden matches nothing
      if (matches < query.matches * ms.length * (restricted ? 0.7 : 1))
        throw new Error(`${query.name}: only ${matches} matches in ${ms.length} queries`);
      raw[query.name] = ms;
      const p95 = percentile(ms, 95);
      rows.push([
        query.name,
        String(ms.length),
        (matches / ms.length).toFixed(1),
        millis(percentile(ms, 50)),
        millis(p95),
        millis(percentile(ms, 100)),
      ]);
      if (query.limit !== undefined)
        verdicts.push(atMost(`C-FIND by ${query.name}: p95`, p95, query.limit, (value) => millis(value, 1)));
    }
    const columns = ['query', 'queries', 'matches each', 'median', 'p95', 'slowest'];
    return {
      tables: [
        {
          title: `Search in the catalog, STUDY level, ${studies} studies${count > 0 ? ` in ${count} archives, every other person linked` : ''}${restricted ? ', every tenth denied to who asks, another tenth with hidden elements' : ''}`,
          columns,
          rows,
        },
      ],
      verdicts,
      notes: [
        'one page of at most 100 matches with five returned attributes, as the catalog service answers it; one after the other',
      ],
      raw,
    };
  } finally {
    await stop();
  }
}

export const find: Benchmark = { name: 'find', summary: 'searches over a generated catalog of 1,000,000 studies', run };

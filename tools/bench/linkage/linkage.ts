import { join } from 'node:path';
import { linkFiles, type LinkResult, type PersonRecord } from '@archipelago/identity';
import { generateCity, type CityOptions, type CityRecord } from '@archipelago/testing';
import {
  atLeast,
  atMost,
  seconds,
  type BenchContext,
  type Benchmark,
  type BenchResult,
  type Table,
  type Verdict,
} from '../report';
import { readPairs, readRecords, writePairs, writeRecords } from './files';
import { PythonPeers } from './peers';
import { keysOf, pairKey, quality, truthOf, type Quality } from './quality';

interface DataSet {
  name: string;
  left: PersonRecord[];
  right: PersonRecord[];
  truth: Set<string>;
}

interface Row extends Quality {
  who: string;
  /** Links and reviews together. */
  found: number;
  reviews: number;
  took: number;
}

/** The city of the promised figures; everything else as DEFAULT_CITY has it. */
const CITY: Partial<CityOptions> = { persons: 12_000, seed: 2026, inLeft: 0.85, inRight: 0.85 };
const SPLINK_THRESHOLDS = [0.5, 0.95, 0.999];

const share = (value: number): string => value.toFixed(5);

export function toPersons(records: readonly CityRecord[]): PersonRecord[] {
  return records.map(({ id, ...fields }) => ({ key: id, ...fields }));
}

function ours({ left, right, truth }: DataSet): { row: Row; result: LinkResult } {
  const started = performance.now();
  const result = linkFiles(left, right);
  const took = (performance.now() - started) / 1000;
  const links = keysOf(result.links, left, right);
  const both = new Set([...links, ...keysOf(result.reviews, left, right)]);
  const row = {
    who: 'archipelago',
    ...quality(links, truth),
    found: quality(both, truth).recall,
    reviews: result.reviews.length,
    took,
  };
  return { row, result };
}

function peersOf(peers: PythonPeers, data: DataSet, folder: string): Row[] {
  const [left, right] = [join(folder, `${data.name}.left.csv`), join(folder, `${data.name}.right.csv`)];
  writeRecords(left, data.left);
  writeRecords(right, data.right);
  const rows: Row[] = [];
  for (const peer of ['splink', 'ecm']) {
    const out = join(folder, `${data.name}.${peer}.csv`);
    const took = peers.run(peer, left, right, out);
    const pairs = readPairs(out);
    for (const threshold of peer === 'splink' ? SPLINK_THRESHOLDS : [0]) {
      const found = new Set(pairs.filter(([, , score]) => score >= threshold).map(([l, r]) => pairKey(l, r)));
      const who = peer === 'splink' ? `splink, from ${threshold}` : "recordlinkage's ECM";
      const measured = quality(found, data.truth);
      rows.push({ who, ...measured, found: measured.recall, reviews: 0, took });
    }
  }
  return rows;
}

function tableOf(data: DataSet, rows: readonly Row[]): Table {
  return {
    title: `${data.name}: ${data.left.length} and ${data.right.length} records, ${data.truth.size} pairs of one person`,
    columns: ['', 'links', 'wrong', 'precision', 'recall', 'reviews', 'recall with reviews', 'time'],
    rows: rows.map((row) => [
      row.who,
      String(row.links),
      String(row.wrong),
      share(row.precision),
      share(row.recall),
      String(row.reviews),
      share(row.found),
      seconds(row.took),
    ]),
  };
}

/** Against splink at its best: the threshold with the highest recall among those of the highest precision. */
function against(name: string, rows: readonly Row[]): Verdict[] {
  const [us, ...others] = rows;
  const splink = others
    .filter((row) => row.who.startsWith('splink'))
    .sort((a, b) => b.precision - a.precision || b.recall - a.recall)[0];
  if (!us || !splink) return [];
  return [
    atLeast(`${name}: precision, ours to splink's`, us.precision / splink.precision, 1, (value) => value.toFixed(4)),
    atLeast(`${name}: recall, ours to splink's`, us.recall / splink.recall, 1, (value) => value.toFixed(4)),
  ];
}

function febrl(peers: PythonPeers, folder: string): DataSet {
  peers.run('febrl4', folder);
  return {
    name: 'febrl4',
    left: readRecords(join(folder, 'febrl4.left.csv')),
    right: readRecords(join(folder, 'febrl4.right.csv')),
    truth: truthOf(readPairs(join(folder, 'febrl4.truth.csv'))),
  };
}

function city(options: Partial<CityOptions>, name = 'city'): DataSet {
  const { left, right, truth } = generateCity(options);
  return { name, left: toPersons(left), right: toPersons(right), truth: truthOf(truth) };
}

function speed(persons: number): { table: Table; verdicts: Verdict[]; raw: unknown } {
  const data = city({ persons: Math.ceil(persons / 1.8), seed: 5, inLeft: 0.9, inRight: 0.9 }, 'large');
  const before = process.cpuUsage();
  const { row, result } = ours(data);
  const used = process.cpuUsage(before);
  const processor = (used.user + used.system) / 1e6;
  const records = data.left.length + data.right.length;
  const rate = data.right.length / processor;
  const rss = process.resourceUsage().maxRSS / 1024;
  const table = tableOf(data, [row]);
  table.columns.push('pairs compared', 'processor time', 'right persons decided a second and core', 'most memory');
  table.rows[0]!.push(String(result.compared), seconds(processor), rate.toFixed(0), `${rss.toFixed(0)} MiB`);
  return {
    table,
    verdicts: [
      atLeast(
        `${records} persons: persons blocked, scored and decided a second and core`,
        records / processor,
        2000,
        (value) => value.toFixed(0),
      ),
    ],
    raw: { records, processor, compared: result.compared, rss, ...row },
  };
}

/** Two files given by the user: writes links and reviews, knows no truth. */
function linkGiven(context: BenchContext, leftPath: string, rightPath: string): BenchResult {
  const out = context.option('links');
  if (out === undefined) throw new Error('--links says where the links are written');
  const left = readRecords(leftPath);
  const right = readRecords(rightPath);
  const started = performance.now();
  const result = linkFiles(left, right);
  const took = (performance.now() - started) / 1000;
  writePairs(out, result.links, left, right);
  const reviews = context.option('reviews');
  if (reviews !== undefined) writePairs(reviews, result.reviews, left, right);
  const expected = result.links.reduce((sum, pair) => sum + 1 - pair.probability, 0);
  return {
    tables: [
      {
        title: 'Linkage of two files',
        columns: ['left', 'right', 'pairs compared', 'links', 'wrong links expected', 'reviews', 'time'],
        rows: [
          [
            left.length,
            right.length,
            result.compared,
            result.links.length,
            expected.toFixed(2),
            result.reviews.length,
            seconds(took),
          ].map(String),
        ],
      },
    ],
    verdicts: [],
    notes: [`links in ${out}${reviews === undefined ? '' : `, reviews in ${reviews}`}`],
    raw: { left: left.length, right: right.length, links: result.links.length, reviews: result.reviews.length, took },
  };
}

async function run(context: BenchContext): Promise<BenchResult> {
  const [left, right] = [context.option('left'), context.option('right')];
  if (left !== undefined && right !== undefined) return linkGiven(context, left, right);
  if (left !== undefined || right !== undefined) throw new Error('--left and --right go together');
  const peers = PythonPeers.make(context.note);
  const tables: Table[] = [];
  const verdicts: Verdict[] = [];
  const raw: Record<string, unknown> = {};
  const measure = (data: DataSet): Row => {
    context.note(`linking ${data.name}`);
    const rows = [ours(data).row, ...(peers ? peersOf(peers, data, context.folder) : [])];
    tables.push(tableOf(data, rows));
    verdicts.push(...against(data.name, rows));
    raw[data.name] = rows;
    return rows[0]!;
  };
  if (peers) {
    const row = measure(febrl(peers, context.folder));
    verdicts.push(
      atLeast('FEBRL 4: precision of the links', row.precision, 0.9995, share),
      atLeast('FEBRL 4: recall of the links', row.recall, 0.997, share),
    );
  }
  const data = city(CITY);
  const row = measure(data);
  verdicts.push(
    atLeast('city: precision of the links', row.precision, 0.9995, share),
    atLeast('city: recall of links and reviews', row.found, 0.995, share),
    atMost('city: reviews, of the persons', row.reviews / Math.max(data.left.length, data.right.length), 0.03, share),
  );
  const persons = Number(context.option('persons') ?? 1_000_000);
  if (persons > 0) {
    context.note(`linking ${persons} persons`);
    const large = speed(persons);
    tables.push(large.table);
    verdicts.push(...large.verdicts);
    raw.large = large.raw;
  }
  return {
    tables,
    verdicts,
    notes: [
      'no labels are used by anybody; truth serves for counting afterwards',
      `the city: ${JSON.stringify(CITY)}, otherwise DEFAULT_CITY of libs/testing`,
    ],
    raw,
  };
}

export const linkage: Benchmark = {
  name: 'linkage',
  summary: 'who is who: FEBRL 4 and a generated city, beside splink and recordlinkage; or two files of your own',
  run,
};

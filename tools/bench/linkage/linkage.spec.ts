import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deduplicate, linkFiles } from '@archipelago/identity';
import { DEFAULT_ERRORS, generateCity, scaleErrors, type CityOptions } from '@archipelago/testing';
import { formatCsv, parseCsv } from './csv';
import { readPairs, readRecords } from './files';
import { linkage, toPersons } from './linkage';
import { keysOf, pairKey, quality, truthOf } from './quality';

// Seconds on a quiet machine.
jest.setTimeout(240_000);

function measure(options: Partial<CityOptions>) {
  const city = generateCity(options);
  const [left, right] = [toPersons(city.left), toPersons(city.right)];
  const truth = truthOf(city.truth);
  const result = linkFiles(left, right);
  const links = keysOf(result.links, left, right);
  const found = new Set([...links, ...keysOf(result.reviews, left, right)]);
  return {
    links: quality(links, truth),
    found: quality(found, truth).recall,
    reviews: result.reviews.length / Math.max(left.length, right.length),
    expectedWrong: result.links.reduce((sum, pair) => sum + 1 - pair.probability, 0),
  };
}

/** The short form of the promised figures: three small cities of different names, overlap and errors. */
describe('quality of linkage', () => {
  it.each<[string, Partial<CityOptions>, number, number]>([
    ['english, most people in both files', { persons: 2000, seed: 1, inLeft: 0.85, inRight: 0.85 }, 0.97, 0.995],
    [
      'german, a tenth of the left file in the right one',
      { persons: 4000, seed: 2, names: 'german', inLeft: 0.4, inRight: 0.1 },
      0.9,
      0.98,
    ],
    [
      'invented names, twice the errors',
      { persons: 1500, seed: 3, names: 'invented', errors: scaleErrors(DEFAULT_ERRORS, 2) },
      0.75,
      0.85,
    ],
    ['persons that are in a file twice', { persons: 2500, seed: 4, twice: 0.15 }, 0.9, 0.97],
  ])('%s', (_, options, recall, found) => {
    const measured = measure(options);
    expect(measured.links.wrong).toBeLessThanOrEqual(1);
    expect(measured.links.recall).toBeGreaterThanOrEqual(recall);
    expect(measured.found).toBeGreaterThanOrEqual(found);
    expect(measured.reviews).toBeLessThanOrEqual(0.03);
    expect(measured.expectedWrong).toBeLessThan(1);
  });

  it('deduplicates a city of which everybody is there once, and half of it twice', () => {
    const city = generateCity({ persons: 900, seed: 6, inLeft: 1, inRight: 0.5 });
    const records = [...toPersons(city.left), ...toPersons(city.right)];
    const truth = truthOf(city.truth);
    const { links, reviews } = deduplicate(records);
    const measured = quality(keysOf(links, records, records), truth);
    expect(measured.wrong).toBeLessThanOrEqual(1);
    expect(measured.recall).toBeGreaterThan(0.85);
    expect(
      quality(new Set([...keysOf(links, records, records), ...keysOf(reviews, records, records)]), truth).recall,
    ).toBeGreaterThan(0.95);
  });
});

describe('csv', () => {
  it.each([
    [
      'a,b\n1,2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      '\ufeffa,b\r\n"1,""x""\ny",2',
      [
        ['a', 'b'],
        ['1,"x"\ny', '2'],
      ],
    ],
    [
      'a;b\n1,5;2\n',
      [
        ['a', 'b'],
        ['1,5', '2'],
      ],
    ],
    [
      'a\tb\n1\t\n\n',
      [
        ['a', 'b'],
        ['1', ''],
      ],
    ],
    [
      'a,b\n,\n1,',
      [
        ['a', 'b'],
        ['', ''],
        ['1', ''],
      ],
    ],
    [
      '"a","b"\r\n"",""\r\n',
      [
        ['a', 'b'],
        ['', ''],
      ],
    ],
    ['', []],
  ])('%j', (text, rows) => expect(parseCsv(text)).toEqual(rows));

  it('reads what it writes, and refuses an open quote', () => {
    const rows = [
      ['a', 'b'],
      ['1,"2"', 'x\ny'],
      ['', 'ü'],
    ];
    expect(parseCsv(formatCsv(rows))).toEqual(rows);
    expect(() => parseCsv('a,b\n"1,2\n')).toThrow(/never closed/);
  });
});

describe('bench linkage with two files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'linkage-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const run = (options: Record<string, string>) =>
    linkage.run({ rounds: 1, instances: 1, folder, note: () => undefined, option: (name) => options[name] });

  it('takes any order of columns and any subset, and writes left,right,score', async () => {
    const { left, right, truth } = generateCity({ persons: 600, seed: 9 });
    const [a, b, links, reviews] = ['a.csv', 'b.csv', 'links.csv', 'reviews.csv'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
      string,
    ];
    writeFileSync(
      a,
      formatCsv([
        ['Family', 'note', 'given', 'ID', 'dob', 'zip'],
        ...left.map((each) => [each.family, 'a, "b"', each.given, each.id, each.dob, each.zip]),
      ]),
    );
    const day = (dob: string): string => dob.split('-').reverse().join('.');
    writeFileSync(
      b,
      formatCsv([
        ['id', 'dob', 'phone', 'given', 'family', 'zip'],
        ...right.map((each) => [each.id, day(each.dob), each.phone, each.given, each.family, each.zip]),
      ]),
    );
    await run({ left: a, right: b, links, reviews });
    expect(readFileSync(links, 'utf8').split('\n')[0]).toBe('left,right,score');
    const found = readPairs(links);
    expect(found.every(([, , score]) => score > 0.98 && score <= 1)).toBe(true);
    const measured = quality(new Set(found.map(([l, r]) => pairKey(l, r))), truthOf(truth));
    expect(measured.wrong).toBe(0);
    expect(measured.recall).toBeGreaterThan(0.85);
    expect(readPairs(reviews).length).toBeLessThanOrEqual(0.03 * left.length + 5);
  });

  it('says what is wrong with its arguments', async () => {
    const path = join(folder, 'none.csv');
    writeFileSync(path, 'name,dob\nx,1980\n');
    expect(() => readRecords(path)).toThrow(/no column "id"/);
    await expect(run({ left: path })).rejects.toThrow(/go together/);
    await expect(run({ left: path, right: path })).rejects.toThrow(/--links/);
  });
});

it('the peers of the benchmark are at least Python', () => {
  const script = join(__dirname, 'peers.py');
  execFileSync('python3', ['-c', 'import ast,sys; ast.parse(open(sys.argv[1]).read())', script]);
});

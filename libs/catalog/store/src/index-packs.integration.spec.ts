import { startPostgres } from '@archipelago/testing';
import { indexPack, indexPacks, NotTogetherError } from './write/index-pack';
import type { IndexPackInput, IndexPackResult } from './write/index-pack.types';
import { recount } from './recount';
import { ct, packOf, type Plain, type Sample } from './spec-kit';
import { specCatalog, type SpecDatabase } from './spec-database';

let db: SpecDatabase;

specCatalog(startPostgres, (opened) => ({ db } = opened));
beforeEach(() => db.empty());

/** Numbers that look random and are the same for the same seed (mulberry32, Tommy Ettinger, public domain). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Objects of a small world, where packs meet: the same UIDs with other contents, patients, names and sources. */
function anySample(pick: (below: number) => number): Sample {
  const more: Plain = {};
  if (pick(3) === 0) more['00100010'] = ['Doe^John', 'Doe^J', 'Roe^Jane'][pick(3)]!;
  if (pick(5) === 0) more['00100020'] = 'P9';
  if (pick(5) === 0) more['00100020'] = '';
  if (pick(4) === 0) more['00100030'] = '19700101';
  if (pick(4) === 0) more['00081030'] = 'Abdomen';
  if (pick(4) === 0) more['0008103E'] = 'Coronal';
  if (pick(6) === 0) more['0020000E'] = '1.2.826.0.1.77';
  const fetched = pick(4) === 0;
  return {
    header: ct(String(1 + pick(2)), 1 + pick(2), 1 + pick(3), more),
    pixels: 'ab'[pick(2)],
    encoding: ['raw', 'lossless'][pick(2)],
    ...(fetched ? { origin: 'fetched' as const, source: ['north', 'south'][pick(2)] } : {}),
  };
}

/** Every table, ids replaced by what they stand for; without revisions and times of writing. */
async function contents(): Promise<Record<string, object[]>> {
  const tables: Record<string, string> = {
    patient: "SELECT to_jsonb(t) - 'id' AS row FROM patient t",
    study: `SELECT to_jsonb(t) - '{id,patient,revision,changed_at,changed_xid}'::text[] || jsonb_build_object('p', p.patient_id, 's', p.scope) AS row
      FROM study t JOIN patient p ON p.id = t.patient`,
    series: `SELECT to_jsonb(t) - '{id,study,revision,changed_at}'::text[] || jsonb_build_object('st', s.study_instance_uid, 'p', s.patient_id) AS row
      FROM series t JOIN study s ON s.id = t.study`,
    instance: `SELECT to_jsonb(t) - '{id,study,series,source}'::text[]
        || jsonb_build_object('st', s.study_instance_uid, 'p', s.patient_id, 'x', x.series_instance_uid, 'o', o.name) AS row
      FROM instance t LEFT JOIN study s ON s.id = t.study LEFT JOIN series x ON x.id = t.series JOIN source o ON o.id = t.source`,
    entry: `SELECT to_jsonb(t) - '{pack,source}'::text[] || jsonb_build_object('k', p.pack_id, 'o', o.name) AS row
      FROM pack_entry t JOIN pack p ON p.id = t.pack JOIN source o ON o.id = t.source`,
    place:
      "SELECT to_jsonb(t) - '{pack,verified_at}'::text[] || jsonb_build_object('k', p.pack_id) AS row FROM pack_location t JOIN pack p ON p.id = t.pack",
    difference: "SELECT jsonb_build_object('kind', kind, 'subject', subject) AS row FROM difference t",
    compared: "SELECT jsonb_build_object('a', wire_a, 'b', wire_b, 'e', equal) AS row FROM pixel_comparison t",
    order:
      "SELECT jsonb_build_object('k', pack_id, 'n', row_number() OVER (ORDER BY indexed_order)) AS row FROM pack t",
    ...Object.fromEntries(
      ['source_study', 'source_series', 'source_instance'].map((table) => [
        table,
        `SELECT to_jsonb(t) - '{id,pack,source}'::text[] || jsonb_build_object('k', p.pack_id, 'o', o.name) AS row
         FROM ${table} t JOIN pack p ON p.id = t.pack JOIN source o ON o.id = t.source`,
      ]),
    ),
  };
  const found: Record<string, object[]> = {};
  for (const [name, sql] of Object.entries(tables)) {
    found[name] = (await db.rows<{ row: object }>(`${sql} ORDER BY 1`)).map(({ row }) => row);
  }
  return found;
}

const alone = (input: IndexPackInput): Promise<IndexPackResult> => db.transaction((client) => indexPack(client, input));
const together = (inputs: IndexPackInput[]): Promise<IndexPackResult[]> =>
  db.transaction((client) => indexPacks(client, inputs));
const brought = (results: IndexPackResult[]): object[] =>
  results.map(({ already, newInstances, duplicates, studies }) => ({
    already,
    newInstances,
    duplicates,
    studies: studies
      .map(({ newInstances: n, source, origin, seriesIds }) => [n, source, origin, seriesIds.length])
      .sort(),
  }));

describe('indexPacks', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('has the effect of one after the other (seed %i)', async (seed) => {
    const pick = random(seed);
    const before = Array.from({ length: 3 }, () => packOf([anySample(pick), anySample(pick)]));
    const batch = Array.from({ length: 12 }, () => packOf(Array.from({ length: 1 + pick(3) }, () => anySample(pick))));
    for (const one of before) await alone(one);
    const results: IndexPackResult[] = [];
    for (const one of batch) results.push(await alone(one));
    const expected = await contents();
    expect(expected['difference']!.length).toBeGreaterThan(0);
    await db.empty();
    for (const one of before) await alone(one);
    const all = await together(batch);
    expect(await contents()).toEqual(expected);
    expect(brought(all)).toEqual(brought(results));
    const flagged = (list: IndexPackResult[]): number => list.reduce((sum, { differences }) => sum + differences, 0);
    expect(flagged(all)).toBe(flagged(results));
    expect(await db.withClient((client) => recount(client))).toEqual([]);
  });

  it('has no effect for packs that were indexed before, or stand there twice', async () => {
    const [a, b, c] = [1, 2, 3].map((n) => packOf([{ header: ct('1', 1, n) }]));
    await alone(b!);
    const results = await together([a!, b!, c!, a!]);
    expect(results.map((one) => [one.already, one.newInstances])).toEqual([
      [false, 1],
      [true, 0],
      [false, 1],
      [true, 0],
    ]);
    expect(await db.rows('SELECT instances FROM study')).toEqual([{ instances: 3 }]);
    expect(await together([a!, b!])).toMatchObject([{ already: true }, { already: true }]);
  });

  it('refuses what is tombstoned in a batch of several, and leaves nothing behind', async () => {
    const [a, b] = [1, 2].map((n) => packOf([{ header: ct('1', 1, n) }]));
    await db.rows("INSERT INTO tombstone (level, uid, reason) VALUES ('IMAGE', '1.2.826.0.1.1.1.2', 'rejected')");
    await expect(together([a!, b!])).rejects.toThrow(NotTogetherError);
    expect(await db.rows('SELECT FROM pack')).toEqual([]);
    expect(await alone(b!)).toMatchObject({ heldBack: 1 });
    expect(await together([a!])).toMatchObject([{ newInstances: 1 }]);
  });

  it('several batches at once on several connections, in any order: sums equal a recount', async () => {
    const pick = random(99);
    const packs = Array.from({ length: 60 }, () => packOf([anySample(pick)]));
    const tryAgain = async (inputs: IndexPackInput[], tries = 10): Promise<void> => {
      await together(inputs).catch((error: unknown) => {
        if (tries === 0 || (error as { code?: string }).code !== '40P01') throw error;
        return tryAgain(inputs, tries - 1);
      });
    };
    const batches = Array.from({ length: 6 }, (_, i) => packs.slice(i * 10, i * 10 + 10));
    await Promise.all([...batches, [...packs].reverse().slice(0, 30)].map((batch) => tryAgain(batch)));
    expect(await db.rows('SELECT count(*)::int AS n FROM pack_entry')).toEqual([{ n: 60 }]);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
  });
});

import { startPostgres } from '@archipelago/testing';
import { locate } from './read/locate';
import { QueryRunner } from './read/runner';
import { rebuildPresentation } from './rebuild';
import { recount } from './recount';
import { specCatalog, type SpecDatabase } from './spec-database';
import { ct, imageAnswer, packOf, seriesAnswer, studyAnswer, type Sample } from './spec-kit';
import { evictStudy, fetchedPack, fetchedPacksAfter, type EvictedStudy } from './write/evict-study';
import { indexPack } from './write/index-pack';
import type { IndexPackInput, IndexPackResult } from './write/index-pack.types';
import { vanish } from './write/vanish';

let db: SpecDatabase;
specCatalog(startPostgres, (opened) => ({ db } = opened));
let packs: IndexPackInput[] = [];
beforeEach(async () => {
  packs = [];
  await db.empty();
});

const STUDY = '1.2.826.0.1.1';
const pack = (...samples: Sample[]): IndexPackInput => ({ ...packOf(samples), archives: ['north'] });
async function index(input: IndexPackInput): Promise<IndexPackResult> {
  packs.push(input);
  return db.transaction((client) => indexPack(client, input));
}
const evict = (study = STUDY, archives = ['north']): Promise<EvictedStudy> =>
  db.transaction((client) => evictStudy(client, study, archives));
const fetched = (number: number, more: Partial<Sample> = {}, study = '1'): Sample => ({
  header: ct(study, 1, number),
  origin: 'fetched',
  source: 'north',
  ...more,
});
const answers = (count: number): Sample[] => [
  studyAnswer('north', '1', { '00201208': count }),
  seriesAnswer('north', '1', 1, { '00201209': count }),
  ...Array.from({ length: count }, (_, i) => imageAnswer('north', '1', 1, i + 1)),
];
const shown = (): Promise<object[]> =>
  db.rows(`SELECT s.instances, s.bytes, s.attributes, s.revision, x.instances AS n, x.attributes AS a, i.sop_instance_uid, i.is_answer, i.attributes AS b
    FROM study s JOIN series x ON x.study = s.id JOIN instance i ON i.series = x.id ORDER BY i.sop_instance_uid`);
const held = async (): Promise<boolean[]> =>
  (await db.rows<{ held: boolean }>('SELECT held FROM instance ORDER BY sop_instance_uid')).map((row) => row.held);
async function copies(): Promise<number[]> {
  const { instances } = await locate(new QueryRunner(db), {
    principal: { kind: 'peer', site: 'main', name: 'WS' },
    model: 'study-root',
    level: 'STUDY',
    studyInstanceUids: [STUDY],
  });
  return instances.map((one) => one.copies.length);
}

describe('evicting the cached copies of a study', () => {
  it('takes the places away and shows the same as before; a later fetch makes them held without a difference', async () => {
    await index(pack(...answers(2)));
    const cached = pack(fetched(1), fetched(2));
    await index(cached);
    const before = await shown();
    expect(await copies()).toEqual([1, 1]);
    const { packId, store, key, bytes } = cached.announcement;
    expect(await evict()).toEqual({ places: [{ packId, store, key, bytes }], kept: 0 });
    expect(await shown()).toEqual(before);
    expect([await held(), await copies()]).toEqual([
      [false, false],
      [0, 0],
    ]);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
    expect(await evict()).toEqual({ places: [], kept: 0 });
    // the same harvest again changes nothing of the counts
    await index(pack(...answers(2)));
    expect(await db.rows('SELECT instances FROM study')).toEqual([{ instances: 2 }]);
    const again = await index(pack(fetched(1), fetched(2)));
    expect(again).toMatchObject({ differences: 0 });
    expect([await held(), await copies()]).toEqual([
      [true, true],
      [1, 1],
    ]);
    expect(await db.rows('SELECT kind FROM difference')).toEqual([]);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
  });

  it('keeps what no archive says it has, has no more, or cannot be asked for', async () => {
    await index(pack(...answers(1)));
    await index(pack(fetched(1), fetched(2)));
    // the second image is in no answer: its pack stays whole
    expect(await evict()).toEqual({ places: [], kept: 1 });
    await index(pack(...answers(2)));
    expect(await evict(STUDY, [])).toEqual({ places: [], kept: 1 });
    expect(await evict(STUDY, ['south'])).toEqual({ places: [], kept: 1 });
    const gone = {
      archive: 'north',
      level: 'IMAGE' as const,
      uids: [`${STUDY}.1.2`],
      asOf: '2026-11-25T10:00:00.000Z',
    };
    await db.transaction((client) => vanish(client, gone, { archives: ['north'] }));
    expect(await evict()).toEqual({ places: [], kept: 1 });
    expect([await held(), await copies()]).toEqual([
      [true, true],
      [1, 1],
    ]);
  });

  it('never takes acquired, derived or migrated objects, nor packs with something else in them', async () => {
    await index(pack(...answers(6)));
    await index(pack({ header: ct('1', 1, 1) }));
    await index(pack(fetched(2), fetched(3, { origin: 'derived', source: 'main' })));
    await index(pack(fetched(4, { origin: 'migrated' })));
    await index(pack(fetched(5), fetched(1, {}, '2')));
    await index(pack(fetched(6), imageAnswer('north', '1', 1, 6)));
    const places = await db.rows('SELECT * FROM pack_location ORDER BY pack');
    expect((await evict()).places).toEqual([]);
    expect(await db.rows('SELECT * FROM pack_location ORDER BY pack')).toEqual(places);
    expect((await held()).every((one) => one)).toBe(true);
  });

  it('an instance with an own copy beside the cached one stays held, without an archive too', async () => {
    const cached = pack(fetched(1));
    await index(cached);
    await index(pack({ header: ct('1', 1, 1) }));
    expect(await copies()).toEqual([2]);
    expect(await evict(STUDY, [])).toMatchObject({ places: [{ packId: cached.announcement.packId }], kept: 0 });
    expect([await held(), await copies()]).toEqual([[true], [1]]);
  });

  it('two cached copies of one object go together only when an archive has it', async () => {
    await index(pack(fetched(1)));
    await index(pack(fetched(1)));
    expect(await evict()).toEqual({ places: [], kept: 2 });
    await index(pack(...answers(1)));
    expect((await evict()).places).toHaveLength(2);
    expect(await copies()).toEqual([0]);
  });

  it('keeps both when there is another version of an object', async () => {
    await index(pack(...answers(1)));
    await index(pack(fetched(1)));
    await index(pack(fetched(1, { pixels: 'other' })));
    expect(await evict()).toEqual({ places: [], kept: 2 });
  });

  it('a rebuild knows nothing of evicted packs and shows what archives say', async () => {
    await index(pack(...answers(2)));
    await index(pack(fetched(1)));
    await index(pack({ header: ct('1', 1, 2) }));
    await evict();
    const read: string[] = [];
    await db.transaction((client) =>
      rebuildPresentation(client, ({ packId }) => {
        read.push(packId);
        return Promise.resolve(packs.find((one) => one.announcement.packId === packId)!);
      }),
    );
    expect(read).toEqual([packs[0]!.announcement.packId, packs[2]!.announcement.packId]);
    expect([await held(), await copies()]).toEqual([
      [false, true],
      [0, 1],
    ]);
    expect(await db.rows('SELECT instances FROM study')).toEqual([{ instances: 2 }]);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
  });

  it('lists cached packs by study, without those that were evicted', async () => {
    await index(pack(...answers(1)));
    const one = pack(fetched(1));
    const both = pack(fetched(1, {}, '2'), fetched(1, {}, '3'));
    for (const each of [one, both, pack({ header: ct('4', 1, 1) })]) await index(each);
    const all = await db.withClient((client) => fetchedPacksAfter(client, 0, 10));
    expect(all.packs.map((each) => [each.packId, each.studyInstanceUid, each.bytes]).sort()).toEqual(
      [
        [one.announcement.packId, STUDY, 1_000_000],
        [both.announcement.packId, '1.2.826.0.1.2', 500_000],
        [both.announcement.packId, '1.2.826.0.1.3', 500_000],
      ].sort(),
    );
    expect(await db.withClient((client) => fetchedPacksAfter(client, all.last!, 10))).toEqual({
      packs: [],
      last: null,
    });
    await evict();
    expect(await db.withClient((client) => fetchedPack(client, one.announcement.packId))).toEqual([]);
    expect(await db.withClient((client) => fetchedPack(client, both.announcement.packId))).toHaveLength(2);
  });
});

import { startPostgres } from '@archipelago/testing';
import { indexPack } from './write/index-pack';
import type { IndexPackResult } from './write/index-pack.types';
import { studiesChangedSince } from './changes';
import { rebuildPresentation } from './rebuild';
import { recount } from './recount';
import { ct, dicom, packOf, type Sample } from './spec-kit';
import { specCatalog, type SpecDatabase } from './spec-database';

let db: SpecDatabase;

specCatalog(startPostgres, (opened) => ({ db } = opened));
beforeEach(() => db.empty());

const index = (input: ReturnType<typeof packOf>): Promise<IndexPackResult> =>
  db.transaction((client) => indexPack(client, input));
const store = (...samples: Sample[]): Promise<IndexPackResult> => index(packOf(samples));
const differences = (): Promise<{ kind: string; subject: string }[]> =>
  db.rows('SELECT kind, subject FROM difference ORDER BY id');
const sums = (): Promise<object[]> =>
  db.rows('SELECT study_instance_uid AS uid, patient_id AS id, series, instances FROM study ORDER BY study.id');
const countOf = async (table: string): Promise<number> =>
  Number((await db.rows<{ n: string }>(`SELECT count(*) AS n FROM ${table}`))[0]?.n);

describe('indexPack', () => {
  it('makes rows of every level, with sums that a recount confirms', async () => {
    const result = await store(
      { header: ct('1', 1, 1) },
      { header: ct('1', 1, 2) },
      { header: ct('1', 2, 1, { '00080060': 'SR' }) },
      { header: ct('2', 1, 1) },
    );
    expect(result).toMatchObject({ already: false, newInstances: 4, duplicates: 0, differences: 0, heldBack: 0 });
    expect(result.studies.map((s) => [s.revision, s.newInstances, s.seriesIds.length])).toEqual([
      [1, 3, 2],
      [1, 1, 1],
    ]);
    expect(await sums()).toEqual([
      { uid: '1.2.826.0.1.1', id: 'P1', series: 2, instances: 3 },
      { uid: '1.2.826.0.1.2', id: 'P2', series: 1, instances: 1 },
    ]);
    expect(
      await db.rows('SELECT modalities, sop_classes, study_date, study_time, bytes FROM study WHERE patient_id = $1', [
        'P1',
      ]),
    ).toEqual([
      {
        modalities: ['CT', 'SR'],
        sop_classes: ['1.2.840.10008.5.1.4.1.1.2'],
        study_date: 20260115,
        study_time: '36930000000',
        bytes: '25800',
      },
    ]);
    expect(await db.rows('SELECT studies, series, instances FROM patient ORDER BY id')).toEqual([
      { studies: 1, series: 2, instances: 3 },
      { studies: 1, series: 1, instances: 1 },
    ]);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
    expect([
      await countOf('source_study'),
      await countOf('source_series'),
      await countOf('source_instance'),
      await countOf('pack_entry'),
    ]).toEqual([2, 3, 4, 4]);
  });

  it('has no effect when the same pack is announced again', async () => {
    const pack = packOf([{ header: ct('1', 1, 1) }]);
    await index(pack);
    expect(await index(pack)).toEqual({
      already: true,
      newInstances: 0,
      routable: [],
      duplicates: 0,
      differences: 0,
      heldBack: 0,
      studies: [],
      answers: 0,
      updated: [],
      patients: [],
      parseSeconds: 0,
    });
    expect(await countOf('pack_entry')).toBe(1);
  });

  it('records wire equal objects as further copies, also within one pack', async () => {
    await store({ header: ct('1', 1, 1) });
    const again = packOf([{ header: ct('1', 1, 1) }, { header: ct('1', 1, 1) }]);
    expect(await index(again)).toMatchObject({ newInstances: 0, duplicates: 2, differences: 0, studies: [] });
    expect(again.compared).toBe(0);
    expect(await countOf('pack_entry')).toBe(3);
    expect(await countOf('instance')).toBe(1);
    expect(await countOf('source_instance')).toBe(1);
    expect(await db.rows('SELECT revision FROM study')).toEqual([{ revision: '1' }]);
  });

  it('takes another encoding with equal pixels as a copy', async () => {
    await store({ header: ct('1', 1, 1), encoding: 'raw' });
    const other = packOf([{ header: ct('1', 1, 1), encoding: 'lossless' }]);
    expect(await index(other)).toMatchObject({ newInstances: 0, duplicates: 1, differences: 0 });
    expect(other.compared).toBe(1);
    expect(await countOf('instance')).toBe(1);
    expect(await db.rows('SELECT count(DISTINCT same_as)::int AS n FROM pack_entry')).toEqual([{ n: 1 }]);
    const third = packOf([{ header: ct('1', 1, 1), encoding: 'lossless' }]);
    await index(third);
    expect(third.compared).toBe(0);
  });

  it('keeps and flags another content of a UID; the first remains the answer', async () => {
    await store({ header: ct('1', 1, 1), pixels: 'a' });
    expect(await store({ header: ct('1', 1, 1), pixels: 'b' })).toMatchObject({
      newInstances: 0,
      duplicates: 0,
      differences: 1,
      studies: [],
    });
    expect(await store({ header: ct('1', 1, 1), pixels: 'b' })).toMatchObject({ duplicates: 1, differences: 0 });
    expect(await db.rows('SELECT is_answer FROM instance ORDER BY id')).toEqual([
      { is_answer: true },
      { is_answer: false },
    ]);
    expect((await differences()).map((d) => d.kind)).toEqual(['same-uid-other-content']);
    expect(await db.rows('SELECT version FROM source_instance ORDER BY version')).toEqual([
      { version: 1 },
      { version: 2 },
    ]);
    expect(await sums()).toMatchObject([{ series: 1, instances: 1 }]);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
  });

  it('flags two contents of a UID that come in one pack', async () => {
    expect(
      await store(
        { header: ct('1', 1, 1), pixels: 'a' },
        { header: ct('1', 1, 1), pixels: 'b' },
        { header: ct('1', 1, 1), encoding: 'x', pixels: 'a' },
      ),
    ).toMatchObject({ newInstances: 1, duplicates: 1, differences: 1 });
    expect(await db.rows('SELECT count(*)::int AS n FROM instance WHERE is_answer')).toEqual([{ n: 1 }]);
  });

  it('keeps a UID that comes again in another study apart', async () => {
    await store({ header: ct('1', 1, 1) });
    const moved = { '00080018': '1.2.826.0.1.1.1.1' };
    expect(await store({ header: ct('2', 1, 1, moved) })).toMatchObject({ newInstances: 0, differences: 1 });
    expect(await sums()).toMatchObject([
      { id: 'P1', instances: 1 },
      { id: 'P2', instances: 0, series: 0 },
    ]);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
  });

  it('never merges a study that comes with another patient', async () => {
    await store({ header: ct('1', 1, 1) });
    const result = await store({ header: ct('1', 1, 2, { '00100020': 'OTHER' }) });
    expect(result).toMatchObject({ newInstances: 1 });
    expect(await sums()).toMatchObject([
      { id: 'P1', instances: 1 },
      { id: 'OTHER', instances: 1 },
    ]);
    expect((await differences()).map((d) => d.kind).sort()).toEqual([
      'series-with-other-study',
      'study-with-other-patient',
    ]);
    expect(await store({ header: ct('1', 1, 3, { '00100020': 'OTHER' }) })).toMatchObject({
      newInstances: 1,
      differences: 0,
    });
  });

  it('flags another name, birth date or sex under a known id, once, and not a name that only goes on', async () => {
    const alpha = { '00100020': 'P9', '00100010': 'Alpha^One', '00100030': '19700101', '00100040': 'M' };
    const zulu = { '00100020': 'P9', '00100010': 'Zulu^Other', '00100030': '20010101', '00100040': 'F' };
    await store({ header: ct('1', 1, 1, alpha) });
    expect(await store({ header: ct('2', 1, 1, { ...alpha, '00100010': 'ALPHA^One^Middle' }) })).toMatchObject({
      differences: 0,
    });
    expect(await store({ header: ct('3', 1, 1, zulu) })).toMatchObject({ newInstances: 1, differences: 1 });
    await store({ header: ct('1', 1, 2, alpha) });
    await store({ header: ct('3', 1, 2, zulu) });
    const found = (await differences()).filter((d) => d.kind === 'patient-with-other-demographics');
    // each side once: the patient row shows who came last
    expect(found).toHaveLength(2);
  });

  it('tells ids apart that differ by NUL', async () => {
    await store({ header: ct('1', 1, 1, { '00100020': 'P\u0000X' }) }, { header: ct('2', 1, 1, { '00100020': 'PX' }) });
    expect(await db.rows('SELECT count(*)::int AS n FROM patient')).toEqual([{ n: 2 }]);
  });

  it('makes one identity per study of empty and shared ids, and tells issuers apart', async () => {
    await store(
      { header: ct('1', 1, 1, { '00100020': null }) },
      { header: ct('2', 1, 1, { '00100020': null }) },
      { header: ct('3', 1, 1, { '00100020': 'unknown' }) },
      { header: ct('4', 1, 1, { '00100020': 'X', '00100021': 'NORTH' }) },
      { header: ct('5', 1, 1, { '00100020': 'X', '00100021': 'SOUTH' }) },
      { header: ct('6', 1, 1, { '00100020': 'X', '00100021': 'SOUTH' }) },
    );
    expect(
      await db.rows(
        'SELECT patient_id AS p, issuer AS i, studies AS n FROM patient ORDER BY patient_id, issuer, scope',
      ),
    ).toEqual([
      { p: '', i: '', n: 1 },
      { p: '', i: '', n: 1 },
      { p: 'X', i: 'NORTH', n: 1 },
      { p: 'X', i: 'SOUTH', n: 2 },
      { p: 'unknown', i: '', n: 1 },
    ]);
  });

  it('takes a changed header of a fetched object as a new version, not as a conflict', async () => {
    await store({ header: ct('1', 1, 1), origin: 'fetched', source: 'north' });
    const result = await store({
      header: ct('1', 1, 1, { '00081030': 'Thorax corrected' }),
      origin: 'fetched',
      source: 'north',
    });
    expect(result).toMatchObject({ newInstances: 1, differences: 0 });
    expect(
      await db.rows("SELECT attributes #>> '{00081030,Value,0}' AS d, instances AS n, series AS s FROM study"),
    ).toEqual([{ d: 'Thorax corrected', n: 1, s: 1 }]);
    expect(await db.rows('SELECT version FROM source_study ORDER BY version')).toEqual([
      { version: 1 },
      { version: 2 },
    ]);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
    const south = await store({
      header: ct('1', 1, 1, { '00081030': 'South says' }),
      origin: 'fetched',
      source: 'south',
    });
    expect(south).toMatchObject({ newInstances: 0, differences: 0 });
  });

  it('keeps objects without a patient apart, and flags images that name no study', async () => {
    const palette = dicom({ '00080016': '1.2.840.10008.5.1.4.39.1', '00080018': '1.2.3' });
    const lost = dicom({ '00080016': '1.2.840.10008.5.1.4.1.1.2', '00080018': '1.2.4' });
    const stored = await store({ header: palette }, { header: lost });
    expect(stored).toMatchObject({ newInstances: 2, studies: [{ newInstances: 1 }], differences: 1 });
    // the image has a study of its own, and the palette none
    expect(await db.rows('SELECT instances AS n, series AS s FROM study')).toEqual([{ n: 1, s: 1 }]);
    expect(await db.rows('SELECT sop_class_uid AS c FROM instance WHERE series IS NULL')).toEqual([
      { c: '1.2.840.10008.5.1.4.39.1' },
    ]);
    expect((await differences()).map((d) => d.kind)).toEqual(['missing-study-or-series-uid']);
  });

  it('holds back what a tombstone names', async () => {
    await db.rows("INSERT INTO tombstone (level, uid, reason) VALUES ('STUDY', '1.2.826.0.1.1', 'rejected')");
    expect(await store({ header: ct('1', 1, 1) }, { header: ct('2', 1, 1) })).toMatchObject({
      newInstances: 1,
      heldBack: 1,
      differences: 1,
    });
    expect(await sums()).toMatchObject([{ id: 'P2' }]);
    expect(await db.rows('SELECT state FROM source_instance ORDER BY study_instance_uid')).toEqual([
      { state: 'deleted' },
      { state: 'present' },
    ]);
  });

  it('stores values with NUL, lone surrogates, quotes and absurd numbers', async () => {
    const nasty = {
      '00100010': "O'Brien\u0000^\ud800Zoë",
      '00081030': `'; DROP TABLE study; -- "\\`,
      '00200011': '99999999999999999999',
      '00180050': 'NaN',
      '00080020': '20261399',
    };
    expect(await store({ header: ct('1', 1, 1, nasty) })).toMatchObject({ newInstances: 1 });
    expect(
      await db.rows("SELECT name_alphabetic AS n, attributes #>> '{00081030,Value,0}' AS d, study_date FROM study"),
    ).toEqual([{ n: "o'brien\ufffd^\ufffdzoe", d: `'; DROP TABLE study; -- "\\`, study_date: null }]);
  });

  it('rebuilds the presentation equal to what indexing made, ids kept', async () => {
    const packs = [
      packOf([
        { header: ct('1', 1, 1), pixels: 'a' },
        { header: ct('1', 1, 2) },
        { header: ct('2', 1, 1, { '00100020': null }) },
      ]),
      packOf([
        { header: ct('1', 1, 1), pixels: 'b' },
        { header: ct('1', 1, 2), encoding: 'x' },
        { header: ct('1', 2, 3, { '00100020': 'OTHER' }) },
      ]),
      packOf([
        { header: ct('3', 1, 1), origin: 'fetched', source: 'north' },
        { header: dicom({ '00080016': '1.2.840.10008.5.1.4.39.1', '00080018': '1.2.3' }) },
      ]),
      packOf([
        { header: ct('3', 1, 1, { '00081030': 'New' }), origin: 'fetched', source: 'north' },
        { header: ct('1', 1, 3, { '00100010': 'Doe^Jane' }) },
      ]),
    ];
    for (const pack of packs) await index(pack);
    const snapshot = async (): Promise<unknown[]> =>
      Promise.all([
        db.rows('SELECT * FROM patient ORDER BY id'),
        db.rows("SELECT to_jsonb(s) - '{revision,changed_at,changed_xid}'::text[] AS row FROM study s ORDER BY s.id"),
        db.rows("SELECT to_jsonb(x) - '{revision,changed_at}'::text[] AS row FROM series x ORDER BY x.id"),
        db.rows('SELECT * FROM instance ORDER BY id'),
        db.rows('SELECT * FROM difference ORDER BY id'),
      ]);
    const before = await snapshot();
    await db.rows("UPDATE study SET instances = 99, name_alphabetic = 'damaged'");
    await db.rows('DELETE FROM series WHERE id = 1');
    const byId = new Map(packs.map((pack) => [pack.announcement.packId, pack]));
    expect(
      await db.transaction((client) =>
        rebuildPresentation(client, ({ packId }) => Promise.resolve(byId.get(packId) as (typeof packs)[0])),
      ),
    ).toBe(4);
    const after = await snapshot();
    // the series that was lost has a new id: compared by its UID below
    expect(after[0]).toEqual(before[0]);
    expect(after[1]).toEqual(before[1]);
    expect(after[4]).toEqual(before[4]);
    expect((after[2] as unknown[]).length).toBe((before[2] as unknown[]).length);
    expect((after[3] as { id: string; is_answer: boolean }[]).map((r) => [r.id, r.is_answer])).toEqual(
      (before[3] as { id: string; is_answer: boolean }[]).map((r) => [r.id, r.is_answer]),
    );
    expect(await db.withClient((client) => recount(client))).toEqual([]);
    const again = await snapshot();
    await db.transaction((client) =>
      rebuildPresentation(client, ({ packId }) => Promise.resolve(byId.get(packId) as (typeof packs)[0])),
    );
    expect(await snapshot()).toEqual(again);
  });

  it('feeds the changes of studies, each once', async () => {
    await store({ header: ct('1', 1, 1) }, { header: ct('2', 1, 1) });
    const first = await db.withClient((client) => studiesChangedSince(client, undefined));
    expect(first.map((change) => change.revision)).toEqual([1, 1]);
    const cursor = first.at(-1)?.cursor;
    expect(await db.withClient((client) => studiesChangedSince(client, cursor))).toEqual([]);
    await store({ header: ct('1', 1, 2) });
    expect(
      (await db.withClient((client) => studiesChangedSince(client, cursor))).map((change) => change.revision),
    ).toEqual([2]);
  });

  it('indexes conflicting packs at once on several connections: sums equal a recount', async () => {
    const packs = Array.from({ length: 12 }, (_, p) =>
      packOf(
        Array.from({ length: 40 }, (_, i) => ({
          header: ct(String(1 + ((i * 7 + p) % 5)), 1 + (i % 3), 1 + ((i * (p + 1)) % 25), {
            '00100020': `P${(i + p) % 2}`,
          }),
          pixels: String((i + p) % 3),
        })),
      ),
    );
    const all = [...packs, ...packs.slice(0, 4)];
    const results = await Promise.all(all.map((pack) => index(pack)));
    expect(results.filter((r) => r.already)).toHaveLength(4);
    expect(await db.withClient((client) => recount(client))).toEqual([]);
    const [answers] = await db.rows<{ n: number; uids: number }>(
      'SELECT count(*) FILTER (WHERE is_answer)::int AS n, count(DISTINCT sop_instance_uid)::int AS uids FROM instance',
    );
    expect(answers?.n).toBe(answers?.uids);
    const said = results.reduce((sum, r) => sum + r.newInstances, 0);
    expect(said).toBe(answers?.n);
    const entries = results.reduce((sum, r) => sum + r.newInstances + r.duplicates, 0);
    expect(entries).toBe(12 * 40 - (await countOf('instance')) + (answers?.n ?? 0));
  }, 60_000);
});

import type { SearchV1, SourceVanishedV1 } from '@archipelago/contracts';
import { startPostgres } from '@archipelago/testing';
import type { QueryRunner } from './read/runner';
import { search } from './read/search';
import { rebuildPresentation } from './rebuild';
import { recount } from './recount';
import { ct, fullAnswer, imageAnswer, packOf, seriesAnswer, studyAnswer, type Plain, type Sample } from './spec-kit';
import { specCatalog, type SpecDatabase } from './spec-database';
import type { Derived } from './write/derive';
import { indexPack } from './write/index-pack';
import type { IndexPackInput, IndexPackResult } from './write/index-pack.types';
import { vanish } from './write/vanish';

let db: SpecDatabase;
let runner: QueryRunner;

specCatalog(startPostgres, (opened) => ({ db, runner } = opened));
beforeEach(() => db.empty());

const ARCHIVES = ['north', 'south'];
const ISSUERS: Record<string, string> = { north: 'NORTH', south: 'SOUTH' };
let packs: IndexPackInput[] = [];
beforeEach(() => (packs = []));

/** Both archives number their patients alike unless the test says otherwise. */
function pack(samples: Sample[], issuers: Record<string, string> = {}): IndexPackInput {
  return { ...packOf(samples), archives: ARCHIVES, defaultIssuer: (entry) => issuers[entry.source] ?? '' };
}
const index = (input: IndexPackInput): Promise<IndexPackResult> => {
  packs.push(input);
  return db.transaction((client) => indexPack(client, input));
};
const store = (...samples: Sample[]): Promise<IndexPackResult> => index(pack(samples));

const PRINCIPAL = { kind: 'peer' as const, site: 'main', name: 'WS' };
type Level = SearchV1['level'];
async function find(level: Level, keys: Record<string, string>, more: Partial<SearchV1> = {}): Promise<object[]> {
  const request: SearchV1 = {
    principal: PRINCIPAL,
    model: 'study-root',
    level,
    keys: Object.entries(keys).map(([tag, value]) => ({ tag, vr: 'LO', values: value === '' ? [] : [value] })),
    ...more,
  };
  const { matches } = await search(runner, request);
  return matches.map((match) =>
    Object.fromEntries(
      Object.keys(keys).map((tag) => {
        const values = match[tag]?.Value as unknown[] | undefined;
        return [tag, values?.length === 1 ? values[0] : values];
      }),
    ),
  );
}
const STUDY = '1.2.826.0.1.1';
const SUMS = { '0020000D': STUDY, '00201206': '', '00201208': '' };
const study = async (): Promise<object[]> =>
  (await find('STUDY', SUMS)).map((row) => [
    (row as Record<string, unknown>)['00201206'],
    (row as Record<string, unknown>)['00201208'],
  ]);

/** Everything that is shown, without surrogate keys and counters of change. */
async function shownNow(): Promise<object> {
  const patients = await db.rows(
    'SELECT patient_id, issuer, scope, name_alphabetic, birth_date, sex, attributes, studies, series, instances FROM patient WHERE studies > 0 ORDER BY 1, 2, 3',
  );
  const studies = await db.rows(
    `SELECT study_instance_uid, patient_id, issuer, name_alphabetic, study_date, study_time, accession_number, modalities, sop_classes, attributes,
       series, instances, bytes, basis, said FROM study WHERE instances > 0 OR said IS NOT NULL ORDER BY 1, 2, 3`,
  );
  const series = await db.rows(
    `SELECT x.series_instance_uid, s.study_instance_uid, s.patient_id, s.issuer, x.modality, x.series_number, x.sop_classes, x.attributes, x.instances,
       x.bytes, x.basis, x.said FROM series x JOIN study s ON s.id = x.study WHERE x.instances > 0 OR x.said IS NOT NULL ORDER BY 1, 2, 3, 4`,
  );
  const instances = await db.rows(
    `SELECT i.sop_instance_uid, x.series_instance_uid, s.study_instance_uid, s.patient_id, s.issuer, i.sop_class_uid, i.instance_number,
       encode(i.wire_digest, 'hex') AS wire, i.is_answer, i.held, i.source, i.transfer_syntax_uid, i.bytes, i.attributes
     FROM instance i LEFT JOIN series x ON x.id = i.series LEFT JOIN study s ON s.id = i.study ORDER BY 1, wire`,
  );
  return { patients, studies, series, instances };
}
const sumsAreRight = async (): Promise<void> => expect(await db.withClient((client) => recount(client))).toEqual([]);

describe('what archives answered', () => {
  it('shows a study that was harvested no deeper, with the counts that the archive claims', async () => {
    const result = await store(studyAnswer('north', '1', { '00201206': 3, '00201208': 250, '00080061': ['CT', 'SR'] }));
    expect(result).toMatchObject({ newInstances: 0, answers: 1, studies: [], differences: 0 });
    expect(result.updated).toEqual([{ studyId: expect.any(String), revision: 1 }]);
    expect(
      await find('STUDY', {
        ...SUMS,
        '00100010': 'DOE*',
        '00100020': 'P1',
        '00080050': 'A1',
        '00080061': 'SR',
        '00081030': '',
      }),
    ).toEqual([
      {
        '0020000D': STUDY,
        '00201206': 3,
        '00201208': 250,
        '00100010': { Alphabetic: 'Doe^John' },
        '00100020': 'P1',
        '00080050': 'A1',
        '00080061': ['CT', 'SR'],
        '00081030': 'Thorax',
      },
    ]);
    expect(
      await find('PATIENT', { '00100020': 'P1', '00201200': '', '00201204': '' }, { model: 'patient-root' }),
    ).toEqual([{ '00100020': 'P1', '00201200': 1, '00201204': 250 }]);
    expect(await find('SERIES', { '0020000D': STUDY })).toEqual([]);
    await sumsAreRight();
  });

  it('shows a study of which the archive does not say how much it holds', async () => {
    await store(studyAnswer('north', '1', { '00201206': null, '00201208': null, '00080061': null }));
    expect(await find('STUDY', SUMS)).toEqual([{ '0020000D': STUDY, '00201206': undefined, '00201208': undefined }]);
    expect(await find('PATIENT', { '00100020': 'P1', '00201200': '' }, { model: 'patient-root' })).toEqual([
      { '00100020': 'P1', '00201200': 1 },
    ]);
  });

  it('shows series and images where it was asked deeper; claims give way to what is known', async () => {
    await store(studyAnswer('north', '1', { '00201206': 9, '00201208': 900 }));
    await store(seriesAnswer('north', '1', 1, { '00201209': 40 }), seriesAnswer('north', '1', 2, { '00201209': 2 }));
    expect(await study()).toEqual([[2, 42]]);
    await store(imageAnswer('north', '1', 2, 1), imageAnswer('north', '1', 2, 2), imageAnswer('north', '1', 2, 3));
    expect(await study()).toEqual([[2, 43]]);
    expect(await find('SERIES', { '0020000D': STUDY, '0008103E': '', '00201209': '' })).toEqual([
      { '0020000D': STUDY, '0008103E': 'Axial', '00201209': 40 },
      { '0020000D': STUDY, '0008103E': 'Axial', '00201209': 3 },
    ]);
    expect(await find('IMAGE', { '0020000D': STUDY, '00080018': '', '00200013': '2' })).toEqual([
      { '0020000D': STUDY, '00080018': `${STUDY}.2.2`, '00200013': 2 },
    ]);
    await sumsAreRight();
  });

  it('takes a whole header as it is, with its own patient', async () => {
    await store(
      fullAnswer('north', '1', 1, 1),
      fullAnswer('north', '1', 1, 2),
      fullAnswer('north', '1', 1, 3, { '00100020': 'P7' }),
    );
    expect(await db.rows('SELECT patient_id, instances FROM study ORDER BY patient_id')).toEqual([
      { patient_id: 'P1', instances: 2 },
      { patient_id: 'P7', instances: 1 },
    ]);
    expect(await db.rows('SELECT depth, held, version FROM source_study ORDER BY patient_id')).toEqual([
      { depth: 'full', held: false, version: expect.any(Number) },
      { depth: 'full', held: false, version: expect.any(Number) },
    ]);
    expect((await db.rows<{ kind: string }>('SELECT kind FROM difference')).map((row) => row.kind)).toContain(
      'study-with-other-patient',
    );
    await sumsAreRight();
  });

  it('moves the time of an equal answer and makes a version of a changed one', async () => {
    const first = studyAnswer('north', '1');
    await store(first);
    const before = await shownNow();
    const again = await store({ ...first, at: '2026-11-22T10:00:00.000Z' });
    expect(again).toMatchObject({ updated: [], studies: [], differences: 0 });
    expect(await shownNow()).toEqual(before);
    expect(await db.rows('SELECT version, as_of FROM source_study')).toEqual([
      { version: 1, as_of: new Date('2026-11-22T10:00:00.000Z') },
    ]);
    await store(studyAnswer('north', '1', { '00081030': 'Abdomen' }, '2026-11-23T10:00:00.000Z'));
    expect(await find('STUDY', { '0020000D': STUDY, '00081030': '' })).toEqual([
      { '0020000D': STUDY, '00081030': 'Abdomen' },
    ]);
    expect(await db.rows('SELECT version FROM source_study ORDER BY 1')).toEqual([{ version: 1 }, { version: 2 }]);
    // an answer that was given before, and comes late
    await store(studyAnswer('north', '1', { '00081030': 'Pelvis' }, '2026-11-22T12:00:00.000Z'));
    expect(await find('STUDY', { '0020000D': STUDY, '00081030': '' })).toEqual([
      { '0020000D': STUDY, '00081030': 'Abdomen' },
    ]);
  });

  it('has no effect when the same pack, or the same harvest, comes again', async () => {
    const samples = [studyAnswer('north', '1'), seriesAnswer('north', '1', 1), imageAnswer('north', '1', 1, 1)];
    const first = pack(samples);
    await index(first);
    const before = [
      await shownNow(),
      await db.rows('SELECT revision FROM study'),
      await db.rows('SELECT * FROM source_instance'),
    ];
    expect(await index(first)).toMatchObject({ already: true });
    expect(await store(...samples)).toMatchObject({ already: false, updated: [], differences: 0 });
    expect([
      await shownNow(),
      await db.rows('SELECT revision FROM study'),
      await db.rows('SELECT * FROM source_instance'),
    ]).toEqual(before);
  });

  it('lets bytes take the place of what was said, silently; what is said never replaces bytes', async () => {
    await store(
      studyAnswer('north', '1', { '00201208': 2 }),
      seriesAnswer('north', '1', 1),
      imageAnswer('north', '1', 1, 1, { '00200013': 7 }),
      imageAnswer('north', '1', 1, 2),
    );
    const fetched: Sample = { header: ct('1', 1, 1), origin: 'fetched', source: 'north' };
    expect(await store(fetched)).toMatchObject({ newInstances: 1, differences: 0 });
    const rows = (): Promise<object[]> =>
      db.rows('SELECT sop_instance_uid AS uid, held, is_answer, instance_number AS n FROM instance ORDER BY 1');
    const expected = [
      { uid: `${STUDY}.1.1`, held: true, is_answer: true, n: 1 },
      { uid: `${STUDY}.1.2`, held: false, is_answer: true, n: 2 },
    ];
    expect(await rows()).toEqual(expected);
    expect(await study()).toEqual([[1, 2]]);
    await store(imageAnswer('north', '1', 1, 1, { '00200013': 9 }, '2026-11-23T10:00:00.000Z'));
    expect(await rows()).toEqual(expected);
    // a modality may hold another content than the archive: that is no difference either, for nothing of it was held
    expect(await store({ header: ct('1', 1, 2), pixels: 'other' })).toMatchObject({ newInstances: 1, differences: 0 });
    expect(await db.rows('SELECT count(*)::int AS n FROM instance WHERE NOT held')).toEqual([{ n: 0 }]);
    expect(await study()).toEqual([[1, 2]]);
    await sumsAreRight();
  });

  it('shows the union of two archives, and flags where they differ until they agree', async () => {
    await store(
      studyAnswer('north', '1', { '00201208': 2 }),
      imageAnswer('north', '1', 1, 1),
      imageAnswer('north', '1', 1, 2),
    );
    await store(
      studyAnswer('south', '1', { '00201208': 2 }),
      imageAnswer('south', '1', 1, 2),
      imageAnswer('south', '1', 1, 3),
    );
    expect(await study()).toEqual([[1, 3]]);
    const flagged = (): Promise<object[]> =>
      db.rows("SELECT subject, state, decided_by FROM difference WHERE kind = 'archives-differ'");
    expect(await flagged()).toEqual([{ subject: `${STUDY}|north|south`, state: 'open', decided_by: null }]);
    await store(
      imageAnswer('north', '1', 1, 3),
      studyAnswer('north', '1', { '00201208': 3 }, '2026-11-22T10:00:00.000Z'),
    );
    await store(
      imageAnswer('south', '1', 1, 1),
      studyAnswer('south', '1', { '00201208': 3 }, '2026-11-22T10:00:00.000Z'),
    );
    expect(await study()).toEqual([[1, 3]]);
    expect(await flagged()).toEqual([{ subject: `${STUDY}|north|south`, state: 'decided', decided_by: 'catalog' }]);
    await sumsAreRight();
  });

  it('shows values of the deeper harvest, then of the first archive, and fills in from the others', async () => {
    await store(studyAnswer('south', '1', { '00081030': 'South', '00080090': 'Smith^A', '00200010': 'S-SOUTH' }));
    await store(studyAnswer('north', '1', { '00081030': 'North', '00200010': null }));
    const values = { '0020000D': STUDY, '00081030': '', '00200010': '', '00080090': '' };
    const shown = { '0020000D': STUDY, '00200010': 'S-SOUTH', '00080090': { Alphabetic: 'Smith^A' } };
    expect(await find('STUDY', values)).toEqual([{ ...shown, '00081030': 'North' }]);
    await store(fullAnswer('south', '1', 1, 1, { '00081030': 'South header' }));
    expect(await find('STUDY', values)).toEqual([{ ...shown, '00081030': 'South header' }]);
    await store({ header: ct('1', 1, 9, { '00081030': 'Own' }) });
    expect(await find('STUDY', values)).toEqual([{ ...shown, '00081030': 'Own' }]);
  });

  it('keeps archives of different issuers apart', async () => {
    await index(pack([studyAnswer('north', '1'), studyAnswer('south', '1')], ISSUERS));
    expect(await db.rows('SELECT patient_id, issuer, instances FROM study ORDER BY issuer')).toEqual([
      { patient_id: 'P1', issuer: 'NORTH', instances: 2 },
      { patient_id: 'P1', issuer: 'SOUTH', instances: 2 },
    ]);
  });

  it('follows an archive that corrects the patient of a study, or moves a series to another one', async () => {
    await store(studyAnswer('north', '1'), imageAnswer('north', '1', 1, 1));
    await store(studyAnswer('north', '1', { '00100020': 'P9' }, '2026-11-22T10:00:00.000Z'));
    expect(await find('STUDY', { '00100020': '', '0020000D': '', '00201208': '' })).toEqual([
      { '00100020': 'P9', '0020000D': STUDY, '00201208': 1 },
    ]);
    expect(await find('PATIENT', { '00100020': '' }, { model: 'patient-root' })).toEqual([{ '00100020': 'P9' }]);
    const moved = { '0020000D': '1.2.826.0.1.2' };
    await store(studyAnswer('north', '2'), imageAnswer('north', '1', 1, 1, moved, '2026-11-23T10:00:00.000Z'));
    expect(await find('IMAGE', { '00080018': `${STUDY}.1.1`, '0020000D': '' })).toEqual([
      { '00080018': `${STUDY}.1.1`, '0020000D': '1.2.826.0.1.2' },
    ]);
    await sumsAreRight();
  });

  it('waits with series and images until their study is known', async () => {
    await store(imageAnswer('north', '1', 1, 1), seriesAnswer('north', '1', 1));
    expect(await find('STUDY', SUMS)).toEqual([]);
    await store(studyAnswer('north', '1'));
    expect(await study()).toEqual([[1, 1]]);
  });

  describe('what an archive has lost', () => {
    const AT = '2026-11-25T10:00:00.000Z';
    const lose = (archive: string, level: SourceVanishedV1['level'], uids: string[], asOf = AT): Promise<Derived> =>
      db.transaction((client) => vanish(client, { archive, level, uids, asOf }, { archives: ARCHIVES }));

    it('lacks in the answers, unless another one has it or it was seen later', async () => {
      await store(
        studyAnswer('north', '1', { '00201208': 3 }),
        ...[1, 2, 3].map((number) => imageAnswer('north', '1', 1, number)),
        studyAnswer('south', '1', { '00201208': 1 }),
        imageAnswer('south', '1', 1, 1),
      );
      expect((await lose('north', 'IMAGE', [`${STUDY}.1.1`, `${STUDY}.1.2`])).studies).toHaveLength(1);
      expect(await study()).toEqual([[1, 2]]);
      expect(await find('IMAGE', { '0020000D': STUDY, '00080018': '' })).toEqual([
        { '0020000D': STUDY, '00080018': `${STUDY}.1.1` },
        { '0020000D': STUDY, '00080018': `${STUDY}.1.3` },
      ]);
      await lose('north', 'IMAGE', [`${STUDY}.1.3`], '2026-11-20T10:00:00.000Z');
      expect(await study()).toEqual([[1, 2]]);
      await store(imageAnswer('north', '1', 1, 2, {}, '2026-11-26T10:00:00.000Z'));
      expect(await study()).toEqual([[1, 3]]);
      await sumsAreRight();
    });

    it('is a series or a whole study, with all that is in it; what we hold of it stays', async () => {
      await store(
        studyAnswer('north', '1', { '00201206': 2, '00201208': 4 }),
        seriesAnswer('north', '1', 1),
        seriesAnswer('north', '1', 2),
        ...[1, 2].map((number) => imageAnswer('north', '1', 1, number)),
        ...[1, 2].map((number) => imageAnswer('north', '1', 2, number)),
      );
      await lose('north', 'SERIES', [`${STUDY}.1`]);
      expect(await study()).toEqual([[1, 2]]);
      await store({ header: ct('1', 2, 1), origin: 'fetched', source: 'north' });
      expect((await lose('north', 'STUDY', [STUDY])).studies).toHaveLength(1);
      expect(await study()).toEqual([[1, 1]]);
      expect(await db.rows("SELECT count(*)::int AS n FROM source_instance WHERE state = 'present'")).toEqual([
        // the object that we hold was fetched before the archive was asked
        { n: 0 },
      ]);
      expect((await lose('north', 'STUDY', [STUDY])).studies).toEqual([]);
      await sumsAreRight();
    });

    it('is no more shown when nobody has it, and shown again when it comes back', async () => {
      await store(studyAnswer('north', '1'));
      await lose('north', 'STUDY', [STUDY]);
      expect(await find('STUDY', SUMS)).toEqual([]);
      expect(await find('PATIENT', { '00100020': '' }, { model: 'patient-root' })).toEqual([]);
      await store(studyAnswer('north', '1'));
      expect(await find('STUDY', SUMS)).toEqual([]);
      await store(studyAnswer('north', '1', {}, '2026-11-26T10:00:00.000Z'));
      expect(await study()).toEqual([[1, 2]]);
      await sumsAreRight();
    });
  });

  it('leaves out what a tombstone names', async () => {
    await db.rows("INSERT INTO tombstone (level, uid, reason) VALUES ('STUDY', $1, 'erased')", [STUDY]);
    await store(studyAnswer('north', '1'), imageAnswer('north', '1', 1, 1));
    expect(await find('STUDY', { '0020000D': '' })).toEqual([]);
    expect(await db.rows('SELECT DISTINCT state FROM source_study UNION SELECT state FROM source_instance')).toEqual([
      { state: 'deleted' },
    ]);
  });

  it('makes nothing of an answer that lacks all but its keys', async () => {
    const uid = `${STUDY}.5.1`;
    const bare: Sample = {
      header: {
        '0020000D': { vr: 'UI', Value: [STUDY] },
        '0020000E': { vr: 'UI', Value: [`${STUDY}.5`] },
        '00080018': { vr: 'UI', Value: [uid] },
      },
      harvest: 'image',
      source: 'north',
      origin: 'fetched',
    };
    await store(studyAnswer('north', '1'), bare, {
      header: { '0020000D': { vr: 'UI', Value: ['1.2.826.0.1.8'] } },
      harvest: 'study',
      source: 'north',
      origin: 'fetched',
    });
    expect(await find('IMAGE', { '00080018': uid, '00080016': '', '00200013': '' })).toEqual([
      { '00080018': uid, '00080016': undefined, '00200013': undefined },
    ]);
    expect(await find('STUDY', { '0020000D': '1.2.826.0.1.8', '00100020': '' })).toEqual([
      { '0020000D': '1.2.826.0.1.8', '00100020': undefined },
    ]);
  });

  it('gives the same whatever the order of arrival, and after a rebuild', async () => {
    const parts: Sample[][] = [
      [studyAnswer('north', '1', { '00081030': 'North', '00200010': null, '00201208': 3 })],
      [studyAnswer('south', '1', { '00081030': 'South', '00200010': 'SID' }, '2026-11-21T09:00:00.000Z')],
      [studyAnswer('north', '1', { '00081030': 'North, corrected', '00201208': 3 }, '2026-11-22T10:00:00.000Z')],
      [seriesAnswer('north', '1', 1), seriesAnswer('north', '1', 2, { '00201209': 12 })],
      [imageAnswer('north', '1', 1, 1), imageAnswer('north', '1', 1, 2)],
      [
        imageAnswer('south', '1', 1, 2, { '00280010': 512 }),
        imageAnswer('south', '1', 1, 3),
        studyAnswer('south', '2'),
      ],
      [fullAnswer('south', '1', 1, 3, { '00180050': 3 }), fullAnswer('south', '1', 1, 4)],
      [
        { header: ct('1', 1, 2, { '00081030': 'Held' }), origin: 'fetched', source: 'south' },
        { header: ct('1', 3, 1, { '00081030': 'Held' }), origin: 'fetched', source: 'south' },
      ],
    ];
    let expected: object | undefined;
    let random = 7;
    for (let round = 0; round < 40; round++) {
      await db.empty();
      await db.rows("INSERT INTO source (name) VALUES ('south'), ('north')");
      packs = [];
      const order = parts.map((_, i) => i);
      for (let i = order.length - 1; round > 0 && i > 0; i--) {
        random = (random * 48271) % 2147483647;
        const j = random % (i + 1);
        [order[i], order[j]] = [order[j] as number, order[i] as number];
      }
      for (const i of order) await store(...(parts[i] as Sample[]));
      const now = await shownNow();
      expected ??= now;
      expect({ order, now }).toEqual({ order, now: expected });
      if (round % 10 === 0) {
        await sumsAreRight();
        const ids = await db.rows('SELECT id FROM study ORDER BY id');
        await db.transaction((client) =>
          rebuildPresentation(client, ({ packId }) =>
            Promise.resolve(packs.find((one) => one.announcement.packId === packId) as IndexPackInput),
          ),
        );
        expect(await shownNow()).toEqual(expected);
        expect(await db.rows('SELECT id FROM study ORDER BY id')).toEqual(ids);
        await sumsAreRight();
      }
    }
  }, 120_000);

  it('takes 5,000 answers about studies in one transaction, and prints how long', async () => {
    const day = (n: number): string =>
      `2024${String(1 + (n % 12)).padStart(2, '0')}${String(1 + (n % 28)).padStart(2, '0')}`;
    const answers = (at: string, more: (n: number) => Plain = () => ({})): Sample[] =>
      Array.from({ length: 5000 }, (_, n) =>
        studyAnswer('north', `9.${n}`, { '00100020': `N${Math.floor(n / 3)}`, '00080020': day(n), ...more(n) }, at),
      );
    const timed = async (samples: Sample[]): Promise<[number, IndexPackResult]> => {
      const input = pack(samples);
      const started = performance.now();
      const result = await db.transaction((client) => indexPack(client, input));
      return [Math.round(performance.now() - started), result];
    };
    const [first, made] = await timed(answers('2026-11-21T10:00:00.000Z'));
    expect(made.updated).toHaveLength(5000);
    const [again, same] = await timed(answers('2026-11-22T10:00:00.000Z'));
    expect(same.updated).toEqual([]);
    const [changed, some] = await timed(
      answers('2026-11-23T10:00:00.000Z', (n): Plain => (n % 50 === 0 ? { '00081030': 'Changed' } : {})),
    );
    expect(some.updated).toHaveLength(100);
    expect(await db.rows('SELECT count(*)::int AS n FROM study WHERE said IS NOT NULL')).toEqual([{ n: 5000 }]);
    await sumsAreRight();
    process.stdout.write(`5,000 answers: new ${first}, again ${again}, 100 changed ${changed} ms\n`);
    expect(first).toBeLessThan(30_000);
  }, 120_000);
});

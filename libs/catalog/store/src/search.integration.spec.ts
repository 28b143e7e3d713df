import { startPostgres, type TestPostgres } from '@archipelago/testing';
import type { DicomJson, LocateV1, SearchReplyV1, SearchV1 } from '@archipelago/contracts';
import { QueryTimeoutError } from './errors';
import { locate } from './read/locate';
import { QueryRunner, type Statement } from './read/runner';
import { search } from './read/search';
import { ct, dicom, packOf, type Plain, type Sample } from './spec-kit';
import { SpecDatabase } from './spec-database';
import { indexPack } from './write/index-pack';

let server: TestPostgres;
let db: SpecDatabase;
let runner: QueryRunner;
const PRINCIPAL = { kind: 'peer' as const, site: 'main', name: 'WS1' };
const VR: Record<string, string> = {
  '00100010': 'PN',
  '00080020': 'DA',
  '00080030': 'TM',
  '0020000D': 'UI',
  '00200013': 'IS',
  '00180050': 'DS',
};

const store = (...samples: Sample[]): Promise<unknown> =>
  db.transaction((client) => indexPack(client, packOf(samples)));

const code = (value: string): Plain[] => [{ '00080100': value }];
beforeAll(async () => {
  server = await startPostgres();
  db = await SpecDatabase.open(await server.createDatabase());
  runner = new QueryRunner(db);
  await store(
    {
      header: ct('1', 1, 1, {
        '00100010': 'Müller^Jürgen',
        '00080020': '20260101',
        '00080030': '235900',
        '00081032': code('CTHEAD'),
        '00180050': '1.50',
      }),
    },
    {
      header: ct('1', 1, 2, {
        '00100010': 'Müller^Jürgen',
        '00080020': '20260101',
        '00080030': '235900',
        '00081032': code('CTHEAD'),
        '0008002A': '20260101235930.5',
      }),
    },
    {
      header: ct('1', 2, 1, {
        '00100010': 'Müller^Jürgen',
        '00080020': '20260101',
        '00080030': '235900',
        '00080060': 'SR',
        '00080016': '1.2.840.10008.5.1.4.1.1.88.11',
      }),
    },
    {
      header: ct('2', 1, 1, {
        '00200010': 'S2',
        '00100010': 'Yamada^Tarou=山田^太郎=やまだ^たろう',
        '00080020': '20260102',
        '00080030': '000100',
        '00400275': [{ '00401001': 'RP7', '00400009': 'SPS1' }],
      }),
    },
    {
      header: ct('3', 1, 1, {
        '00100010': 'ŁUKASZ^ŻAK',
        '00080020': '20260102',
        '00080030': '1200',
        '00080050': null,
        '00101002': [{ '00100020': 'OLD9' }],
        '00080090': 'Grün^Eva',
      }),
    },
    {
      header: ct('4', 1, 1, {
        '00100010': "O'Brien^100%_sure",
        '00080020': '20260310',
        '00080050': 'A_4%',
        '00100021': 'NORTH',
      }),
    },
    {
      header: ct('5', 1, 1, {
        '00100010': 'Muller^Anna',
        '00081080': ['first', 'second'],
        '00080020': null,
        '00080030': null,
      }),
    },
    { header: dicom({ '00080016': '1.2.840.10008.5.1.4.39.1', '00080018': '1.2.39.1' }) },
    { header: dicom({ '00080016': '1.2.840.10008.5.1.4.38.1', '00080018': '1.2.38.1', '00720002': 'NEURO' }) },
  );
}, 60_000);
afterAll(async () => {
  await db?.pool.end();
  await server?.stop();
});

type Keys = Record<string, string | string[] | Record<string, string>>;
/** Takes the other way of each search: everything found, then sorted. */
class SortingRunner extends QueryRunner {
  override readEither<R>(_: Statement, sure: Statement): Promise<R[]> {
    return this.read((run) => run<R>(sure.text, sure.values));
  }
}

async function ask(level: SearchV1['level'], keys: Keys, more: Partial<SearchV1> = {}): Promise<SearchReplyV1> {
  const list = Object.entries(keys).map(([tag, value]) => {
    if (typeof value === 'object' && !Array.isArray(value)) {
      return {
        tag,
        vr: 'SQ',
        values: [],
        items: [Object.entries(value).map(([inner, v]) => ({ tag: inner, vr: 'SH', values: [v] }))],
      };
    }
    return { tag, vr: VR[tag] ?? 'LO', values: Array.isArray(value) ? value : [value] };
  });
  const request: SearchV1 = { principal: PRINCIPAL, model: 'study-root', level, keys: list, ...more };
  const reply = await search(runner, request);
  expect(await search(new SortingRunner(db), request)).toEqual(reply);
  return reply;
}
const value = (match: DicomJson, tag: string): unknown => match[tag]?.Value?.[0];
/** Last part of the StudyInstanceUIDs that match, in the order given. */
async function studies(keys: Keys, more: Partial<SearchV1> = {}): Promise<string> {
  const reply = await ask('STUDY', keys, more);
  return reply.matches.map((match) => String(value(match, '0020000D')).split('.').at(-1)).join('');
}

describe('search', () => {
  it('gives all for universal keys, newest first, those without a date last', async () => {
    expect(await studies({ '00100010': '' })).toBe('43215');
    expect(await studies({ '00100010': '*', '0020000D': '' })).toBe('43215');
  });

  it.each<[string, Keys, string]>([
    ['single value', { '00100020': 'P2' }, '2'],
    ['single value is exact', { '00100020': 'p2' }, ''],
    ['UID list', { '0020000D': ['1.2.826.0.1.1', '1.2.826.0.1.3', '9.9'] }, '31'],
    ['no wildcard in UIDs', { '0020000D': '1.2.826*' }, ''],
    ['wildcard *', { '00080050': 'A*' }, '4215'],
    ['wildcard ?', { '00080050': 'A?' }, '215'],
    ['wildcard in the middle', { '00100020': '*2' }, '2'],
    ['literal % and _', { '00080050': 'A_4%' }, '4'],
    ['% is no wildcard', { '00080050': 'A%' }, ''],
    ['_ before *', { '00080050': 'A_*' }, '4'],
    ['date', { '00080020': '20260102' }, '32'],
    ['range', { '00080020': '20260101-20260102' }, '321'],
    ['range open below', { '00080020': '-20260101' }, '1'],
    ['range open above', { '00080020': '20260103-' }, '4'],
    ['time range', { '00080030': '1100-1200' }, '3'],
    ['time of a precision', { '00080030': '12' }, '3'],
    ['time open', { '00080030': '2300-' }, '1'],
    ['name without case and accents', { '00100010': 'MULLER^*' }, '15'],
    ['name with accents', { '00100010': 'müller^jürgen' }, '1'],
    ['Polish letters', { '00100010': 'lukasz^zak' }, '3'],
    ['ideographic group', { '00100010': '山田*' }, '2'],
    ['phonetic group', { '00100010': 'やまだ^たろう' }, '2'],
    ['groups in their place', { '00100010': 'Yamada*=山田*' }, '2'],
    ['group in the wrong place', { '00100010': '山田*=Yamada*' }, ''],
    ['middle of a name', { '00100010': '*jurg*' }, '1'],
    ['quote in a name', { '00100010': "o'brien*" }, '4'],
    ['study id', { '00200010': 'S2' }, '2'],
    ['study id wildcard', { '00200010': '?2' }, '2'],
    ['no study id', { '00200010': '""' }, '4315'],
    ['exact text kept in JSON', { '00081030': 'Thorax' }, '43215'],
    ['and its case', { '00081030': 'thorax' }, ''],
    ['any of several values', { '00081080': 'sec*' }, '5'],
    ['the first of them', { '00081080': '?irst' }, '5'],
    ['sequence', { '00081032': { '00080100': 'CTHEAD' } }, '1'],
    ['sequence wildcard', { '00081032': { '00080100': 'CT*' } }, '1'],
    ['other ids', { '00101002': { '00100020': 'OLD9' } }, '3'],
    ['other name', { '00080090': 'grun*' }, '3'],
    ['empty value', { '00080050': '""' }, '3'],
    ['empty date', { '00080020': '""' }, '5'],
    ['empty sequence', { '00101002': '""', '00100020': 'P3' }, ''],
    ['modalities in study', { '00080061': 'SR' }, '1'],
    ['modalities wildcard', { '00080061': 'S*' }, '1'],
    ['several modalities', { '00080061': ['SR', 'CT'] }, '43215'],
    ['counts', { '00201208': '3' }, '1'],
    ['injection', { '00100020': "x' OR '1'='1", '00100010': "'; DROP TABLE study; --" }, ''],
    ['NUL and surrogate', { '00100010': 'Mu\u0000ller^*\ud800' }, ''],
    ['birth date', { '00100030': '19600101-19601231' }, '43215'],
  ])('STUDY: %s', async (_, keys, expected) => {
    expect(await studies(keys)).toBe(expected);
  });

  it('matches dates and times apart, and combined when negotiated', async () => {
    const keys = { '00080020': '20260101-20260102', '00080030': '2300-0200' };
    expect(await studies(keys, { combinedDateTime: true })).toBe('21');
    expect(await studies(keys)).toBe('');
  });

  it('matches names by their words when fuzzy matching was negotiated', async () => {
    expect(await studies({ '00100010': 'jurg mull' }, { fuzzyNames: true })).toBe('1');
    expect(await studies({ '00100010': 'taro' }, { fuzzyNames: true })).toBe('2');
  });

  it('matches and returns at SERIES, IMAGE and PATIENT level', async () => {
    const series = await ask('SERIES', {
      '0020000D': '1.2.826.0.1.1',
      '00080060': 'CT',
      '00201209': '',
      '0008103E': '',
      '00100010': '',
    });
    expect(series.matches).toHaveLength(1);
    expect(series.matches[0]).toMatchObject({
      '00201209': { vr: 'IS', Value: [2] },
      '0008103E': { Value: ['Axial'] },
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Müller^Jürgen' }] },
      '0020000E': { Value: ['1.2.826.0.1.1.1'] },
      '00100020': { Value: ['P1'] },
    });
    expect(
      (await ask('SERIES', { '00400275': { '00401001': 'RP7' } })).matches.map((m) => value(m, '0020000D')),
    ).toEqual(['1.2.826.0.1.2']);
    const images = async (keys: Keys): Promise<unknown[]> =>
      (await ask('IMAGE', keys)).matches.map((m) => value(m, '00080018'));
    expect(await images({ '0020000E': '1.2.826.0.1.1.1', '00200013': '2' })).toEqual(['1.2.826.0.1.1.1.2']);
    expect(await images({ '0020000D': '1.2.826.0.1.1' })).toEqual([
      '1.2.826.0.1.1.1.1',
      '1.2.826.0.1.1.1.2',
      '1.2.826.0.1.1.2.1',
    ]);
    expect(await images({ '0008002A': '202601012359-' })).toEqual(['1.2.826.0.1.1.1.2']);
    expect((await ask('SERIES', { '00180050': '1.5' })).matches).toHaveLength(1);
    const patients = await ask('PATIENT', { '00100010': 'm*', '00201204': '' }, { model: 'patient-root' });
    expect(patients.matches.map((m) => [value(m, '00100020'), value(m, '00201204')])).toEqual([
      ['P1', 3],
      ['P5', 1],
    ]);
  });

  it('matches keys below the level only when relational queries were negotiated, and says so', async () => {
    const flat = await ask('STUDY', { '00080060': 'SR' });
    expect([flat.unsupported, flat.matches.length]).toEqual([['00080060'], 5]);
    expect(await studies({ '00080060': 'SR' }, { relational: true })).toBe('1');
    expect(await studies({ '00080060': 'CT', '00200013': '2' }, { relational: true })).toBe('1');
    expect((await ask('STUDY', { '00091001': 'x' })).unsupported).toEqual(['00091001']);
  });

  it('answers nothing to a value that its VR does not allow, and says so', async () => {
    const date = { '00080020': '2026*', '00091001': 'x' };
    const asked = { matches: [], malformed: ['00080020'], unsupported: ['00091001'] };
    expect(await ask('STUDY', date)).toMatchObject(asked);
    expect((await ask('STUDY', date)).cursor).toBeUndefined();
    expect(await ask('PATIENT', { '00100030': 'x' })).toMatchObject({ matches: [], malformed: ['00100030'] });
    expect(await ask('SERIES', { '00200011': 'x' })).toMatchObject({ matches: [], malformed: ['00200011'] });
    expect(await ask('IMAGE', { '00080018': '1.*' })).toMatchObject({ matches: [], malformed: ['00080018'] });
  });

  it('keeps an unqualified id with its issuer', async () => {
    expect(await studies({ '00100020': 'P4' })).toBe('4');
    expect(await studies({ '00100020': 'P4' }, { principal: { ...PRINCIPAL, issuer: 'SOUTH' } })).toBe('');
    expect(await studies({ '00100020': 'P4' }, { principal: { ...PRINCIPAL, issuer: 'NORTH' } })).toBe('4');
    expect(
      await studies({ '00100020': 'P4', '00100021': 'NORTH' }, { principal: { ...PRINCIPAL, issuer: 'SOUTH' } }),
    ).toBe('4');
  });

  it('finds objects without a patient by their own classes', async () => {
    const find = (sopClasses: string[], keys: Keys): Promise<SearchReplyV1> =>
      ask('IMAGE', keys, { model: 'patientless', sopClasses });
    expect((await find(['1.2.840.10008.5.1.4.39.1'], {})).matches.map((m) => value(m, '00080018'))).toEqual([
      '1.2.39.1',
    ]);
    expect(
      (await find(['1.2.840.10008.5.1.4.38.1'], { '00720002': 'NEU*' })).matches.map((m) => value(m, '00720002')),
    ).toEqual(['NEURO']);
    expect((await find(['1.2.840.10008.5.1.4.38.1'], { '00720002': 'X*' })).matches).toEqual([]);
  });

  it('refuses cursors that it did not make', async () => {
    for (const cursor of [
      'x',
      Buffer.from('["search:study","1","2"]').toString('base64url'),
      Buffer.from('["search:image","1","1","x"]').toString('base64url'),
    ]) {
      await expect(ask('STUDY', {}, { cursor })).rejects.toMatchObject({ code: 'invalid-cursor' });
    }
  });

  it('turns a slow statement into a failure, within the deadline', async () => {
    const slow = new QueryRunner(db, { statementTimeoutMs: 100 });
    const started = Date.now();
    await expect(slow.read((run) => run('SELECT pg_sleep($1)', [30]))).rejects.toBeInstanceOf(QueryTimeoutError);
    expect(Date.now() - started).toBeLessThan(3_000);
    expect(await runner.read((run) => run('SELECT 1 AS one', []))).toEqual([{ one: 1 }]);
  });

  it('goes the other way when the first is slow, and never beyond the deadline', async () => {
    const [slow, quick] = [
      { text: 'SELECT pg_sleep($1)', values: [30] },
      { text: 'SELECT $1::int AS one', values: [1] },
    ];
    const either = new QueryRunner(db, { statementTimeoutMs: 800, deadlineMs: 1_000 });
    expect(await either.readEither(slow, quick)).toEqual([{ one: 1 }]);
    expect(await either.readEither(quick, slow)).toEqual([{ one: 1 }]);
    const started = Date.now();
    await expect(either.readEither(slow, slow)).rejects.toBeInstanceOf(QueryTimeoutError);
    expect(Date.now() - started).toBeLessThan(3_000);
    await expect(either.readEither({ text: 'SELECT nonsense', values: [] }, quick)).rejects.not.toBeInstanceOf(
      QueryTimeoutError,
    );
  });
});

describe('locate', () => {
  const find = (more: Partial<LocateV1>): ReturnType<typeof locate> =>
    locate(runner, { principal: PRINCIPAL, model: 'study-root', level: 'STUDY', ...more });

  it('names instances in order, with total and copies, over pages', async () => {
    const first = await find({ studyInstanceUids: ['1.2.826.0.1.1'], limit: 2 });
    expect([first.total, first.instances.map((i) => i.sopInstanceUid)]).toEqual([
      3,
      ['1.2.826.0.1.1.1.1', '1.2.826.0.1.1.1.2'],
    ]);
    expect(first.instances[0]?.copies).toMatchObject([
      { store: 'fs', datasetOffset: 400, datasetLength: 8600, transferSyntaxUid: '1.2.840.10008.1.2.1' },
    ]);
    const rest = await find({ studyInstanceUids: ['1.2.826.0.1.1'], limit: 2, cursor: first.cursor });
    expect([rest.total, rest.instances.map((i) => i.sopInstanceUid), rest.cursor]).toEqual([
      3,
      ['1.2.826.0.1.1.2.1'],
      undefined,
    ]);
  });

  it('finds by every unique key, and nothing without one', async () => {
    expect((await find({ level: 'PATIENT', patientIds: ['P1'] })).total).toBe(3);
    expect((await find({ level: 'SERIES', seriesInstanceUids: ['1.2.826.0.1.1.2'] })).total).toBe(1);
    expect((await find({ level: 'IMAGE', sopInstanceUids: ['1.2.826.0.1.2.1.1', "x'"] })).total).toBe(1);
    expect((await find({ model: 'patientless', level: 'IMAGE', sopInstanceUids: ['1.2.39.1'] })).total).toBe(1);
    expect((await find({})).total).toBe(0);
  });

  it('names every copy, best first, and says which of them its store has lost', async () => {
    const again = ct('2', 1, 1, {
      '00200010': 'S2',
      '00100010': 'Yamada^Tarou=山田^太郎=やまだ^たろう',
      '00080020': '20260102',
      '00080030': '000100',
      '00400275': [{ '00401001': 'RP7', '00400009': 'SPS1' }],
    });
    await store({ header: again });
    const both = await find({ studyInstanceUids: ['1.2.826.0.1.2'] });
    expect([both.total, both.instances[0]?.copies.length]).toEqual([1, 2]);
    await db.rows('UPDATE pack_location SET missing_at = now()');
    const lost = await find({ studyInstanceUids: ['1.2.826.0.1.2'] });
    await db.rows('UPDATE pack_location SET missing_at = NULL');
    expect([lost.total, lost.instances[0]?.copies.map((copy) => copy.missing)]).toEqual([1, [true, true]]);
    expect(both.instances[0]?.copies.map((copy) => copy.missing)).toEqual([false, false]);
  });
});

describe('paging while data arrives', () => {
  it('neither skips nor repeats a study that does not change', async () => {
    for (let n = 100; n < 160; n += 20) {
      await store(
        ...Array.from({ length: 20 }, (_, i) => ({
          header: ct(String(n + i), 1, 1, {
            '00080020': `202501${String(1 + (i % 9)).padStart(2, '0')}`,
            '00081030': 'PAGED',
          }),
        })),
      );
    }
    const seen: unknown[] = [];
    let cursor: string | undefined;
    let arriving = 300;
    do {
      const reply: SearchReplyV1 = await ask('STUDY', { '00081030': 'PAGED' }, { limit: 7, cursor });
      seen.push(...reply.matches.map((m) => value(m, '0020000D')));
      await store({ header: ct(String(arriving++), 1, 1, { '00080020': '20250105', '00081030': 'PAGED' }) });
      await store({
        header: ct(String(100 + (arriving % 60)), 1, arriving, { '00080020': '20250105', '00081030': 'PAGED' }),
      });
      ({ cursor } = reply);
    } while (cursor !== undefined);
    const old = seen.filter((uid) => Number(String(uid).split('.').at(-1)) < 200);
    expect(new Set(seen).size).toBe(seen.length);
    expect(old).toHaveLength(60);
  }, 60_000);

  it('cuts pages at their size in bytes', async () => {
    const page = await search(
      runner,
      {
        principal: PRINCIPAL,
        model: 'study-root',
        level: 'STUDY',
        keys: [{ tag: '00081030', vr: 'LO', values: ['PAGED'] }],
      },
      { pageBytes: 600 },
    );
    expect(page.matches.length).toBeGreaterThan(0);
    expect(page.matches.length).toBeLessThan(10);
    expect(page.cursor).toBeDefined();
  });
});

// Last: it adds studies.
describe('names of a patient', () => {
  it('finds a patient by every name of a study, and shows the one that came last', async () => {
    const named = (study: string, name: string) => ({
      header: ct(study, 1, 1, { '00100020': 'WED', '00100010': name, '00080050': null, '00080020': '20250101' }),
    });
    await store(named('61', 'Single^Ada'));
    await store(named('62', 'Wedded^Ada'));
    const shown = async (level: 'PATIENT' | 'STUDY', name: string, more: Partial<SearchV1> = {}) => {
      const { matches } = await ask(level, { '00100010': name, '00100020': 'WED' }, more);
      return matches.map((match) => (value(match as DicomJson, '00100010') as { Alphabetic: string }).Alphabetic);
    };
    expect(await shown('PATIENT', 'single*')).toEqual(['Wedded^Ada']);
    expect(await shown('PATIENT', 'WEDDED^ADA')).toEqual(['Wedded^Ada']);
    expect(await shown('PATIENT', 'sing', { fuzzyNames: true })).toEqual(['Wedded^Ada']);
    expect(await shown('PATIENT', 'other*')).toEqual([]);
    expect(await shown('PATIENT', '*')).toEqual(['Wedded^Ada']);
    // each study under the name it came with
    expect(await shown('STUDY', 'single*')).toEqual(['Single^Ada']);
    expect(await shown('STUDY', 'wedded*')).toEqual(['Wedded^Ada']);
    // no name of a patient, but one of nobody
    const empty = await ask('PATIENT', { '00100010': '""', '00100020': 'WED' });
    expect(empty.matches).toEqual([]);
    // a study that is gone gives no name
    const gone = "UPDATE study SET instances = 0 WHERE study_instance_uid = '1.2.826.0.1.61'";
    await db.transaction((client) => client.query(gone));
    expect(await shown('PATIENT', 'single*')).toEqual([]);
  });
});

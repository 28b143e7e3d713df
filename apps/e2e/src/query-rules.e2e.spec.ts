/** Matching types at every level, names and character sets, cancels, and a SOP Instance UID with two contents. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { readPart10Meta } from '@archipelago/dicom-encoding';
import { datasetDigest, FileSource, PackReader } from '@archipelago/pack';
import {
  eventually,
  freePort,
  generateStudy,
  repositoryRoot,
  runCommand,
  startSystem,
  writeInstance,
  type GenerateOptions,
  type TestSystem,
} from '@archipelago/testing';
import { pythonPeer, type FindAnswer, type Query, type SampleFile, type Values } from './support/python-peer';

jest.setTimeout(120_000);

type Level = 'PATIENT' | 'STUDY' | 'SERIES' | 'IMAGE';
const UNIQUE: Record<Level, string> = {
  PATIENT: 'PatientID',
  STUDY: 'StudyInstanceUID',
  SERIES: 'SeriesInstanceUID',
  IMAGE: 'SOPInstanceUID',
};
/** More than are on their way when a cancel that is sent at once arrives. */
const MANY = 320;
const LONG_TEXT = 'previous findings '.repeat(500);
const MANY_IMAGES = 60;

let root: string;
let system: TestSystem;
let destinationPort: number;
let a: SampleFile[];
let b: SampleFile[];
let c: SampleFile[];
let many: SampleFile[];
const to = (): { port: number } => ({ port: system.port });

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'archipelago-rules-'));
  destinationPort = await freePort();
  system = await startSystem({
    config: { peers: [{ aeTitle: 'PYNETDICOM' }, { aeTitle: 'RECEIVER', host: '127.0.0.1', port: destinationPort }] },
  });
  const small = { kind: 'ct', rows: 8, columns: 8 } as const;
  const studies: GenerateOptions[] = [
    {
      ...small,
      ...{ seed: 'rules a', count: 4, seriesCount: 2, charset: 'latin1' },
      ...study('RULES-A', 'Müller^Jürgen', '20240110', '230000', '19500101'),
      adjust: ({ header }) =>
        header.put({
          AccessionNumber: 'ACC-A',
          SeriesDescription: 'Thorax lung',
          ContentDate: '20240110',
          OtherPatientIDsSequence: [{ PatientID: 'ELSEWHERE-A', TypeOfPatientID: 'TEXT' }],
          ProcedureCodeSequence: [{ CodeValue: 'P-A', CodingSchemeDesignator: '99T', CodeMeaning: 'a' }],
          RequestAttributesSequence: [{ RequestedProcedureID: 'RP-A', ScheduledProcedureStepID: 'SPS-1' }],
          ConceptNameCodeSequence: [{ CodeValue: 'C-A', CodingSchemeDesignator: '99T', CodeMeaning: 'a' }],
        }),
    },
    {
      ...small,
      ...{ seed: 'rules b', count: 2, charset: 'default' },
      ...study('RULES-B', 'MULLER^JURGEN', '20240111', '010000', '19600101'),
      adjust: ({ header }) =>
        header.put({
          AccessionNumber: null,
          PatientSex: null,
          SeriesDescription: null,
          ContentDate: null,
          RequestAttributesSequence: [{ RequestedProcedureID: 'RP-B', ScheduledProcedureStepID: 'SPS-1' }],
        }),
    },
    {
      ...small,
      ...{ seed: 'rules c', count: 1, charset: 'japanese' },
      ...study('RULES-C', 'Yamada^Tarou=山田^太郎=やまだ^たろう', '20240112', '120000', '19700101'),
      adjust: ({ header }) =>
        header.put({ AccessionNumber: 'ACC-C', SeriesDescription: 'Abdomen', ContentDate: '20240112' }),
    },
  ];
  [a, b, c] = (await Promise.all(studies.map((options, i) => made(`rules-${i}`, [options])))) as [
    SampleFile[],
    SampleFile[],
    SampleFile[],
  ];
  many = await made(
    'many',
    Array.from({ length: MANY }, (_, n) => ({
      ...small,
      seed: `many ${n}`,
      count: n === 0 ? MANY_IMAGES : 1,
      study: { patientId: `MANY-${n}`, patientName: `Many^${n}`, studyDate: '20200101' },
      adjust: ({ header }) => header.put({ AdditionalPatientHistory: LONG_TEXT }),
    })),
  );
  const sent = [...a, ...b, ...c, ...many];
  expect((await pythonPeer.store(to(), sent)).map((answer) => answer.status)).toEqual(sent.map(() => 0));
  await indexed();
});
afterAll(async () => {
  await system?.stop();
  rmSync(root, { recursive: true, force: true });
});

function study(
  patientId: string,
  patientName: string,
  studyDate: string,
  studyTime: string,
  birthDate: string,
): Pick<GenerateOptions, 'study'> {
  return { study: { patientId, patientName, studyDate, studyTime, birthDate, sex: 'F' } };
}

async function made(folder: string, studies: GenerateOptions[]): Promise<SampleFile[]> {
  const path = join(root, folder);
  mkdirSync(path);
  studies.forEach((options, s) => {
    [...generateStudy(options)].forEach((instance, i) => writeInstance(join(path, `${s}-${i}.dcm`), instance));
  });
  return (await pythonPeer.inventory([path])).files;
}

async function indexed(): Promise<void> {
  const packs = (state: string) => system.edge.metric('archipelago_edge_spool', { state, what: 'packs' });
  await eventually(
    'every acknowledged object is in the catalog',
    async () => (await packs('open')) === 0 && (await packs('unconfirmed')) === 0,
  );
}

async function ask(query: Query): Promise<FindAnswer> {
  return (await pythonPeer.find(to(), [query]))[0]!;
}

function unique(level: Level, file: SampleFile): string {
  return { PATIENT: file.patientId, STUDY: file.study, SERIES: file.series, IMAGE: file.sopInstance }[level];
}
const all = (level: Level, files: SampleFile[]): string[] =>
  [...new Set(files.map((file) => unique(level, file)))].sort();
const found = (level: Level, answer: FindAnswer): unknown[] => answer.matches.map((m) => m[UNIQUE[level]]).sort();

/** Every case in one association for each negotiation; only complete answers with FF00, 0000 count. */
async function check(level: Level, cases: [keys: Values, wanted: SampleFile[]][], more: Partial<Query> = {}) {
  const queries = cases.map(([keys]) => ({
    ...{ model: 'P', keys: { QueryRetrieveLevel: level, [UNIQUE[level]]: '', ...keys } },
    ...more,
  }));
  const answers = await pythonPeer.find(to(), queries);
  const got = answers.map((answer, i) => [cases[i]![0], found(level, answer), answer.statuses]);
  expect(got).toEqual(
    cases.map(([keys, wanted]) => {
      const uids = all(level, wanted);
      return [keys, uids, [...uids.map(() => 0xff00), 0]];
    }),
  );
}

describe('matching types', () => {
  it('PATIENT: single value, wildcard, range, universal, empty value, sequence', () =>
    check('PATIENT', [
      [{ PatientID: 'RULES-A' }, a],
      [{ PatientID: 'RULES-*' }, [...a, ...b, ...c]],
      [{ PatientID: 'RULES-?' }, [...a, ...b, ...c]],
      [{ PatientID: 'rules-a' }, []],
      [{ PatientID: 'RULES-*', PatientBirthDate: '19550101-19651231' }, b],
      [{ PatientID: 'RULES-*', PatientBirthDate: '19600101-' }, [...b, ...c]],
      [{ PatientID: 'RULES-*', PatientBirthDate: '-19600101' }, [...a, ...b]],
      [{ PatientID: '' }, [...a, ...b, ...c, ...many]],
      [{ PatientID: 'RULES-*', PatientSex: '""' }, b],
      [{ PatientID: 'RULES-*', OtherPatientIDsSequence: [{ PatientID: 'ELSEWHERE-?' }] }, a],
      [{ PatientID: 'RULES-*', OtherPatientIDsSequence: [{ PatientID: 'NOWHERE' }] }, []],
      [{ PatientID: 'RULES-*', OtherPatientIDsSequence: [{ PatientID: '' }] }, [...a, ...b, ...c]],
    ]));

  it('STUDY: single value, list of UID, wildcard, range, universal, empty value, sequence', async () => {
    const cases: [Values, SampleFile[]][] = [
      [{ AccessionNumber: 'ACC-A' }, a],
      [{ StudyInstanceUID: a[0]!.study }, a],
      [{ StudyInstanceUID: [a[0]!.study, c[0]!.study, '1.2.3'] }, [...a, ...c]],
      [{ AccessionNumber: 'ACC-*' }, [...a, ...c]],
      [{ StudyDate: '20240111-20240112' }, [...b, ...c]],
      [{ StudyDate: '20240111-' }, [...b, ...c]],
      [{ StudyDate: '20240109-20240112', StudyTime: '-013000' }, b],
      [{ StudyDate: '20240110-20240112', StudyTime: '' }, [...a, ...b, ...c]],
      [{ StudyDate: '20240110-20240112', AccessionNumber: '""' }, b],
      [{ ProcedureCodeSequence: [{ CodeValue: 'P-A', CodingSchemeDesignator: '99T' }] }, a],
      [{ ProcedureCodeSequence: [{ CodeValue: 'P-A', CodingSchemeDesignator: 'SRT' }] }, []],
    ];
    await check('STUDY', cases, { model: 'S' });
    await check(
      'STUDY',
      [
        [{ PatientID: 'RULES-B' }, b],
        [{ PatientID: 'RULES-B', StudyDate: '20240110' }, []],
      ],
      { model: 'P' },
    );
  });

  it('SERIES: single value, list of UID, wildcard, universal, empty value, RequestAttributesSequence', async () => {
    const inA = { PatientID: 'RULES-A', StudyInstanceUID: a[0]!.study };
    const inB = { PatientID: 'RULES-B', StudyInstanceUID: b[0]!.study };
    const [series] = a;
    expect(all('SERIES', a)).toHaveLength(2);
    await check('SERIES', [
      [{ ...inA, SeriesInstanceUID: series!.series }, a.filter((file) => file.series === series!.series)],
      [{ ...inA, SeriesInstanceUID: all('SERIES', a) }, a],
      [{ ...inA, SeriesNumber: '2' }, a.filter((file) => file.levels.SERIES['SeriesNumber'] === 2)],
      [{ ...inA, SeriesDescription: 'Thorax*' }, a],
      [{ ...inA, SeriesDescription: 'Abd*' }, []],
      [{ ...inA, SeriesDescription: '""' }, []],
      [{ ...inB, SeriesDescription: '""' }, b],
      [{ ...inA, Modality: 'CT' }, a],
      [{ ...inA, Modality: 'MR' }, []],
      [{ ...inA, SeriesDate: '20240101-20240131' }, a],
      [{ ...inA, SeriesDate: '20240201-' }, []],
      [inA, a],
      [{ ...inA, RequestAttributesSequence: [{ RequestedProcedureID: 'RP-A' }] }, a],
      [{ ...inA, RequestAttributesSequence: [{ RequestedProcedureID: 'RP-*', ScheduledProcedureStepID: 'SPS-1' }] }, a],
      [
        { ...inA, RequestAttributesSequence: [{ RequestedProcedureID: 'RP-A', ScheduledProcedureStepID: 'SPS-2' }] },
        [],
      ],
      [{ ...inB, RequestAttributesSequence: [{ RequestedProcedureID: 'RP-A' }] }, []],
      [{ ...inB, RequestAttributesSequence: [{ RequestedProcedureID: '', ScheduledProcedureStepID: '' }] }, b],
    ]);
    const keys = { QueryRetrieveLevel: 'SERIES', ...inB, SeriesInstanceUID: '' };
    const { matches } = await ask({
      model: 'P',
      keys: { ...keys, RequestAttributesSequence: [{ RequestedProcedureID: '' }] },
    });
    expect(matches[0]!['RequestAttributesSequence']).toMatchObject([{ RequestedProcedureID: 'RP-B' }]);
  });

  it('IMAGE: single value, list of UID, wildcard, range, universal, empty value, sequence', async () => {
    const one = a[0]!;
    const mine = a.filter((file) => file.series === one.series);
    const above = { PatientID: 'RULES-A', StudyInstanceUID: one.study, SeriesInstanceUID: one.series };
    const inB = { PatientID: 'RULES-B', StudyInstanceUID: b[0]!.study, SeriesInstanceUID: b[0]!.series };
    expect(mine.length).toBeGreaterThan(1);
    const number = one.levels.IMAGE['InstanceNumber'];
    await check('IMAGE', [
      [{ ...above, SOPInstanceUID: one.sopInstance }, [one]],
      [{ ...above, SOPInstanceUID: all('IMAGE', mine) }, mine],
      [{ ...above, SOPInstanceUID: [one.sopInstance, b[0]!.sopInstance] }, [one]],
      [{ ...above, InstanceNumber: String(number) }, mine.filter((f) => f.levels.IMAGE['InstanceNumber'] === number)],
      [{ ...above, PhotometricInterpretation: 'MONO*' }, mine],
      [{ ...above, PhotometricInterpretation: 'RGB*' }, []],
      [{ ...above, ContentDate: '20240109-20240111' }, mine],
      [{ ...above, ContentDate: '20240111-20240131' }, []],
      [{ ...above, ContentDate: '""' }, []],
      [{ ...inB, ContentDate: '""' }, b],
      [above, mine],
      [{ ...above, ConceptNameCodeSequence: [{ CodeValue: 'C-A' }] }, mine],
      [{ ...inB, ConceptNameCodeSequence: [{ CodeValue: 'C-A' }] }, []],
    ]);
  });

  it('date and time are one moment only when that was negotiated', async () => {
    const keys = { StudyDate: '20240110-20240111', StudyTime: '220000-020000' };
    const day = { StudyDate: '20240110-20240112', StudyTime: '003000-130000' };
    // by itself a time from 22 to 2 o'clock holds nothing; 0:30 to 13:00 holds b and c
    const apart: [Values, SampleFile[]][] = [
      [keys, []],
      [day, [...b, ...c]],
    ];
    const combined: [Values, SampleFile[]][] = [
      [keys, [...a, ...b]],
      [day, [...a, ...b, ...c]],
    ];
    await check('STUDY', apart, { model: 'S' });
    await check('STUDY', combined, { model: 'S', extended: '0001' });
    await check('STUDY', apart, { model: 'S', extended: '0000' });
  });
});

describe('names and character sets', () => {
  const name = (PatientName: string, terms: string | string[] = 'ISO_IR 192'): Values => ({
    SpecificCharacterSet: terms,
    PatientName,
  });

  it('are equal whatever their case and accents', () =>
    check(
      'STUDY',
      ['Müller^Jürgen', 'MULLER^JURGEN', 'müller^jürgen', 'MÜLLER*', 'm?ller^j*'].flatMap(
        (text): [Values, SampleFile[]][] => [
          [name(text), [...a, ...b]],
          [name(text, 'ISO_IR 100'), [...a, ...b]],
        ],
      ),
      { model: 'S' },
    ));

  it('are found by their words when fuzzy matching was negotiated, else not', async () => {
    const fuzzy: [Values, SampleFile[]][] = [
      [name('Jürgen'), [...a, ...b]],
      [name('jurgen muller'), [...a, ...b]],
      [name('Tarou'), c],
      [name('Jürgen Yamada'), []],
    ];
    await check('STUDY', fuzzy, { model: 'S', extended: '000001' });
    await check(
      'STUDY',
      fuzzy.map(([keys]) => [keys, []]),
      { model: 'S' },
    );
  });

  it('are found by their ideographic and phonetic groups', () =>
    check(
      'STUDY',
      [
        [name('=山田^太郎'), c],
        [name('=山田*'), c],
        [name('==やまだ*'), c],
        [name('Yamada*=山田*=やまだ*'), c],
        [name('山田*'), c],
        [name('=やまだ*'), []],
        [name('Yamada*=鈴木*'), []],
        [name('=山田*', ['', 'ISO 2022 IR 87']), c],
        [name('==やまだ^たろう', ['', 'ISO 2022 IR 87']), c],
      ],
      { model: 'S' },
    ));

  it('are answered in the character set of the request where they fit it, else in ISO_IR 192', async () => {
    const japanese = ['', 'ISO 2022 IR 87'];
    const cases: [terms: string | string[], patient: string, answered: unknown, name: string][] = [
      ['ISO_IR 100', 'RULES-A', 'ISO_IR 100', 'Müller^Jürgen'],
      ['ISO_IR 100', 'RULES-C', 'ISO_IR 192', 'Yamada^Tarou=山田^太郎=やまだ^たろう'],
      [japanese, 'RULES-C', japanese, 'Yamada^Tarou=山田^太郎=やまだ^たろう'],
      [japanese, 'RULES-A', 'ISO_IR 192', 'Müller^Jürgen'],
      ['ISO_IR 192', 'RULES-C', 'ISO_IR 192', 'Yamada^Tarou=山田^太郎=やまだ^たろう'],
    ];
    const answers = await pythonPeer.find(
      to(),
      cases.map(([terms, PatientID]) => ({
        model: 'P',
        keys: { SpecificCharacterSet: terms, QueryRetrieveLevel: 'PATIENT', PatientID, PatientName: '' },
      })),
    );
    expect(answers.map(({ charsets, matches }) => [charsets, matches.map((m) => m['PatientName'])])).toEqual(
      cases.map(([, , answered, wanted]) => [[answered], [wanted]]),
    );
  });
});

describe('cancel', () => {
  it('ends a C-FIND of many matches with FE00, and the association goes on', async () => {
    const keys = {
      QueryRetrieveLevel: 'STUDY',
      StudyInstanceUID: '',
      PatientName: 'Many^*',
      AdditionalPatientHistory: '',
    };
    const [cancelled, complete] = await pythonPeer.find(to(), [
      // at once: whoever waits for matches on a busy machine may find that all of them are sent already
      { model: 'S', keys, cancelAfter: 0 },
      { model: 'S', keys },
    ]);
    expect(cancelled!.statuses.at(-1)).toBe(0xfe00);
    expect(cancelled!.matches.length).toBeLessThan(MANY);
    expect(found('STUDY', complete!)).toEqual(all('STUDY', many));
    expect(complete!.statuses.at(-1)).toBe(0);
  });

  it('ends C-GET and C-MOVE in the middle with FE00 and counts that add up', async () => {
    const images = many.filter((file) => file.patientId === 'MANY-0');
    expect(images).toHaveLength(MANY_IMAGES);
    const { sopClass, syntax, study: uid } = images[0]!;
    const pairs = [[sopClass, syntax] as const];
    const keys = { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: uid };
    const job = { model: 'S', keys, pairs, cancel: true };
    const destination = { ...to(), destination: 'RECEIVER', destinationPort, pairs };
    for (const [answer] of [await pythonPeer.get(to(), [job]), await pythonPeer.move(destination, [job])]) {
      expect(answer!.statuses.at(-1)).toBe(0xfe00);
      const { remaining, completed, failed, warning } = answer!.counts!;
      expect(remaining).toBeGreaterThan(0);
      expect(completed).toBeGreaterThan(0);
      expect([completed, failed, warning]).toEqual([answer!.received.length, 0, 0]);
      expect(remaining! + completed! + failed! + warning!).toBe(MANY_IMAGES);
    }
  });
});

describe('a SOP Instance UID with two contents', () => {
  it('shows the first, notes the difference, and keeps both', async () => {
    const [first] = await made('conflict', [{ kind: 'ct', rows: 8, columns: 8, seed: 'conflict' }]);
    const folder = join(root, 'conflict-other');
    mkdirSync(folder);
    const bytes = readFileSync(first!.path);
    // the pixel data stands last
    bytes[bytes.length - 2]! ^= 1;
    writeFileSync(join(folder, 'other.dcm'), bytes);
    const [other] = (await pythonPeer.inventory([folder])).files;
    expect(other!.sopInstance).toBe(first!.sopInstance);
    expect(other!.sha256).not.toBe(first!.sha256);
    const keys = { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: first!.study };
    const job = { model: 'S', keys, pairs: [[first!.sopClass, first!.syntax] as const] };
    for (const file of [first!, other!]) {
      expect(await pythonPeer.store(to(), [file])).toMatchObject([{ status: 0 }]);
      await indexed();
      const [got] = await pythonPeer.get(to(), [job]);
      expect(got!.received.map((one) => one.sha256)).toEqual([first!.sha256]);
    }
    const cli = join(repositoryRoot(), 'tools', 'dist', 'cli', 'main.js');
    const listed = await runCommand(process.execPath, [cli, 'difference', 'list', '--json'], { env: system.env });
    // with the log of the services on: it is not mixed into the answer
    expect(listed.stderr).toContain('"service":"cli"');
    expect(listed).toMatchObject({ code: 0 });
    const rows = listed.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Values);
    expect(rows).toMatchObject([
      {
        kind: 'same-uid-other-content',
        state: 'open',
        evidence: {
          sopInstanceUid: first!.sopInstance,
          answer: { wireDigest: wireDigestOf(first!) },
          incoming: { wireDigest: wireDigestOf(other!) },
        },
      },
    ]);
    expect(await contents(first!.sopInstance)).toEqual([first!.sha256, other!.sha256].sort());
    const archipelago = (...args: string[]) => runCommand(process.execPath, [cli, ...args], { env: system.env });
    const retrieved = async () => (await pythonPeer.get(to(), [job]))[0]!.received.map((one) => one.sha256);
    const id = String(rows[0]!['id']);
    const taken = await archipelago('difference', 'decide', id, '--take', '--by', 'e2e', '--note', 'checked');
    expect(taken.code).toBe(0);
    expect(await retrieved()).toEqual([other!.sha256]);
    expect((await archipelago('difference', 'list')).stdout).toBe('');
    const shown = await archipelago('difference', 'show', id, '--json');
    expect(JSON.parse(shown.stdout)).toMatchObject({
      state: 'decided',
      decidedBy: 'e2e',
      decision: { decision: 'take' },
    });
    expect(await archipelago('catalog', 'rebuild', '--json')).toMatchObject({ code: 0 });
    expect(await retrieved()).toEqual([other!.sha256]);
    expect((await archipelago('difference', 'decide', id, '--keep')).code).toBe(0);
    expect(await retrieved()).toEqual([first!.sha256]);
    expect((await archipelago('difference', 'decide', '999999', '--keep')).code).toBe(1);
    expect((await archipelago('quarantine', 'list')).stdout).toBe('');
    expect((await archipelago('quarantine', 'release', '0d3e2f3a-2b6f-4b6e-9d4b-7a1c2b3d4e5f')).code).toBe(1);
  });

  /** Of the data set in a file, as packs and the catalog have it. */
  function wireDigestOf({ path }: { path: string }): string {
    const file = readFileSync(path);
    return datasetDigest(file.subarray(readPart10Meta(file, true)!.datasetOffset));
  }

  /** SHA-256 of the data sets that the packs of the object store hold under this UID, each read in full. */
  async function contents(sopInstanceUid: string): Promise<string[]> {
    const digests: string[] = [];
    const packs = readdirSync(system.objectsDir, { recursive: true, encoding: 'utf8' });
    for (const path of packs.filter((name) => name.endsWith('.pack'))) {
      const source = await FileSource.open(join(system.objectsDir, path));
      try {
        const reader = await PackReader.open(source);
        for (const entry of reader.index.entries.filter((one) => one.sopInstanceUid === sopInstanceUid)) {
          await reader.verifyEntry(entry);
          const hash = createHash('sha256');
          for await (const piece of reader.dataset(entry)) hash.update(piece);
          digests.push(hash.digest('hex'));
        }
      } finally {
        await source.close();
      }
    }
    return digests.sort();
  }
});

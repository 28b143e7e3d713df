/** Matching, statuses, transcoding, failures and limits of query and retrieval, asked by pynetdicom. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort, generateInstance, prepareGenerator, writeInstance } from '@archipelago/testing';
import { startArchive, type Archive } from './support/archive';
import { pythonPeer, type FindAnswer, type Query, type SampleFile } from './support/python-peer';
import { groupBy } from './support/samples';

jest.setTimeout(120_000);

const IMPLICIT = '1.2.840.10008.1.2';
const EXPLICIT = '1.2.840.10008.1.2.1';
const STUDIES = 6;
const IMAGES = 4;

let root: string;
let archive: Archive;
let files: SampleFile[];
let studies: SampleFile[][];
let destinationPort: number;
const to = (): { port: number } => ({ port: archive.port });

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'archipelago-query-'));
  destinationPort = await freePort();
  archive = await startArchive({
    mode: 'separate',
    env: { ARCHIPELAGO_ACCEPT_UNKNOWN_PEERS: 'false' },
    config: {
      peers: [
        { aeTitle: 'PYNETDICOM', maxAssociations: 8 },
        { aeTitle: 'RECEIVER', host: '127.0.0.1', port: destinationPort },
        { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() },
        { aeTitle: 'ELSEWHERE', addresses: ['10.9.8.7'] },
      ],
    },
  });
  mkdirSync(join(root, 'in'));
  for (let study = 0; study < STUDIES; study++)
    for (let index = 0; index < IMAGES; index++)
      writeInstance(
        join(root, 'in', `${study}-${index}.dcm`),
        generateInstance({ kind: 'ct', count: IMAGES, seed: `query ${study}`, rows: 64, columns: 64 }, index),
      );
  ({ files } = await pythonPeer.inventory([join(root, 'in')]));
  studies = [...groupBy(files, (file) => file.study).values()];
  const answers = await pythonPeer.store(to(), files);
  expect(answers.map((answer) => answer.status)).toEqual(files.map(() => 0));
  await archive.indexed();
});
afterAll(async () => {
  await archive?.stop();
  rmSync(root, { recursive: true, force: true });
});

async function ask(query: Query): Promise<FindAnswer> {
  return (await pythonPeer.find(to(), [query]))[0]!;
}
const found = (answer: FindAnswer): unknown[] => answer.matches.map((match) => match['StudyInstanceUID']).sort();
const uids = (some: SampleFile[][]): string[] => some.map((study) => study[0]!.study).sort();
const value = (study: SampleFile[], keyword: string): string => String(study[0]!.levels.STUDY[keyword] ?? '');

describe('C-FIND', () => {
  it('matches lists, single values, wildcards, ranges, nothing', async () => {
    const [first, second] = studies as [SampleFile[], SampleFile[]];
    const patient = first[0]!.patientId;
    const name = String(first[0]!.levels.PATIENT['PatientName']);
    const date = value(first, 'StudyDate');
    const by = (predicate: (study: SampleFile[]) => boolean): string[] => uids(studies.filter(predicate));
    const cases: [keys: Record<string, unknown>, wanted: string[]][] = [
      [{}, uids(studies)],
      [{ StudyInstanceUID: [first[0]!.study, second[0]!.study] }, uids([first, second])],
      [{ PatientID: patient }, by((study) => study[0]!.patientId === patient)],
      [
        { PatientID: `${patient.slice(0, -1)}?` },
        by(
          (study) =>
            study[0]!.patientId.slice(0, -1) === patient.slice(0, -1) && study[0]!.patientId.length === patient.length,
        ),
      ],
      [{ PatientID: '*' }, uids(studies)],
      [{ PatientID: 'nobody has this' }, []],
      [{ PatientName: name.toLowerCase() }, by((study) => study[0]!.levels.PATIENT['PatientName'] === name)],
      [{ StudyDate: date }, by((study) => value(study, 'StudyDate') === date)],
      [{ StudyDate: `${date}-` }, by((study) => value(study, 'StudyDate') >= date)],
      [{ StudyDate: `-${date}` }, by((study) => value(study, 'StudyDate') <= date)],
      [{ StudyDate: '18000101-18001231' }, []],
      [{ ModalitiesInStudy: 'CT' }, uids(studies)],
      [{ ModalitiesInStudy: 'MR' }, []],
    ];
    const answers = await pythonPeer.find(
      to(),
      cases.map(([keys]) => ({ model: 'S', keys: { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: '', ...keys } })),
    );
    cases.forEach(([keys, wanted], index) => {
      expect([keys, found(answers[index]!)]).toEqual([keys, wanted]);
      expect(answers[index]!.statuses).toEqual([...wanted.map(() => 0xff00), 0]);
    });
  });

  it('answers at all four levels', async () => {
    const [study] = studies as [SampleFile[]];
    const [file] = study as [SampleFile];
    const unique = { PatientID: file.patientId, StudyInstanceUID: file.study, SeriesInstanceUID: file.series };
    const levels = [
      ['PATIENT', { PatientID: file.patientId }, 1],
      [
        'STUDY',
        { PatientID: file.patientId, StudyInstanceUID: '' },
        studies.filter((one) => one[0]!.patientId === file.patientId).length,
      ],
      ['SERIES', { ...unique, SeriesInstanceUID: '' }, 1],
      ['IMAGE', { ...unique, SOPInstanceUID: '' }, IMAGES],
    ] as const;
    for (const [QueryRetrieveLevel, keys, count] of levels) {
      const answer = await ask({ model: 'P', keys: { QueryRetrieveLevel, ...keys } });
      expect([QueryRetrieveLevel, answer.statuses]).toEqual([
        QueryRetrieveLevel,
        [...Array<number>(count).fill(0xff00), 0],
      ]);
    }
  });

  it('says FF01 when a key is not supported, A900 when one is missing, and ends on cancel', async () => {
    const keys = { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: '' };
    const odd = await ask({ model: 'S', keys: { ...keys, '00291234': '' } });
    expect(odd.statuses).toEqual([...studies.map(() => 0xff01), 0]);
    expect((await ask({ model: 'S', keys: { QueryRetrieveLevel: 'SERIES' } })).statuses).toEqual([0xa900]);
    expect((await ask({ model: 'S', keys: { StudyInstanceUID: '' } })).statuses).toEqual([0xa900]);
    // What is no date, time, number or UID is a mistake of who asks: never the answer to a wider question.
    for (const [model, level, more] of [
      ['P', 'PATIENT', { PatientBirthDate: 'garbage!' }],
      ['S', 'STUDY', { StudyDate: 'garbage!' }],
      ['S', 'STUDY', { StudyTime: '2599' }],
      ['S', 'SERIES', { StudyInstanceUID: studies[0]![0]!.study, SeriesDate: 'garbage!' }],
      ['S', 'STUDY', { StudyInstanceUID: '1.2.*' }],
    ] as const)
      expect([more, (await ask({ model, keys: { QueryRetrieveLevel: level, ...more } })).statuses]).toEqual([
        more,
        [0xa900],
      ]);
    const cancelled = await ask({ model: 'S', keys, cancelAfter: 1 });
    // the rest may have been on its way when the cancel came
    expect([0xfe00, 0]).toContain(cancelled.statuses.at(-1));
    expect((await ask({ model: 'S', keys })).statuses.at(-1)).toBe(0);
  });
});

describe('C-GET and C-MOVE', () => {
  const receiver = (pairs: (readonly [string, string])[]) => ({
    ...to(),
    destination: 'RECEIVER',
    destinationPort,
    pairs,
  });

  it('send what each level names', async () => {
    const [study] = studies as [SampleFile[]];
    const [file] = study as [SampleFile];
    const pairs = [[file.sopClass, file.syntax] as const];
    const jobs = [
      { model: 'P', keys: { QueryRetrieveLevel: 'PATIENT', PatientID: file.patientId }, pairs },
      { model: 'S', keys: { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: file.study }, pairs },
      {
        model: 'S',
        keys: { QueryRetrieveLevel: 'SERIES', StudyInstanceUID: file.study, SeriesInstanceUID: file.series },
        pairs,
      },
      {
        model: 'S',
        keys: {
          QueryRetrieveLevel: 'IMAGE',
          StudyInstanceUID: file.study,
          SeriesInstanceUID: file.series,
          SOPInstanceUID: file.sopInstance,
        },
        pairs,
      },
    ];
    const mine = files.filter((one) => one.patientId === file.patientId);
    const wanted = [mine, study, study, [file]].map((some) => some.map((one) => one.sopInstance).sort());
    for (const answers of [await pythonPeer.get(to(), jobs), await pythonPeer.move(receiver(pairs), jobs)]) {
      expect(answers.map((answer) => answer.received.map((one) => one.sopInstance).sort())).toEqual(wanted);
      expect(answers.map((answer) => answer.statuses.at(-1))).toEqual([0, 0, 0, 0]);
    }
  });

  it('count failures and warnings, and list what failed', async () => {
    const [study] = studies as [SampleFile[]];
    const [a, b, ...rest] = study as [SampleFile, SampleFile, ...SampleFile[]];
    const pairs = [[a.sopClass, a.syntax] as const];
    const jobs = [{ model: 'S', keys: { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: a.study }, pairs }];
    const storeStatus = { [a.sopInstance]: 0xa700, [b.sopInstance]: 0xb000 };
    const got = await pythonPeer.get(to(), jobs, { storeStatus });
    const moved = await pythonPeer.move(receiver(pairs), jobs, { storeStatus });
    for (const [answer] of [got, moved]) {
      expect(answer!.statuses.at(-1)).toBe(0xb000);
      expect(answer!.counts).toMatchObject({ completed: rest.length, failed: 1, warning: 1 });
      expect(answer!.failed).toEqual([a.sopInstance]);
    }
  });

  it('a destination that takes no such class: A702, all listed; unknown: A801; not reachable: A702', async () => {
    const [study] = studies as [SampleFile[]];
    const keys = { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: study[0]!.study };
    const [refused, unknown, away] = await pythonPeer.move(receiver([['1.2.840.10008.5.1.4.1.1.4', EXPLICIT]]), [
      { model: 'S', keys },
      { model: 'S', keys, to: 'WHO' },
      { model: 'S', keys, to: 'NOBODY' },
    ]);
    const all = study.map((file) => file.sopInstance).sort();
    expect([refused!.statuses.at(-1), [...refused!.failed].sort()]).toEqual([0xa702, all]);
    expect(unknown!.statuses).toEqual([0xa801]);
    expect([away!.statuses.at(-1), [...away!.failed].sort()]).toEqual([0xa702, all]);
  });

  it('decode or re-encode for a peer that takes less: the same pixels', async () => {
    const made = join(root, 'coded');
    const keep = join(root, 'kept');
    const plainFolder = join(root, 'plain');
    mkdirSync(made);
    mkdirSync(plainFolder);
    await prepareGenerator();
    mkdirSync(keep);
    const syntaxes = [
      '1.2.840.10008.1.2.5',
      '1.2.840.10008.1.2.4.70',
      '1.2.840.10008.1.2.4.80',
      '1.2.840.10008.1.2.4.90',
      '1.2.840.10008.1.2.2',
    ];
    const write = (folder: string, index: number, transferSyntax: string): string => {
      const path = join(folder, `${index}.dcm`);
      const kind = { kind: 'ct', count: 1, seed: `coded ${index}`, rows: 64, columns: 64, transferSyntax } as const;
      writeInstance(path, generateInstance(kind, 0));
      return path;
    };
    syntaxes.forEach((syntax, index) => write(made, index, syntax));
    // pydicom reads the pixels of the same images before they were coded: it has no decoder for most syntaxes
    const originals = syntaxes.map((_, index) => write(plainFolder, index, EXPLICIT));
    const { files: coded } = await pythonPeer.inventory([made]);
    expect(coded.map((file) => file.syntax)).toEqual(syntaxes);
    expect((await pythonPeer.store(to(), coded)).map((answer) => answer.status)).toEqual(syntaxes.map(() => 0));
    await archive.indexed();
    const source = await pythonPeer.pixels(originals);
    for (const syntax of [EXPLICIT, IMPLICIT]) {
      const jobs = coded.map((file) => ({
        model: 'S',
        keys: { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: file.study },
        pairs: [[file.sopClass, syntax] as const],
      }));
      const answers = await pythonPeer.get(to(), jobs, { keep });
      const received = answers.map((answer) => answer.received[0]);
      expect(received.map((one) => one?.syntax)).toEqual(coded.map(() => syntax));
      const decoded = await pythonPeer.pixels(received.map((one) => one!.path as string));
      const plain = decoded.map(({ shape, sha256, error }) => ({ shape, sha256, error }));
      expect(plain).toEqual(source.map(({ shape, sha256 }) => ({ shape, sha256, error: undefined })));
    }
  });
});

describe('limits', () => {
  it('refuses unknown AE titles, known ones from elsewhere, and other called AE titles', async () => {
    const [known, unknown, elsewhere] = await pythonPeer.echo(to(), ['PYNETDICOM', 'STRANGER', 'ELSEWHERE']);
    expect(known).toMatchObject({ status: 0 });
    // rejected permanent, by the service user, calling AE title not recognised (PS3.8 table 9-21)
    for (const one of [unknown, elsewhere]) expect(one).toMatchObject({ rejected: [1, 1, 3] });
    const [other] = await pythonPeer.echo({ ...to(), called: 'OTHER' }, ['PYNETDICOM']);
    expect(other).toMatchObject({ rejected: [1, 1, 7] });
  });

  it('fails within 5 s, never empty, while the catalog is away; stores go on', async () => {
    const [study] = studies as [SampleFile[]];
    const keys = { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: study[0]!.study };
    await archive.system!.catalog.kill9();
    try {
      const answer = await ask({ model: 'S', keys });
      expect(answer).toMatchObject({ statuses: [0xa700], matches: [] });
      // the first query waits for its answer in vain
      expect(answer.seconds).toBeLessThan(5.5);
      const [got] = await pythonPeer.get(to(), [{ model: 'S', keys, pairs: [[study[0]!.sopClass, study[0]!.syntax]] }]);
      expect(got!.statuses).toEqual([0xa701]);
      expect((await pythonPeer.store(to(), study)).map((answer) => answer.status)).toEqual(study.map(() => 0));
    } finally {
      await archive.system!.catalog.restart();
    }
    await eventually('found again', async () => (await ask({ model: 'S', keys })).matches.length === 1);
  });
});

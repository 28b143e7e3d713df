import type { Address, Pair, Query, RetrieveAnswer, SampleFile, Values } from './python-peer';
import { pythonPeer } from './python-peer';
import { groupBy, pairsOf, PATIENTLESS_FIND, saidBy, universal } from './samples';

/** What was sent for one SOP Instance UID, as it went over the wire. */
export interface Sent {
  sha256: string;
  syntax: string;
}
type Level = 'PATIENT' | 'STUDY' | 'SERIES' | 'IMAGE';

/** Ids that name nobody: those patients are one for each study. */
const isShared = (patientId: string): boolean =>
  /^(|UNKNOW|UNKNOWN|NONE|N\/A|NA|ANON|ANONYMOUS|\?|0+)$/i.test(patientId);
const equal = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/**
 * Objects that name no study or series are shown under UIDs of the archive: asks for them by a relational query, and
 * gives the files back with those UIDs in the place of the missing ones.
 */
export async function withFiling(to: Address, files: readonly SampleFile[]): Promise<SampleFile[]> {
  const lost = files.filter(
    (file) => !(file.sopClass in PATIENTLESS_FIND) && (file.study === '' || file.series === ''),
  );
  const answers = await pythonPeer.find(
    to,
    lost.map(({ sopInstance }) => ({
      model: 'S',
      extended: '01',
      keys: { QueryRetrieveLevel: 'IMAGE', SOPInstanceUID: sopInstance, StudyInstanceUID: '', SeriesInstanceUID: '' },
    })),
  );
  const filed = new Map<string, SampleFile>();
  lost.forEach((file, index) => {
    const [match] = answers[index]!.matches;
    if (!match) throw new Error(`not found by its SOP Instance UID: ${file.path}`);
    const [study, series] = [String(match['StudyInstanceUID']), String(match['SeriesInstanceUID'])];
    const levels = {
      ...file.levels,
      STUDY: { ...file.levels.STUDY, StudyInstanceUID: study },
      SERIES: { ...file.levels.SERIES, SeriesInstanceUID: series },
    };
    filed.set(file.path, { ...file, study, series, levels });
  });
  return files.map((file) => filed.get(file.path) ?? file);
}

/** C-FIND at every level for all of the files; returns what is not as their headers say, in words. */
export async function findDifferences(to: Address, files: readonly SampleFile[]): Promise<string[]> {
  const inPatients = files.filter((file) => !(file.sopClass in PATIENTLESS_FIND));
  const checks = [
    ...studyChecks(inPatients),
    ...seriesChecks(inPatients),
    ...imageChecks(inPatients),
    ...patientChecks(inPatients),
    ...files.filter((file) => file.sopClass in PATIENTLESS_FIND).map(patientlessCheck),
  ];
  const answers = await pythonPeer.find(
    to,
    checks.map((check) => check.query),
  );
  return checks.flatMap((check, index) => {
    const answer = answers[index]!;
    const label = JSON.stringify(check.query.keys).slice(0, 160);
    const last = answer.statuses.at(-1);
    if (last !== 0) return [`${label}: final status ${last?.toString(16)} ${answer.comment ?? ''}`];
    if (answer.statuses.slice(0, -1).some((status) => status !== 0xff00))
      return [`${label}: a pending status is not FF00`];
    return check.judge(answer.matches).map((problem) => `${label}: ${problem}`);
  });
}

interface Check {
  query: Query;
  judge(matches: Values[]): string[];
}

/** A value is right when it is what some file says; never empty where a file says something. */
function valueProblems(match: Values, level: keyof SampleFile['levels'], files: readonly SampleFile[]): string[] {
  const keywords = new Set(files.flatMap((file) => Object.keys(file.levels[level])));
  return [...keywords].flatMap((keyword) => {
    const said = saidBy(files, level, keyword);
    const substantial = said.filter((value) => value !== null);
    const allowed = substantial.length > 0 ? substantial : [null];
    const shown = match[keyword] ?? null;
    if (allowed.some((value) => equal(value, shown))) return [];
    return [`${keyword} is ${JSON.stringify(shown)}, the files say ${JSON.stringify(allowed).slice(0, 200)}`];
  });
}

/** Exactly one match for each group of files; `key` names the group that a match is about. */
function eachOnce(
  matches: Values[],
  groups: Map<string, SampleFile[]>,
  key: (match: Values) => string,
  judge: (match: Values, group: SampleFile[]) => string[],
): string[] {
  const found = groupBy(matches, key);
  const missing = [...groups.keys()].filter((name) => !found.has(name)).map((name) => `missing: ${name}`);
  return [
    ...missing,
    ...[...found].flatMap(([name, same]) => {
      const group = groups.get(name);
      if (!group) return [`not sent: ${name}`];
      return same.length > 1 ? [`${same.length} matches for ${name}`] : judge(same[0]!, group);
    }),
  ];
}

const keywordsOf = (files: readonly SampleFile[], ...levels: Level[]): string[] =>
  levels.flatMap((level) => Object.keys(files[0]!.levels[level]));
const text = (value: unknown): string => (value === null || value === undefined ? '' : String(value));

function studyChecks(files: SampleFile[]): Check[] {
  return [...groupBy(files, (file) => file.study)].map(([study, group]) => ({
    query: {
      model: 'S',
      keys: {
        QueryRetrieveLevel: 'STUDY',
        ...universal([...keywordsOf(group, 'PATIENT', 'STUDY'), 'ModalitiesInStudy']),
        ...universal(['NumberOfStudyRelatedSeries', 'NumberOfStudyRelatedInstances']),
        StudyInstanceUID: study,
      },
    },
    judge: (matches) =>
      eachOnce(
        matches,
        groupBy(group, (file) => file.patientId),
        (match) => text(match['PatientID']),
        (match, mine) => {
          const shown: unknown[] = [match['ModalitiesInStudy'] ?? []].flat();
          const series = new Set(mine.map((file) => file.series)).size;
          return [
            ...valueProblems(match, 'STUDY', mine),
            ...valueProblems(match, 'PATIENT', mine),
            ...(match['NumberOfStudyRelatedInstances'] === mine.length
              ? []
              : [`instances ${text(match['NumberOfStudyRelatedInstances'])}, sent ${mine.length}`]),
            ...(match['NumberOfStudyRelatedSeries'] === series
              ? []
              : [`series ${text(match['NumberOfStudyRelatedSeries'])}, sent ${series}`]),
            ...modalityProblems(shown, mine),
          ];
        },
      ),
  }));
}

/** Each series has one modality; where its instances disagree, one of those that they say. */
function modalityProblems(shown: readonly unknown[], files: SampleFile[]): string[] {
  const said: unknown[][] = [...groupBy(files, (file) => file.series).values()]
    .map((series) => saidBy(series, 'SERIES', 'Modality').filter((value) => value !== null))
    .filter((values) => values.length > 0);
  const right =
    said.every((values) => values.some((value) => shown.includes(value))) &&
    shown.every((value) => said.flat().includes(value));
  return right ? [] : [`modalities ${shown.join()}, sent ${JSON.stringify(said)}`];
}

function seriesChecks(files: SampleFile[]): Check[] {
  return [...groupBy(files, (file) => file.study)].map(([study, group]) => ({
    query: {
      model: 'S',
      keys: {
        QueryRetrieveLevel: 'SERIES',
        ...universal([...keywordsOf(group, 'SERIES'), 'NumberOfSeriesRelatedInstances', 'PatientID']),
        StudyInstanceUID: study,
      },
    },
    judge: (matches) =>
      eachOnce(
        matches,
        groupBy(group, (file) => `${file.series} of ${file.patientId}`),
        (match) => `${text(match['SeriesInstanceUID'])} of ${text(match['PatientID'])}`,
        (match, mine) => [
          ...valueProblems(match, 'SERIES', mine),
          ...(match['NumberOfSeriesRelatedInstances'] === mine.length
            ? []
            : [`instances ${text(match['NumberOfSeriesRelatedInstances'])}, sent ${mine.length}`]),
        ],
      ),
  }));
}

function imageChecks(files: SampleFile[]): Check[] {
  return [...groupBy(files, (file) => `${file.study} ${file.series}`).values()].map((group) => ({
    query: {
      model: 'S',
      keys: {
        QueryRetrieveLevel: 'IMAGE',
        ...universal(keywordsOf(group, 'IMAGE')),
        StudyInstanceUID: group[0]!.study,
        SeriesInstanceUID: group[0]!.series,
      },
    },
    judge: (matches) =>
      eachOnce(
        matches,
        groupBy(group, (file) => file.sopInstance),
        (match) => text(match['SOPInstanceUID']),
        (match, mine) => valueProblems(match, 'IMAGE', mine),
      ),
  }));
}

function patientChecks(files: SampleFile[]): Check[] {
  const named = files.filter((file) => !isShared(file.patientId) && file.issuer === '');
  return [...groupBy(named, (file) => file.patientId)].map(([patientId, group]) => ({
    query: {
      model: 'P',
      keys: { QueryRetrieveLevel: 'PATIENT', ...universal(keywordsOf(group, 'PATIENT')), PatientID: patientId },
    },
    judge: (matches) =>
      eachOnce(
        matches,
        new Map([[patientId, group]]),
        (match) => text(match['PatientID']),
        (match) => valueProblems(match, 'PATIENT', group),
      ),
  }));
}

function patientlessCheck(file: SampleFile): Check {
  return {
    query: {
      model: PATIENTLESS_FIND[file.sopClass] as string,
      keys: {
        ...universal(
          Object.keys(file.levels.PATIENTLESS).filter((keyword) => file.levels.PATIENTLESS[keyword] !== null),
        ),
        SOPClassUID: '',
        SOPInstanceUID: file.sopInstance,
      },
    },
    judge: (matches) =>
      matches.length === 1 ? valueProblems(matches[0]!, 'PATIENTLESS', [file]) : [`${matches.length} matches`],
  };
}

/** The operation of a model: FIND .2, MOVE .3, GET .4 in the families of objects without a patient. */
const patientlessModel = (sopClass: string, operation: 'MOVE' | 'GET'): string =>
  (PATIENTLESS_FIND[sopClass] as string).replace(/2$/, operation === 'MOVE' ? '3' : '4');

/** Retrieves all of the files, study by study; returns what is not as it was sent, in words. */
export async function retrieveDifferences(
  operation: 'GET' | 'MOVE',
  to: Address,
  files: readonly SampleFile[],
  sent: ReadonlyMap<string, Sent>,
  receiver?: { destination: string; destinationPort: number },
): Promise<string[]> {
  const groups = [
    ...groupBy(files, (file) => (file.sopClass in PATIENTLESS_FIND ? file.sopInstance : file.study)).values(),
  ];
  const syntaxed = (group: SampleFile[]): SampleFile[] =>
    group.map((file) => ({ ...file, syntax: sent.get(file.sopInstance)?.syntax ?? file.syntax }));
  const jobs = groups.map((group) => {
    const [first] = group as [SampleFile, ...SampleFile[]];
    const pairs: Pair[] = pairsOf(syntaxed(group));
    return first.sopClass in PATIENTLESS_FIND
      ? { model: patientlessModel(first.sopClass, operation), keys: { SOPInstanceUID: first.sopInstance }, pairs }
      : { model: 'S', keys: { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: first.study }, pairs };
  });
  const answers =
    operation === 'GET'
      ? await pythonPeer.get(to, jobs)
      : await pythonPeer.move({ ...to, ...receiver!, pairs: pairsOf(syntaxed([...files])) }, jobs);
  return groups.flatMap((group, index) => receivedProblems(group, answers[index]!, sent));
}

function receivedProblems(group: SampleFile[], answer: RetrieveAnswer, sent: ReadonlyMap<string, Sent>): string[] {
  const label = `study ${group[0]!.study}`;
  const problems: string[] = [];
  const last = answer.statuses.at(-1);
  if (last !== 0)
    problems.push(`${label}: final status ${last?.toString(16)} ${answer.comment ?? ''} ${answer.failed.join()}`);
  if (answer.counts?.completed !== group.length || answer.counts.failed !== 0 || answer.counts.warning !== 0)
    problems.push(`${label}: counts ${JSON.stringify(answer.counts)}, sent ${group.length}`);
  const received = groupBy(answer.received, (one) => one.sopInstance);
  for (const { sopInstance, path } of group) {
    const wanted = sent.get(sopInstance);
    const got = received.get(sopInstance) ?? [];
    received.delete(sopInstance);
    if (got.length !== 1) problems.push(`${path}: received ${got.length} times`);
    else if (got[0]!.syntax !== wanted?.syntax)
      problems.push(`${path}: in ${got[0]!.syntax}, sent in ${wanted?.syntax}`);
    else if (got[0]!.sha256 !== wanted.sha256) problems.push(`${path}: other bytes`);
  }
  for (const sopInstance of received.keys()) problems.push(`${label}: received ${sopInstance}, which is not of it`);
  return problems;
}

/**
 * Looks at what an archive answered before it is believed. An answer that names nothing, names it wrongly, or names
 * something else than what was asked for is left out and counted by its reason.
 */
import type { AnswerItem, StudyScopeV1 } from '@archipelago/contracts';

import type { Dataset } from '@archipelago/dicom-encoding';
import { judgeUid } from '../store/store-checks';
import type { QueryLevelName } from './query-keys';

export type LeftOutReason =
  | 'unparsable'
  | 'too-large'
  | 'wrong-level'
  | 'no-uid'
  | 'bad-uid'
  | 'duplicate'
  | 'foreign'
  | 'outside'
  | 'undated'
  | 'dated'
  | 'not-written';

export interface AskedFor {
  level: QueryLevelName;
  scope?: StudyScopeV1;
  study?: string;
  series?: string;
}

const UID_KEYWORD = { STUDY: 'StudyInstanceUID', SERIES: 'SeriesInstanceUID', IMAGE: 'SOPInstanceUID' } as const;

export type CheckedAnswer =
  | { ok: false; reason: LeftOutReason }
  | {
      ok: true;
      item: Omit<AnswerItem, 'digest'>;
      /** UIDs that the archive left out and that follow from the question, by keyword. */
      add: Record<string, string>;
      sopClassUid: string | undefined;
    };

export function checkAnswer(answer: Dataset, asked: AskedFor): CheckedAnswer {
  const refuse = (reason: LeftOutReason): CheckedAnswer => ({ ok: false, reason });
  const { level } = asked;
  const said = answer.string('QueryRetrieveLevel');
  if (said !== undefined && said.toUpperCase() !== level) return refuse('wrong-level');
  const uid = answer.string(UID_KEYWORD[level]);
  if (uid === undefined) return refuse('no-uid');
  if (!usable(uid)) return refuse('bad-uid');
  if (level === 'STUDY') {
    if (asked.study !== undefined && uid !== asked.study) return refuse('foreign');
    return checkStudy(answer, uid, asked.scope ?? {});
  }
  const add: Record<string, string> = {};
  const study = answer.string('StudyInstanceUID');
  if (study === undefined) add['StudyInstanceUID'] = asked.study as string;
  else if (study !== asked.study) return refuse('foreign');
  if (level === 'SERIES') {
    const item = { uid, parent: asked.study, instances: count(answer, 'NumberOfSeriesRelatedInstances') };
    return { ok: true, item, add, sopClassUid: undefined };
  }
  const series = answer.string('SeriesInstanceUID') ?? asked.series;
  if (series === undefined) return refuse('no-uid');
  if (!usable(series)) return refuse('bad-uid');
  if (asked.series !== undefined && series !== asked.series) return refuse('foreign');
  if (!answer.has('SeriesInstanceUID') || answer.string('SeriesInstanceUID') === undefined)
    add['SeriesInstanceUID'] = series;
  const sopClass = answer.string('SOPClassUID');
  const sopClassUid = sopClass !== undefined && usable(sopClass) ? sopClass : undefined;
  return { ok: true, item: { uid, parent: series, sopClass: sopClassUid }, add, sopClassUid };
}

function checkStudy(answer: Dataset, uid: string, scope: StudyScopeV1): CheckedAnswer {
  const date = digits(answer.string('StudyDate')?.replaceAll('.', ''), 8);
  const time = digits(answer.string('StudyTime')?.replaceAll(':', '').slice(0, 6).padEnd(6, '0'), 6);
  if (scope.undated === true && date !== undefined) return { ok: false, reason: 'dated' };
  if (scope.from !== undefined || scope.to !== undefined) {
    // they are asked for apart; an archive that sends them with every range would have them read again and again
    if (date === undefined) return { ok: false, reason: 'undated' };
    if (date < (scope.from ?? '') || date > (scope.to ?? '99999999')) return { ok: false, reason: 'outside' };
  }
  const hasTimes = scope.timeFrom !== undefined || scope.timeTo !== undefined;
  if (hasTimes && time !== undefined && (time < (scope.timeFrom ?? '') || time > (scope.timeTo ?? '999999')))
    return { ok: false, reason: 'outside' };
  const patientId = answer.string('PatientID')?.slice(0, 64);
  const patientName = answer.string('PatientName')?.slice(0, 64);
  if (!begins(patientId, scope.patientId) || !begins(patientName, scope.patientName))
    return { ok: false, reason: 'outside' };
  return {
    ok: true,
    add: {},
    sopClassUid: undefined,
    item: {
      uid,
      date,
      time,
      series: count(answer, 'NumberOfStudyRelatedSeries'),
      instances: count(answer, 'NumberOfStudyRelatedInstances'),
      patientId,
      patientName,
      modality: answer.string('ModalitiesInStudy')?.slice(0, 16),
    },
  };
}

/** Matching of names, and with some archives of ids, takes no notice of case (PS3.4 C.2.2.2.1). */
function begins(value: string | undefined, wanted: string | undefined): boolean {
  return wanted === undefined || (value ?? '').toLowerCase().startsWith(wanted.toLowerCase());
}

function usable(uid: string): boolean {
  const judged = judgeUid(uid);
  return judged === 'valid' || judged === 'leading-zero';
}

function digits(text: string | undefined, length: number): string | undefined {
  return text !== undefined && new RegExp(`^\\d{${length}}$`).test(text) ? text : undefined;
}

function count(answer: Dataset, keyword: string): number | undefined {
  const value = answer.number(keyword);
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= 10_000_000 ? value : undefined;
}

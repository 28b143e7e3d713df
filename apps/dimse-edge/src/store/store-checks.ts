/**
 * What an object must bring to be stored: pure functions over the command and what the header reader found.
 *
 * UIDs, judged by harm (PS3.5 section 9):
 *
 * | found | answer | because |
 * |---|---|---|
 * | empty, longer than 64, other than digits and dots, empty component, leading or trailing dot | failure | cannot be filed or asked for; a path or a wildcard could hide in it |
 * | component with a leading zero | stored, warning in the pack entry | common in the field; UIDs are compared as written, so nothing can be mixed up, and a refusal would lose the images |
 * | trailing NUL or space | stored, trimmed for comparison | padding |
 * | Study or Series Instance UID absent | stored, answered with a warning | see `storedOutcome` |
 */
import type { HeaderResult } from '@archipelago/dicom-encoding';
import { PATIENTLESS_STORAGE } from '../association/query-classes';
import type { StoreOutcome } from './store-status';

export interface StoreCommand {
  sopClassUid: string;
  sopInstanceUid: string;
  /** Abstract syntax of the presentation context. */
  abstractSyntax: string;
}

export type UidJudgement = 'valid' | 'leading-zero' | 'invalid' | 'empty';

const UID = /^[0-9]+(\.[0-9]+)*$/;
const LEADING_ZERO = /(^|\.)0[0-9]/;

export function judgeUid(value: string): UidJudgement {
  const uid = trimUid(value);
  if (uid.length === 0) return 'empty';
  if (uid.length > 64 || !UID.test(uid)) return 'invalid';
  return LEADING_ZERO.test(uid) ? 'leading-zero' : 'valid';
}

export function trimUid(value: string): string {
  return value.replace(/[\0 ]+$/, '');
}

const unusable = (uid: string): boolean => ['empty', 'invalid'].includes(judgeUid(uid));

/** Checks that need only the command, before the first byte is written. */
export function checkCommand(command: StoreCommand): StoreOutcome | undefined {
  if (unusable(command.sopClassUid)) return 'bad-class-uid';
  if (unusable(command.sopInstanceUid)) return 'bad-instance-uid';
  if (trimUid(command.sopClassUid) !== trimUid(command.abstractSyntax)) return 'class-differs';
  return undefined;
}

type Identity = Pick<HeaderResult, 'sopClassUid' | 'sopInstanceUid' | 'studyInstanceUid' | 'seriesInstanceUid'>;

/** Checks of the data set against the command and the model. */
export function checkDataset(command: StoreCommand, header: Identity): StoreOutcome | undefined {
  if (unusable(header.sopClassUid)) return 'bad-class-uid';
  if (unusable(header.sopInstanceUid)) return 'bad-instance-uid';
  if (trimUid(header.sopClassUid) !== trimUid(command.sopClassUid)) return 'class-differs';
  if (trimUid(header.sopInstanceUid) !== trimUid(command.sopInstanceUid)) return 'instance-differs';
  if (judgeUid(header.studyInstanceUid) === 'invalid') return 'bad-study-uid';
  if (judgeUid(header.seriesInstanceUid) === 'invalid') return 'bad-series-uid';
  return undefined;
}

/**
 * What an object that is stored gets for an answer. One that names no study or no series is kept, because a refusal
 * would lose it, filed by the catalog under UIDs of its own, and its sender is told.
 */
export function storedOutcome(command: StoreCommand, header: Identity): StoreOutcome {
  if (PATIENTLESS_STORAGE.has(trimUid(command.sopClassUid))) return 'stored';
  const named = [header.studyInstanceUid, header.seriesInstanceUid].every((uid) => judgeUid(uid) !== 'empty');
  return named ? 'stored' : 'stored-unfiled';
}

/** Oddities of identity that do not stop storing; codes for the pack entry. */
export function identityWarnings(header: Identity): string[] {
  const uids = [header.sopClassUid, header.sopInstanceUid, header.studyInstanceUid, header.seriesInstanceUid];
  return uids.some((uid) => judgeUid(uid) === 'leading-zero') ? ['uid-leading-zero'] : [];
}

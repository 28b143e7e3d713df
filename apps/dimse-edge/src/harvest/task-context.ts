import type { AnswerPart, ArchiveTaskResult, ArchiveV1 } from '@archipelago/contracts';
import { EXPLICIT_VR_LE, IMPLICIT_VR_LE } from '@archipelago/dicom-core';
import type { ArchiveConnections } from '../archives/archive-connections';
import { archiveFailure } from '../archives/archive-errors';
import type { HarvestWriter } from './harvest-writer';

/** What a task at an archive works with. */
export interface TaskContext {
  archive: ArchiveV1;
  connections: ArchiveConnections;
  /** A task that writes opens one, the runner closes it. */
  writer(): HarvestWriter;
  /** Given up: nobody asks for the result any more, or the process stops. */
  signal: AbortSignal;
  answered(outcome: string, count: number): void;
  read(bytes: number): void;
}

export type PartsOf = (context: TaskContext) => Promise<Pick<ArchiveTaskResult, 'parts' | 'capabilities'>>;

export const NATIVE = [EXPLICIT_VR_LE, IMPLICIT_VR_LE];
/** Items that one task may report: more studies are left for the next. */
export const MOST_ITEMS = 50_000;

export function newPart(study?: string): AnswerPart {
  return { ...(study === undefined ? {} : { study }), end: 'failed', answers: 0, leftOut: {}, items: [] };
}

/** An archive's failure ends the task with what it has; anything else is our own and fails it. */
export function failedPart(part: AnswerPart, error: unknown): void {
  const failure = archiveFailure(error);
  if (!failure) throw error;
  part.end = 'failed';
  part.code = failure.code;
}

/** A signal that aborts with the context's, and a function that does it alone. */
export function abortable(signal: AbortSignal): { signal: AbortSignal; abort: () => void } {
  const own = new AbortController();
  return { signal: AbortSignal.any([signal, own.signal]), abort: () => own.abort() };
}

/** One C-FIND of a harvest: bounded in answers and time, each answer checked before it counts. */
import type { AnswerItem, AnswerPart } from '@archipelago/contracts';
import { readHeader, writeDataset } from '@archipelago/dicom-encoding';
import { statusKind } from '@archipelago/dimse';
import type { HarvestLevel } from '@archipelago/pack';
import type { ArchiveAssociation } from '../archives/archive-connections';
import { type AskedFor, checkAnswer, type LeftOutReason } from './answer-check';
import { type Answer, digestOf, type HarvestWriter, readAnswer, withUids } from './harvest-writer';
import { identifier, type QueryLevelName } from './query-keys';

/** Larger answers are no C-FIND answers. */
export const MAX_ANSWER_BYTES = 256 * 1024;
/** How long an archive may take to stop after C-CANCEL before the association is aborted. */
export const CANCEL_MS = 10_000;

export interface FindQuery extends AskedFor {
  matching: Record<string, string[]>;
  sopClassUid: string;
  limit: number;
  /** By `Date.now()`. */
  deadline: number;
  known: ReadonlyMap<string, string>;
  /** Where answers go; none: they are only reported. */
  writer?: HarvestWriter;
  /** Aborts the whole: the association with it. */
  signal: AbortSignal;
  abort(): void;
  /** How long it may take to stop after C-CANCEL (default `CANCEL_MS`). */
  cancelMs?: number;
  answered(outcome: string, count: number): void;
}

const HARVEST_LEVEL: Record<QueryLevelName, HarvestLevel> = { STUDY: 'study', SERIES: 'series', IMAGE: 'image' };

/** @throws what the association threw; the part then holds what came before */
export async function runFind(association: ArchiveAssociation, query: FindQuery, part: AnswerPart): Promise<void> {
  const context = association.contexts.find((c) => c.abstractSyntax === query.sopClassUid);
  if (!context) {
    Object.assign(part, { end: 'failed', code: 'find-not-accepted' });
    return;
  }
  const reader = new AnswerTaker(query, part, context.transferSyntax);
  const cancel = new AbortController();
  let stop: 'limit' | 'deadline' | undefined;
  let late: NodeJS.Timeout | undefined;
  const end = (why: 'limit' | 'deadline'): void => {
    if (stop) return;
    stop = why;
    cancel.abort();
    late = setTimeout(query.abort, query.cancelMs ?? CANCEL_MS);
  };
  const timer = setTimeout(() => end('deadline'), Math.max(1, query.deadline - Date.now()));
  const request = writeDataset(identifier(query.level, query.matching), context.transferSyntax);
  try {
    for await (const response of association.find(query.sopClassUid, request, cancel.signal)) {
      if (statusKind(response.status) !== 'pending') {
        part.status = response.status;
        part.end = stop ?? (response.status === 0 ? 'complete' : 'status');
        continue;
      }
      // what still comes after C-CANCEL is not counted: it will be asked for again
      if (stop || !response.identifier) continue;
      part.answers++;
      await reader.take(response.identifier);
      if (part.items.length >= query.limit) end('limit');
    }
  } catch (error) {
    if (!stop) throw error;
    // it did not stop when told to: what it said before counts as far as it goes
    part.end = stop;
  } finally {
    clearTimeout(timer);
    clearTimeout(late);
    reader.report();
  }
}

class AnswerTaker {
  private readonly seen = new Set<string>();
  private readonly outcomes: Record<string, number> = {};

  constructor(
    private readonly query: FindQuery,
    private readonly part: AnswerPart,
    private readonly transferSyntax: string,
  ) {}

  async take(bytes: Buffer): Promise<void> {
    const { query, part } = this;
    if (bytes.length > MAX_ANSWER_BYTES) return this.leaveOut('too-large');
    let answer: Answer;
    let checked;
    try {
      answer = readAnswer(bytes, this.transferSyntax);
      checked = checkAnswer(readHeader(answer.header.header), query);
      if (checked.ok && Object.keys(checked.add).length > 0) answer = withUids(answer, checked.add);
    } catch {
      return this.leaveOut('unparsable');
    }
    if (!checked.ok) return this.leaveOut(checked.reason);
    const { uid } = checked.item;
    if (this.seen.has(uid)) return this.leaveOut('duplicate');
    this.seen.add(uid);
    const item: AnswerItem = { ...checked.item, digest: digestOf(answer) };
    if (query.writer && query.known.get(uid) !== item.digest) {
      await query.writer.write(answer, HARVEST_LEVEL[query.level], uid, checked.sopClassUid ?? query.sopClassUid);
      this.count('kept');
    } else this.count(query.writer ? 'unchanged' : 'listed');
    part.items.push(item);
  }

  report(): void {
    for (const [outcome, n] of Object.entries(this.outcomes)) this.query.answered(outcome, n);
  }

  private leaveOut(reason: LeftOutReason): void {
    this.part.leftOut[reason] = (this.part.leftOut[reason] ?? 0) + 1;
    this.count(reason);
  }

  private count(outcome: string): void {
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
  }
}

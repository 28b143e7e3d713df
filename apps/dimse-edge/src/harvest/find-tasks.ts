/** C-FIND tasks of a harvest: studies of a scope, series of studies, images of series. */
import type { AnswerPart, ArchiveTaskOrder } from '@archipelago/contracts';
import type { ArchiveAssociation, UseOptions } from '../archives/archive-connections';
import type { ArchivePurpose } from '../archives/archive-slots';
import { type FindQuery, runFind } from './find-query';
import { PATIENT_ROOT_FIND, scopeKeys, STUDY_ROOT_FIND } from './query-keys';
import { abortable, failedPart, MOST_ITEMS, NATIVE, newPart, type PartsOf, type TaskContext } from './task-context';

type Order<K extends ArchiveTaskOrder['kind']> = Extract<ArchiveTaskOrder, { kind: K }>;

/** A series or study with more answers than these is not read further, and reported. */
const MOST_CHILDREN = 20_000;

/** Study Root, unless probing found that the archive has only Patient Root. */
function findClass({ archive }: TaskContext): string {
  const find = archive.capabilities?.find;
  return find && !find.studyRoot && find.patientRoot ? PATIENT_ROOT_FIND : STUDY_ROOT_FIND;
}

function findOptions(context: TaskContext, signal: AbortSignal, relational = false): UseOptions {
  const sopClassUid = findClass(context);
  return {
    contexts: [{ abstractSyntax: sopClassUid, transferSyntaxes: NATIVE }],
    // PS3.4 C.5.1.1: byte 1, relational queries
    extended: relational ? [{ sopClassUid, info: Buffer.from([1]) }] : undefined,
    signal,
  };
}

type Asking = (association: ArchiveAssociation, query: BaseQuery) => Promise<void>;
type BaseQuery = Pick<FindQuery, 'sopClassUid' | 'deadline' | 'known' | 'signal' | 'abort' | 'answered'>;

interface AssociationOptions extends Pick<UseOptions, 'waitMs' | 'connectTimeoutMs'> {
  purpose?: ArchivePurpose;
  relational?: boolean;
  /** The association is aborted then, however far it is. */
  abortMs?: number;
}

/** One association for the task; its failure marks the part at work, and leaves those before as they are. */
async function onAssociation(
  context: TaskContext,
  order: { deadlineMs: number; known: readonly (readonly [string, string])[] },
  parts: AnswerPart[],
  ask: Asking,
  { purpose = 'harvest', relational, abortMs, ...waits }: AssociationOptions = {},
): Promise<void> {
  const { signal, abort } = abortable(context.signal);
  const base: BaseQuery = {
    sopClassUid: findClass(context),
    deadline: Date.now() + order.deadlineMs,
    known: new Map(order.known),
    signal,
    abort,
    answered: context.answered,
  };
  const late = abortMs === undefined ? undefined : setTimeout(abort, abortMs);
  try {
    const options = { ...findOptions(context, signal, relational), ...waits };
    await context.connections.use(context.archive, purpose, (association) => ask(association, base), options);
  } catch (error) {
    context.signal.throwIfAborted();
    const last = parts.at(-1) ?? newPart();
    if (parts.length === 0) parts.push(last);
    // an association that we aborted because the archive did not stop: the part says so already
    if (last.end === 'limit' || last.end === 'deadline') return;
    if (signal.aborted) last.end = 'deadline';
    else failedPart(last, error);
  } finally {
    clearTimeout(late);
  }
}

export function studiesTask(order: Order<'studies'>): PartsOf {
  return async (context) => {
    const writer = order.write ? context.writer() : undefined;
    const { scope, limit } = order;
    const parts: AnswerPart[] = [];
    await onAssociation(context, order, parts, async (association, base) => {
      for (const uid of scope.uids ?? [undefined]) {
        if (uid !== undefined && Date.now() > base.deadline) return;
        const part = newPart(uid);
        parts.push(part);
        const matching = uid === undefined ? scopeKeys(scope) : { StudyInstanceUID: [uid] };
        await runFind(association, { ...base, level: 'STUDY', study: uid, scope, matching, limit, writer }, part);
      }
    });
    return { parts };
  };
}

/** How long an archive may take to stop before a live query gives it up altogether. */
const LIVE_CANCEL_MS = 250;

/** A live query: somebody waits for it, so it goes before the harvest and never lasts longer than its deadline. */
export function liveTask(order: Order<'live'>): PartsOf {
  return async (context) => {
    const writer = context.writer();
    const parts: AnswerPart[] = [];
    const ask: Asking = async (association, base) => {
      for (const matching of order.queries) {
        const limit = order.limit - itemsOf(parts);
        const part = newPart();
        parts.push(part);
        if (limit <= 0) part.end = 'limit';
        else if (Date.now() >= base.deadline) part.end = 'deadline';
        else
          await runFind(
            association,
            { ...base, level: 'STUDY', matching, limit, writer, cancelMs: LIVE_CANCEL_MS },
            part,
          );
        if (part.end === 'limit' || part.end === 'deadline') return;
      }
    };
    const { deadlineMs } = order;
    const waits = { waitMs: deadlineMs, connectTimeoutMs: deadlineMs, abortMs: deadlineMs + LIVE_CANCEL_MS };
    await onAssociation(context, order, parts, ask, { purpose: 'live', ...waits });
    return { parts };
  };
}

export function seriesTask(order: Order<'series'>): PartsOf {
  return async (context) => {
    const parts: AnswerPart[] = [];
    const writer = context.writer();
    await onAssociation(context, order, parts, async (association, base) => {
      for (const study of order.studies) {
        if (Date.now() > base.deadline || itemsOf(parts) > MOST_ITEMS) return;
        const part = newPart(study);
        parts.push(part);
        const matching = { StudyInstanceUID: [study] };
        const query = { ...base, level: 'SERIES' as const, study, matching, limit: MOST_CHILDREN, writer };
        await runFind(association, query, part);
      }
    });
    return { parts };
  };
}

export function imagesTask(order: Order<'images'>): PartsOf {
  return async (context) => {
    const parts: AnswerPart[] = [];
    const writer = context.writer();
    const relational = order.studies.some(({ series }) => series.length === 0);
    const ask: Asking = async (association, base) => {
      for (const { study, series } of order.studies) {
        if (Date.now() > base.deadline || itemsOf(parts) > MOST_ITEMS) return;
        // one part for a study: it is known whole, or not
        const whole = newPart(study);
        parts.push(whole);
        const asked = series.length === 0 ? [undefined] : series;
        const ends: AnswerPart[] = [];
        for (const one of asked) {
          const part = newPart(study);
          const matching = { StudyInstanceUID: [study], ...(one === undefined ? {} : { SeriesInstanceUID: [one] }) };
          const query = {
            ...base,
            level: 'IMAGE' as const,
            study,
            series: one,
            matching,
            limit: MOST_CHILDREN,
            writer,
          };
          try {
            await runFind(association, query, part);
          } finally {
            ends.push(part);
            merge(whole, part);
          }
          if (part.end !== 'complete') break;
        }
        const bad = ends.find((part) => part.end !== 'complete');
        Object.assign(whole, { end: bad?.end ?? 'complete', status: bad?.status ?? 0, code: bad?.code });
      }
    };
    await onAssociation(context, order, parts, ask, { relational });
    return { parts };
  };
}

function merge(into: AnswerPart, part: AnswerPart): void {
  into.answers += part.answers;
  for (const item of part.items) into.items.push(item);
  for (const [reason, n] of Object.entries(part.leftOut)) into.leftOut[reason] = (into.leftOut[reason] ?? 0) + n;
}

function itemsOf(parts: readonly AnswerPart[]): number {
  return parts.reduce((sum, part) => sum + part.items.length, 0);
}

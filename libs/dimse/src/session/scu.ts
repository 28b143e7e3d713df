/** Requests of ours on an established association: either role may invoke (PS3.7 sections 9 and 10). */
import type { AcceptedContext, DimseStatus, NOperation, NResponse, StoreOperation } from '../api';
import { UsageError } from '../errors';
import { statusKind } from '../status';
import { isUid } from '../uids';
import { AssociationAbortedError } from '../errors';
import { COMMAND, NO_DATA_SET, WITH_DATA_SET, type CommandSet } from './command-set';
import type { DimseSession, Pending } from './session';

interface Answer {
  command: CommandSet;
  dataset: Buffer | undefined;
}

/** One request with one response. `send` gets the message ID. */
async function single(session: DimseSession, send: (messageId: number) => void | Promise<void>): Promise<Answer> {
  let resolve!: (answer: Answer) => void;
  let reject!: (error: Error) => void;
  const answer = new Promise<Answer>((ok, no) => ([resolve, reject] = [ok, no]));
  answer.catch(() => undefined); // met below, or send() failed for the same reason
  const messageId = await session.begin({
    response: (command, dataset) => resolve({ command, dataset }),
    failed: reject,
  });
  try {
    await send(messageId);
    return await answer;
  } finally {
    session.done(messageId);
  }
}

export function toStatus(command: CommandSet): DimseStatus {
  const status: DimseStatus = { status: command.status! };
  if (command.errorComment !== undefined) status.errorComment = command.errorComment;
  if (command.offendingElements !== undefined) status.offendingElements = command.offendingElements;
  return status;
}

export async function invokeEcho(session: DimseSession, sopClassUid: string): Promise<DimseStatus> {
  const context = need(session.contextFor(sopClassUid, 'scuRole'), sopClassUid);
  const answer = await single(session, (messageId) =>
    session.sender.message(context.id, {
      commandField: COMMAND.echoRq,
      commandDataSetType: NO_DATA_SET,
      affectedSopClassUid: sopClassUid,
      messageId,
    }),
  );
  return toStatus(answer.command);
}

/**
 * C-STORE. `role` is the role of the association's requestor on the context: scuRole when we requested it, scpRole for
 * C-GET sub-operations.
 */
export async function invokeStore(
  session: DimseSession,
  op: StoreOperation,
  role: 'scuRole' | 'scpRole',
): Promise<DimseStatus> {
  const context = session.contexts.get(op.contextId);
  if (!context?.[role]) throw new UsageError('C-STORE on a context that was not accepted for this role');
  if (!isUid(op.sopInstanceUid) || !isUid(op.sopClassUid)) throw new UsageError('C-STORE of an invalid UID');
  let sends = 0;
  const answer = await single(session, async (messageId) => {
    const command: CommandSet = {
      commandField: COMMAND.storeRq,
      commandDataSetType: WITH_DATA_SET,
      affectedSopClassUid: op.sopClassUid,
      affectedSopInstanceUid: op.sopInstanceUid,
      messageId,
      priority: op.priority ?? 0,
      moveOriginatorAeTitle: op.moveOriginatorAeTitle,
      moveOriginatorMessageId: op.moveOriginatorMessageId,
    };
    await session.sender.stream(context.id, command, op.body, op.length, () =>
      session.layer.abort(new AssociationAbortedError(0, 0, 'half a data set cannot be taken back')),
    );
    ({ sends } = session.layer);
  });
  // A peer may answer before it has taken all; the caller uses the memory again when this settles.
  const rest = session.layer.written(sends);
  if (rest) await rest;
  return toStatus(answer.command);
}

/** PS3.7 section 10: N-EVENT-REPORT and N-CREATE name an affected SOP instance, the others a requested one. */
export async function invokeNService(
  session: DimseSession,
  op: NOperation,
  role: 'scuRole' | 'scpRole',
): Promise<NResponse> {
  const context = need(session.contextFor(op.sopClassUid, role, op.contextId), op.sopClassUid);
  const affected = op.commandField === COMMAND.eventReportRq || op.commandField === COMMAND.nCreateRq;
  const answer = await single(session, (messageId) =>
    session.sender.message(
      context.id,
      {
        commandField: op.commandField,
        commandDataSetType: op.dataset ? WITH_DATA_SET : NO_DATA_SET,
        messageId,
        eventTypeId: op.eventTypeId,
        actionTypeId: op.actionTypeId,
        attributeIdentifierList: op.attributeIdentifierList,
        ...(affected
          ? { affectedSopClassUid: op.sopClassUid, affectedSopInstanceUid: op.sopInstanceUid }
          : { requestedSopClassUid: op.sopClassUid, requestedSopInstanceUid: op.sopInstanceUid }),
      },
      op.dataset,
    ),
  );
  const { command, dataset } = answer;
  return {
    ...toStatus(command),
    sopInstanceUid: command.affectedSopInstanceUid,
    eventTypeId: command.eventTypeId,
    actionTypeId: command.actionTypeId,
    dataset,
  };
}

function need(context: AcceptedContext | undefined, sopClassUid: string): AcceptedContext {
  if (!context) throw new UsageError(`no accepted presentation context for ${sopClassUid}`);
  return context;
}

/** Responses that may wait for the caller before the socket is held. */
const MAX_WAITING = 16;

/** Responses of C-FIND, C-GET and C-MOVE between the receiver and the caller's loop. */
class ResponseQueue implements Pending {
  private readonly answers: Answer[] = [];
  private wake?: () => void;
  private room?: () => void;
  private error?: Error;
  finished = false;
  discard = false;

  constructor(private readonly onFinished: () => void) {}

  response(command: CommandSet, dataset: Buffer | undefined): void | Promise<void> {
    if (statusKind(command.status!) !== 'pending') {
      this.finished = true;
      this.onFinished();
    }
    if (this.discard) return undefined;
    this.answers.push({ command, dataset });
    this.wake?.();
    if (this.answers.length < MAX_WAITING) return undefined;
    return new Promise((resolve) => (this.room = resolve));
  }

  failed(error: Error): void {
    this.error = error;
    this.wake?.();
    this.room?.();
  }

  /** Nobody reads on: what still comes is thrown away, so that the final response can be met. */
  drop(): void {
    this.discard = true;
    this.answers.length = 0;
    this.room?.();
  }

  async next(): Promise<Answer> {
    while (this.answers.length === 0) {
      if (this.error) throw this.error;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    const answer = this.answers.shift()!;
    this.room?.();
    this.room = undefined;
    return answer;
  }
}

/**
 * C-FIND, C-GET or C-MOVE. The last value yielded is the final response. The signal, or leaving the loop early, sends
 * a C-CANCEL; the responses until the final one are then drained in the background.
 */
export async function* invokeQuery(
  session: DimseSession,
  commandField: number,
  sopClassUid: string,
  identifier: Buffer,
  options: { moveDestination?: string; signal?: AbortSignal },
): AsyncGenerator<Answer, void, undefined> {
  const context = need(session.contextFor(sopClassUid, 'scuRole'), sopClassUid);
  options.signal?.throwIfAborted();
  let messageId = 0;
  const queue = new ResponseQueue(() => session.done(messageId));
  messageId = await session.begin(queue);
  let cancelled = false;
  const cancel = (): void => {
    if (cancelled || queue.finished || session.endError) return;
    cancelled = true;
    const command = {
      commandField: COMMAND.cancelRq,
      commandDataSetType: NO_DATA_SET,
      messageIdBeingRespondedTo: messageId,
    };
    try {
      void Promise.resolve(session.sender.message(context.id, command)).catch(() => undefined);
    } catch {
      // The association ended: there is nothing left to cancel.
    }
  };
  options.signal?.addEventListener('abort', cancel, { once: true });
  try {
    await session.sender.message(
      context.id,
      {
        commandField,
        commandDataSetType: WITH_DATA_SET,
        affectedSopClassUid: sopClassUid,
        messageId,
        priority: 0,
        moveDestination: options.moveDestination,
      },
      identifier,
    );
    if (options.signal?.aborted) cancel();
    for (;;) {
      const answer = await queue.next();
      yield answer;
      if (statusKind(answer.command.status!) !== 'pending') return;
    }
  } finally {
    options.signal?.removeEventListener('abort', cancel);
    queue.drop();
    cancel();
  }
}

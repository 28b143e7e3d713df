/** C-FIND, C-MOVE, C-GET and the N-services as SCP: runs the handler and sends its responses (PS3.7 9.1.2-9.1.4, 10). */
import type { DimseStatus, MoveRequest, NRequest, QueryRequest, RetrieveResponse, SubOperations } from '../api';
import { Status, statusKind } from '../status';
import { COMMAND, type CommandSet } from './command-set';
import { invokeStore } from './scu';
import type { Operation, ServiceProvider } from './scp';
import { statusOf } from './status-error';

/** Never throws: whatever the handler does becomes a status. */
export async function runOperation(scp: ServiceProvider, operation: Operation): Promise<void> {
  const { context, command, controller, started } = operation;
  const field = command.commandField;
  const query = field < COMMAND.eventReportRq;
  try {
    if (query && controller.signal.aborted) {
      await scp.finish(context, command, { status: Status.Cancel }, 0, started);
    } else if (field === COMMAND.findRq) await find(scp, operation);
    else if (query) await retrieve(scp, operation);
    else await nService(scp, operation);
  } catch (error) {
    const status = statusOf(error, query ? Status.UnableToProcess : Status.ProcessingFailure);
    await scp.finish(context, command, status, 0, started);
  }
}

function queryRequest(scp: ServiceProvider, operation: Operation): QueryRequest {
  const { context, command, dataset, controller } = operation;
  return {
    association: scp.session.info,
    context,
    messageId: command.messageId!,
    sopClassUid: command.affectedSopClassUid!,
    priority: command.priority ?? 0,
    identifier: dataset ?? Buffer.alloc(0),
    signal: controller.signal,
  };
}

async function find(scp: ServiceProvider, operation: Operation): Promise<void> {
  const { context, command, controller, started } = operation;
  const cancelled = (): boolean => controller.signal.aborted;
  let bytes = 0;
  let final: DimseStatus | undefined;
  for await (const response of scp.services.find!(queryRequest(scp, operation))) {
    if (scp.session.endError) return;
    if (statusKind(response.status) !== 'pending') {
      final = response;
      break;
    }
    // A match after the cancel is of no use to the peer.
    if (cancelled()) break;
    bytes += response.identifier?.length ?? 0;
    // Pulled only as fast as the peer takes them.
    await scp.respond(context, command, response, undefined, response.identifier);
  }
  final ??= { status: cancelled() ? Status.Cancel : Status.Success };
  await scp.finish(context, command, final, bytes, started);
}

/** PS3.4 C.4.2.1.5 and C.4.3.1.4: remaining sub-operations are told while pending and when cancelled. */
function counts(response: { status: number; counts: SubOperations }): Partial<CommandSet> {
  const { remaining, completed, failed, warning } = response.counts;
  const kind = statusKind(response.status);
  return { remaining: kind === 'pending' || kind === 'cancel' ? remaining : undefined, completed, failed, warning };
}

async function retrieve(scp: ServiceProvider, operation: Operation): Promise<void> {
  const { context, command, controller, started } = operation;
  let last: SubOperations = { remaining: 0, completed: 0, failed: 0, warning: 0 };
  for await (const response of start(scp, operation)) {
    if (scp.session.endError) return;
    last = response.counts;
    if (statusKind(response.status) === 'pending') {
      await scp.respond(context, command, response, counts(response));
      continue;
    }
    return scp.finish(context, command, response, 0, started, counts(response), response.identifier) ?? undefined;
  }
  // The handler ended without a last word.
  const status = controller.signal.aborted
    ? Status.Cancel
    : last.failed > 0
      ? Status.SubOperationsCompleteWithFailures
      : 0;
  await scp.finish(context, command, { status }, 0, started, counts({ status, counts: last }));
}

function start(scp: ServiceProvider, operation: Operation): AsyncIterable<RetrieveResponse> {
  const request = queryRequest(scp, operation);
  if (operation.command.commandField === COMMAND.moveRq) {
    const move: MoveRequest = { ...request, moveDestination: operation.command.moveDestination ?? '' };
    return scp.services.move!(move);
  }
  const { session } = scp;
  return scp.services.get!({
    ...request,
    storeContexts: [...session.contexts.values()].filter((context) => context.scpRole),
    store: (op) => invokeStore(session, op, 'scpRole'),
  });
}

async function nService(scp: ServiceProvider, operation: Operation): Promise<void> {
  const { context, command, dataset, started } = operation;
  const request: NRequest = {
    association: scp.session.info,
    context,
    messageId: command.messageId!,
    commandField: command.commandField,
    sopClassUid: (command.requestedSopClassUid ?? command.affectedSopClassUid)!,
    sopInstanceUid: command.requestedSopInstanceUid ?? command.affectedSopInstanceUid ?? '',
    eventTypeId: command.eventTypeId,
    actionTypeId: command.actionTypeId,
    attributeIdentifierList: command.attributeIdentifierList,
    dataset,
  };
  const response = await scp.services.nService!(request);
  const more: Partial<CommandSet> = { eventTypeId: response.eventTypeId, actionTypeId: response.actionTypeId };
  if (response.sopInstanceUid !== undefined) more.affectedSopInstanceUid = response.sopInstanceUid;
  await scp.finish(context, command, response, response.dataset?.length ?? 0, started, more, response.dataset);
}

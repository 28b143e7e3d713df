/** Serves the requests of the peer (PS3.7 sections 9 and 10) with the handlers of the application. */
import type { AcceptedContext, DimseHandlers, DimseObserver, DimseStatus, StoreRequest, StoreSink } from '../api';
import { Status } from '../status';
import { isUid, sopClassFits } from '../uids';
import { DRAIN, GatherTarget, type DataTarget } from './assembler';
import {
  COMMAND,
  NO_DATA_SET,
  RESPONSE_BIT,
  safeComment,
  serviceName,
  WITH_DATA_SET,
  type CommandSet,
} from './command-set';
import { runOperation } from './operations';
import type { DimseSession, RequestServer } from './session';
import { statusOf } from './status-error';
import { StoreTarget } from './store-target';

export type Services = Pick<DimseHandlers, 'echo' | 'store' | 'find' | 'move' | 'get' | 'nService'>;

/** One request that takes time: C-FIND, C-MOVE, C-GET or an N-service. */
export interface Operation {
  context: AcceptedContext;
  command: CommandSet;
  dataset: Buffer | undefined;
  controller: AbortController;
  started: number;
}

/** Requests that wait behind the one in work; more are refused. Peers may send them within their window only. */
const MAX_QUEUED = 16;

const QUERIES: readonly number[] = [COMMAND.findRq, COMMAND.moveRq, COMMAND.getRq];

export class ServiceProvider implements RequestServer {
  private readonly operations = new Map<number, Operation>();
  private readonly queue: Operation[] = [];
  private running = false;

  constructor(
    readonly session: DimseSession,
    readonly services: Services,
    /** We accepted the association; else we requested it. */
    private readonly acceptor: boolean,
    private readonly observer?: DimseObserver,
  ) {}

  get busy(): boolean {
    return this.running;
  }

  request(context: AcceptedContext, command: CommandSet): DataTarget | undefined | Promise<DataTarget | undefined> {
    const started = performance.now();
    const refusal = this.refusal(context, command);
    if (refusal) return this.refuse(context, command, refusal, started);
    switch (command.commandField) {
      case COMMAND.echoRq:
        return this.echo(context, command, started);
      case COMMAND.storeRq:
        return this.store(context, command, started);
      default:
        return this.operation(context, command, started);
    }
  }

  /** Why the request is not served, judged by the command alone (PS3.7 annex C). */
  private refusal(context: AcceptedContext, command: CommandSet): DimseStatus | undefined {
    const field = command.commandField;
    const query = QUERIES.includes(field);
    if (!this.handlerOf(field)) return { status: Status.UnrecognizedOperation };
    if (this.operations.has(command.messageId!)) return { status: Status.DuplicateInvocation };
    const composite = query || field === COMMAND.storeRq || field === COMMAND.echoRq;
    const sopClass = command.affectedSopClassUid ?? command.requestedSopClassUid;
    if (!sopClass) return { status: Status.InvalidArgumentValue, offendingElements: [composite ? 0x2 : 0x3] };
    if (!sopClassFits(sopClass, context.abstractSyntax) || !this.roleFits(context, field)) {
      return composite
        ? { status: Status.SopClassNotSupported, offendingElements: [0x2] }
        : { status: Status.NoSuchSopClass, offendingElements: [0x3] };
    }
    const hasData = command.commandDataSetType !== NO_DATA_SET;
    if (field === COMMAND.storeRq) {
      // PS3.4 table B.2-1: C000 cannot understand; PS3.7 9.1.1.1.9: 0117 invalid SOP Instance.
      if (!isUid(command.affectedSopInstanceUid)) {
        return { status: Status.InvalidObjectInstance, offendingElements: [0x1000] };
      }
      if (!hasData) return { status: Status.CannotUnderstand, errorComment: 'Data set missing' };
    }
    if (query && !hasData) return { status: Status.UnableToProcess, errorComment: 'Identifier missing' };
    return undefined;
  }

  private handlerOf(field: number): unknown {
    const { echo, store, find, move, get, nService } = this.services;
    switch (field) {
      case COMMAND.echoRq:
        return echo ?? true;
      case COMMAND.storeRq:
        return store;
      case COMMAND.findRq:
        return find;
      case COMMAND.moveRq:
        return move;
      case COMMAND.getRq:
        return get;
      default:
        return serviceName(field).startsWith('N-') ? nService : undefined;
    }
  }

  /** Roles are told from the association's requestor (PS3.7 D.3.3.4); N-EVENT-REPORT goes from SCP to SCU. */
  private roleFits(context: AcceptedContext, field: number): boolean {
    const peerIsScu = field !== COMMAND.eventReportRq;
    return this.acceptor === peerIsScu ? context.scuRole : context.scpRole;
  }

  /** Drains the data set, if there is one, and answers. */
  refuse(
    context: AcceptedContext,
    command: CommandSet,
    status: DimseStatus,
    started: number,
  ): DataTarget | undefined | Promise<undefined> {
    const answer = (): void | Promise<void> => this.finish(context, command, status, 0, started);
    if (command.commandDataSetType !== NO_DATA_SET) return { ...DRAIN, end: answer };
    const wait = answer();
    return wait ? wait.then(() => undefined) : undefined;
  }

  private echo(
    context: AcceptedContext,
    command: CommandSet,
    started: number,
  ): DataTarget | undefined | Promise<DataTarget | undefined> {
    const handler = this.services.echo;
    if (!handler) return this.refuse(context, command, { status: Status.Success }, started);
    return this.echoWith(handler, context, command, started);
  }

  private async echoWith(
    handler: NonNullable<Services['echo']>,
    context: AcceptedContext,
    command: CommandSet,
    started: number,
  ): Promise<DataTarget | undefined> {
    let status: DimseStatus;
    try {
      status = await handler(this.session.info);
    } catch (error) {
      status = statusOf(error, Status.ProcessingFailure);
    }
    return this.refuse(context, command, status, started);
  }

  private store(
    context: AcceptedContext,
    command: CommandSet,
    started: number,
  ): DataTarget | undefined | Promise<DataTarget | undefined> {
    const request: StoreRequest = {
      association: this.session.info,
      context,
      messageId: command.messageId!,
      sopClassUid: command.affectedSopClassUid!,
      sopInstanceUid: command.affectedSopInstanceUid!,
      priority: command.priority ?? 0,
      moveOriginatorAeTitle: command.moveOriginatorAeTitle,
      moveOriginatorMessageId: command.moveOriginatorMessageId,
    };
    const target = (sink: StoreSink): DataTarget => {
      const ended = this.session.endError;
      const made = new StoreTarget(sink, (status, bytes) => this.finish(context, command, status, bytes, started));
      if (ended) made.abort(ended);
      return made;
    };
    const failed = (error: unknown): DataTarget | undefined | Promise<undefined> =>
      this.refuse(context, command, statusOf(error, Status.ProcessingFailure), started);
    try {
      const sink = this.services.store!(request);
      return sink instanceof Promise ? sink.then(target, failed) : target(sink);
    } catch (error) {
      return failed(error);
    }
  }

  private operation(context: AcceptedContext, command: CommandSet, started: number): DataTarget | undefined {
    const enqueue = (dataset: Buffer | undefined): void | Promise<void> => {
      if (this.queue.length >= MAX_QUEUED) {
        const status =
          command.commandField >= COMMAND.eventReportRq ? Status.ResourceLimitation : Status.OutOfResources;
        return this.finish(context, command, { status }, 0, started);
      }
      const operation = { context, command, dataset, controller: new AbortController(), started };
      this.operations.set(command.messageId!, operation);
      this.queue.push(operation);
      if (!this.running) void this.runQueue();
    };
    if (command.commandDataSetType === NO_DATA_SET) {
      void enqueue(undefined);
      return undefined;
    }
    return new GatherTarget(this.session.maxIdentifierBytes, (dataset) => {
      if (dataset) return enqueue(dataset);
      const query = QUERIES.includes(command.commandField);
      const status = query ? Status.UnableToProcess : Status.ResourceLimitation;
      return this.finish(context, command, { status, errorComment: 'Data set too long' }, 0, started);
    });
  }

  /** One after the other: responses keep the order of the requests. */
  private async runQueue(): Promise<void> {
    this.running = true;
    for (let next = this.queue.shift(); next; next = this.queue.shift()) {
      if (!this.session.endError) await runOperation(this, next);
      this.forget(next.command);
    }
    this.running = false;
  }

  /** The Message ID is free again with the final response (PS3.7 9.3.1.1), though the handler may still clean up. */
  private forget(command: CommandSet): void {
    if (this.operations.get(command.messageId!)?.command === command) this.operations.delete(command.messageId!);
  }

  cancel(messageId: number): void {
    this.operations.get(messageId)?.controller.abort();
  }

  ended(error: Error): void {
    for (const operation of this.operations.values()) operation.controller.abort(error);
  }

  /** Sends one response. Nothing happens when the association is over. */
  respond(
    context: AcceptedContext,
    request: CommandSet,
    status: DimseStatus,
    more: Partial<CommandSet> = {},
    dataset?: Buffer,
  ): void | Promise<void> {
    if (this.session.endError) return undefined;
    const command: CommandSet = {
      commandField: request.commandField | RESPONSE_BIT,
      commandDataSetType: dataset ? WITH_DATA_SET : NO_DATA_SET,
      affectedSopClassUid: request.affectedSopClassUid ?? request.requestedSopClassUid,
      messageIdBeingRespondedTo: request.messageId,
      affectedSopInstanceUid: request.affectedSopInstanceUid ?? request.requestedSopInstanceUid,
      status: status.status,
      errorComment: status.errorComment === undefined ? undefined : safeComment(status.errorComment),
      offendingElements: status.offendingElements?.length ? status.offendingElements.slice(0, 64) : undefined,
      ...more,
    };
    try {
      return this.session.sender.message(context.id, command, dataset)?.catch(() => undefined);
    } catch {
      // The association ended just now; ended() tells everyone who has to know.
      return undefined;
    }
  }

  /** The last response of a request, with its line for the observer. */
  finish(
    context: AcceptedContext,
    request: CommandSet,
    status: DimseStatus,
    bytes: number,
    started: number,
    more?: Partial<CommandSet>,
    dataset?: Buffer,
  ): void | Promise<void> {
    this.forget(request);
    const wait = this.respond(context, request, status, more, dataset);
    this.observer?.message?.({
      service: serviceName(request.commandField),
      status: status.status,
      bytes,
      ms: performance.now() - started,
      callingAeTitle: this.session.info.request.callingAeTitle,
    });
    return wait;
  }
}

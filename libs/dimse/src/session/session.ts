/**
 * DIMSE on one established association, either role (PS3.7 section 8): dispatches requests to the services, responses
 * to those who wait for them, and ends everything when the association ends.
 */
import type { AcceptedContext, AssociationInfo } from '../api';
import { ProtocolError, type DimseError } from '../errors';
import { ABORT_REASON } from '../reasons';
import type { EndKind, UpperLayer } from '../transport/upper-layer';
import { GatherTarget, MessageAssembler, type DataTarget, type MessageHandler } from './assembler';
import { COMMAND, NO_DATA_SET, RESPONSE_BIT, type CommandSet } from './command-set';
import { MessageSender } from './sender';

/** Waits for the response or responses of one request of ours. */
export interface Pending {
  /** May return a promise: the receiver waits, which holds the socket. */
  response(command: CommandSet, dataset: Buffer | undefined): void | Promise<void>;
  failed(error: Error): void;
}

/** Serves the peer's requests. */
export interface RequestServer {
  request(context: AcceptedContext, command: CommandSet): DataTarget | undefined | Promise<DataTarget | undefined>;
  cancel(messageId: number): void;
  /** Requests are being served. */
  readonly busy: boolean;
  ended(error: Error): void;
}

export interface SessionOptions {
  layer: UpperLayer;
  contexts: AcceptedContext[];
  peerMaxPduLength: number;
  maxCommandBytes: number;
  maxIdentifierBytes: number;
  /** Requests of ours that may wait for a response at a time (PS3.7 D.3.3.3). */
  window: number;
  info: AssociationInfo;
}

export class DimseSession implements MessageHandler {
  readonly sender: MessageSender;
  readonly contexts = new Map<number, AcceptedContext>();
  readonly layer: UpperLayer;
  readonly info: AssociationInfo;
  readonly maxIdentifierBytes: number;
  endError?: Error;
  server?: RequestServer;
  private readonly assembler: MessageAssembler;
  private readonly pending = new Map<number, Pending>();
  private readonly waiting: { go: () => void; fail: (error: Error) => void }[] = [];
  private inFlight = 0;
  private nextMessageId = 1;
  private readonly window: number;

  constructor(options: SessionOptions) {
    this.layer = options.layer;
    this.info = options.info;
    this.window = options.window;
    this.maxIdentifierBytes = options.maxIdentifierBytes;
    for (const context of options.contexts) this.contexts.set(context.id, context);
    this.sender = new MessageSender(options.layer, options.peerMaxPduLength);
    this.assembler = new MessageAssembler(this, options.maxCommandBytes);
  }

  fragment(contextId: number, flags: number, data: Buffer, end: boolean): void | Promise<void> {
    return this.assembler.fragment(contextId, flags, data, end);
  }

  hasContext(contextId: number): boolean {
    return this.contexts.has(contextId);
  }

  /** It is the peer's turn: nothing of its requests is being worked on, or we wait for a response of its. */
  get waitingForPeer(): boolean {
    if (this.sender.streaming) return false;
    return this.pending.size > 0 || (!this.server?.busy && !this.handling);
  }
  get pendingCount(): number {
    return this.pending.size;
  }
  private get handling(): boolean {
    return this.assembler.handlingRequest;
  }
  /** No message is in work in either direction. */
  get idle(): boolean {
    return this.assembler.idle && this.pending.size === 0 && !this.server?.busy;
  }

  onCommand(contextId: number, command: CommandSet): DataTarget | undefined | Promise<DataTarget | undefined> {
    if (command.commandField & RESPONSE_BIT) return this.onResponse(command);
    if (command.commandField === COMMAND.cancelRq) {
      this.server?.cancel(command.messageIdBeingRespondedTo ?? -1);
      return undefined;
    }
    // A request that cannot be answered because it has no message ID (PS3.7 9.3.1.1: mandatory).
    if (command.messageId === undefined) {
      throw new ProtocolError('request without MessageID', ABORT_REASON.invalidParameter);
    }
    if (!this.server) throw new ProtocolError('request before the services are ready', ABORT_REASON.notSpecified);
    return this.server.request(this.contexts.get(contextId)!, command);
  }

  private onResponse(command: CommandSet): DataTarget | undefined | Promise<DataTarget | undefined> {
    const pending = this.pending.get(command.messageIdBeingRespondedTo ?? -1);
    if (command.status === undefined) throw new ProtocolError('response without status', ABORT_REASON.invalidParameter);
    // A late response to what we gave up: of no use, and no harm.
    if (!pending) return undefined;
    if (command.commandDataSetType !== NO_DATA_SET) {
      return new GatherTarget(this.maxIdentifierBytes, (dataset) => {
        if (!dataset) throw new ProtocolError('identifier in a response too long', ABORT_REASON.notSpecified);
        return pending.response(command, dataset);
      });
    }
    const wait = pending.response(command, undefined);
    return wait ? wait.then(() => undefined) : undefined;
  }

  /** Waits for room in the operations window; then the caller owns a message ID until done(). */
  async begin(pending: Pending): Promise<number> {
    if (this.endError) throw this.endError;
    if (this.inFlight >= this.window) {
      await new Promise<void>((go, fail) => this.waiting.push({ go, fail }));
    } else this.inFlight++;
    while (this.pending.has(this.nextMessageId)) this.step();
    const messageId = this.nextMessageId;
    this.step();
    this.pending.set(messageId, pending);
    return messageId;
  }

  private step(): void {
    this.nextMessageId = this.nextMessageId >= 0xffff ? 1 : this.nextMessageId + 1;
  }

  done(messageId: number): void {
    if (!this.pending.delete(messageId)) return;
    const next = this.waiting.shift();
    // The place in the window is handed over.
    if (next) next.go();
    else this.inFlight--;
  }

  /** The context for a SOP class on which we may act in the given role; undefined if none was accepted. */
  contextFor(sopClassUid: string, role: 'scuRole' | 'scpRole', contextId?: number): AcceptedContext | undefined {
    if (contextId !== undefined) return this.contexts.get(contextId);
    for (const context of this.contexts.values()) {
      if (context.abstractSyntax === sopClassUid && context[role]) return context;
    }
    return undefined;
  }

  /** The association is over. */
  ended(_how: EndKind, error: DimseError): void {
    if (this.endError) return;
    this.endError = error;
    this.assembler.close(error);
    this.server?.ended(error);
    for (const waiter of this.waiting.splice(0)) waiter.fail(error);
    const pending = [...this.pending.values()];
    this.pending.clear();
    for (const one of pending) one.failed(error);
  }
}

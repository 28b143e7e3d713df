/** Associations that we request (PS3.7, PS3.8), with every DIMSE service as SCU, and C-STORE as SCP for C-GET. */
import { randomUUID } from 'node:crypto';
import { connect as connectTls } from 'node:tls';
import type {
  AcceptedContext,
  AnySocket,
  AssociateRequest,
  AssociationInfo,
  AssociationOptions,
  ClientAssociation,
  DimseStatus,
  FindResponse,
  NegotiatedAssociation,
  NOperation,
  NResponse,
  ProposedContext,
  RetrieveResponse,
  StoreOperation,
} from './api';
import { AssociationAbortedError, ConnectionError, TimeoutError, UsageError, type DimseError } from './errors';
import { DEFAULT_LIMITS } from './limits';
import { acceptedContexts, windowSize } from './negotiation';
import { encodeAssociateRq } from './pdu/encode';
import type { AssociateAcPdu, AssociateRqPdu } from './pdu/types';
import { COMMAND } from './session/command-set';
import { ServiceProvider } from './session/scp';
import { invokeEcho, invokeNService, invokeQuery, invokeStore, toStatus } from './session/scu';
import { DimseSession } from './session/session';
import { connectWithReadBuffers } from './transport/read-buffers';
import { UpperLayer, type EndKind, type UpperLayerUser } from './transport/upper-layer';
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, UID } from './uids';

/** A presentation context ID is an odd byte (PS3.8 9.3.2.2). */
const MAX_CONTEXTS = 128;

function requestPdu(options: AssociationOptions, contexts: ProposedContext[]): AssociateRqPdu {
  return {
    protocolVersion: 1,
    calledAeTitle: options.calledAeTitle,
    callingAeTitle: options.callingAeTitle,
    applicationContext: UID.applicationContext,
    contexts,
    user: {
      maxPduLength: options.maxPduLength ?? DEFAULT_LIMITS.maxPduLength,
      implementationClassUid: options.implementationClassUid ?? IMPLEMENTATION_CLASS_UID,
      implementationVersionName: options.implementationVersionName ?? IMPLEMENTATION_VERSION_NAME,
      asyncOps: options.asyncOps,
      roles: options.roles ?? [],
      extended: options.extended ?? [],
      commonExtended: options.commonExtended ?? [],
      userIdentity: options.userIdentity,
    },
  };
}

class Association implements ClientAssociation, UpperLayerUser {
  contexts: AcceptedContext[] = [];
  rejectedContexts: { id: number; abstractSyntax: string; result: number }[] = [];
  negotiated!: NegotiatedAssociation;
  readonly closed: Promise<Error | undefined>;
  private settleClosed!: (error: Error | undefined) => void;
  private readonly layer: UpperLayer;
  private readonly request: AssociateRqPdu;
  private session?: DimseSession;
  private releasing = false;
  private established!: { resolve: (a: ClientAssociation) => void; reject: (e: Error) => void };

  constructor(private readonly options: AssociationOptions) {
    if (options.contexts.length === 0 || options.contexts.length > MAX_CONTEXTS) {
      throw new UsageError(`between 1 and ${MAX_CONTEXTS} presentation contexts can be proposed`);
    }
    const proposed = options.contexts.map((context, index) => ({ id: index * 2 + 1, ...context }));
    this.request = requestPdu(options, proposed);
    this.closed = new Promise((resolve) => (this.settleClosed = resolve));
    this.layer = new UpperLayer(
      true,
      {
        artimMs: DEFAULT_LIMITS.artimMs,
        idleTimeoutMs: options.responseTimeoutMs ?? DEFAULT_LIMITS.idleTimeoutMs,
        writeTimeoutMs: options.writeTimeoutMs ?? DEFAULT_LIMITS.writeTimeoutMs,
        maxPduLength: options.maxPduLength ?? DEFAULT_LIMITS.maxPduLength,
        maxAssociateBytes: DEFAULT_LIMITS.maxAssociateBytes,
      },
      this,
      {
        open: () => this.open(),
        openEvent: options.tls ? 'secureConnect' : 'connect',
        associateRq: encodeAssociateRq(this.request),
      },
    );
  }

  private open(): AnySocket {
    const { host, port, tls } = this.options;
    return tls
      ? connectTls({ minVersion: 'TLSv1.2', ...tls, host, port })
      : connectWithReadBuffers({ host, port, noDelay: true });
  }

  async start(): Promise<ClientAssociation> {
    const { signal } = this.options;
    signal?.throwIfAborted();
    const limit = this.options.connectTimeoutMs ?? 10_000;
    const onAbort = (): void => this.giveUp(new AssociationAbortedError(0, 0, 'aborted here'));
    const timer = setTimeout(() => this.giveUp(new TimeoutError(`no association within ${limit} ms`)), limit);
    try {
      return await new Promise<ClientAssociation>((resolve, reject) => {
        this.established = { resolve, reject };
        signal?.addEventListener('abort', onAbort, { once: true });
        void this.closed.then(() => signal?.removeEventListener('abort', onAbort));
        this.layer.connect();
      });
    } finally {
      clearTimeout(timer);
    }
  }

  private giveUp(error: DimseError): void {
    if (this.layer.state === 'Sta6') this.layer.abort(error);
    else this.layer.destroy(error);
  }

  // ---- upper layer --------------------------------------------------------------------------------------------

  associateConfirm(accept: AssociateAcPdu): void {
    const results = accept.contexts;
    this.negotiated = { ...accept.user };
    this.contexts = acceptedContexts(this.request.contexts, results, accept.user.roles);
    this.rejectedContexts = this.request.contexts.flatMap(({ id, abstractSyntax }) => {
      const result = results.find((candidate) => candidate.id === id)?.result ?? 2;
      return result === 0 ? [] : [{ id, abstractSyntax, result }];
    });
    const session = new DimseSession({
      layer: this.layer,
      contexts: this.contexts,
      peerMaxPduLength: accept.user.maxPduLength,
      maxCommandBytes: DEFAULT_LIMITS.maxCommandBytes,
      maxIdentifierBytes: this.options.maxIdentifierBytes ?? DEFAULT_LIMITS.maxIdentifierBytes,
      window: this.options.asyncOps ? windowSize(accept.user.asyncOps?.invoked) : 1,
      info: this.info(),
    });
    const { onStore, onNService } = this.options;
    session.server = new ServiceProvider(session, { store: onStore, nService: onNService }, false);
    this.session = session;
    this.established.resolve(this);
  }

  private info(): AssociationInfo {
    const { user, ...rest } = this.request;
    const { socket } = this.layer;
    const request: AssociateRequest = {
      ...rest,
      ...user,
      remoteAddress: socket.remoteAddress ?? '',
      remotePort: socket.remotePort ?? 0,
    };
    const invoke = (operation: NOperation): Promise<NResponse> => this.nService(operation);
    return { id: randomUUID(), request, contexts: this.contexts, data: undefined, invoke, abort: () => this.abort() };
  }

  fragment(contextId: number, flags: number, data: Buffer, end: boolean): void | Promise<void> {
    return this.session!.fragment(contextId, flags, data, end);
  }

  releaseIndication(): void {
    this.layer.releaseResponse();
  }

  waitingForPeer(): boolean {
    return (
      this.releasing || (this.session !== undefined && this.session.pendingCount > 0 && !this.session.sender.streaming)
    );
  }

  ended(how: EndKind, error?: DimseError): void {
    this.session?.ended(how, error ?? new ConnectionError('association released'));
    this.established.reject(error ?? new ConnectionError('association released'));
    this.settleClosed(error);
  }

  // ---- services -----------------------------------------------------------------------------------------------

  private get live(): DimseSession {
    return this.session!;
  }

  echo(): Promise<DimseStatus> {
    return invokeEcho(this.live, UID.verification);
  }

  store(op: StoreOperation): Promise<DimseStatus> {
    return invokeStore(this.live, op, 'scuRole');
  }

  nService(op: NOperation): Promise<NResponse> {
    // The requestor sends events where it is SCP, everything else where it is SCU.
    return invokeNService(this.live, op, op.commandField === COMMAND.eventReportRq ? 'scpRole' : 'scuRole');
  }

  async *find(sopClassUid: string, identifier: Buffer, signal?: AbortSignal): AsyncGenerator<FindResponse> {
    for await (const answer of invokeQuery(this.live, COMMAND.findRq, sopClassUid, identifier, { signal })) {
      yield { ...toStatus(answer.command), identifier: answer.dataset };
    }
  }

  get(sopClassUid: string, identifier: Buffer, signal?: AbortSignal): AsyncGenerator<RetrieveResponse> {
    return this.retrieve(COMMAND.getRq, sopClassUid, identifier, { signal });
  }

  move(
    sopClassUid: string,
    identifier: Buffer,
    destination: string,
    signal?: AbortSignal,
  ): AsyncGenerator<RetrieveResponse> {
    return this.retrieve(COMMAND.moveRq, sopClassUid, identifier, { signal, moveDestination: destination });
  }

  private async *retrieve(
    field: number,
    sopClassUid: string,
    identifier: Buffer,
    options: { moveDestination?: string; signal?: AbortSignal },
  ): AsyncGenerator<RetrieveResponse> {
    for await (const { command, dataset } of invokeQuery(this.live, field, sopClassUid, identifier, options)) {
      const { remaining = 0, completed = 0, failed = 0, warning = 0 } = command;
      yield { ...toStatus(command), counts: { remaining, completed, failed, warning }, identifier: dataset };
    }
  }

  /** A-RELEASE. Resolves when the peer confirmed, or ended the association otherwise. */
  async release(): Promise<void> {
    this.releasing = true;
    if (!this.layer.release()) return;
    await this.closed;
  }

  abort(): void {
    this.layer.abort(new AssociationAbortedError(0, 0, 'aborted here'));
  }
}

/**
 * Opens an association. Throws AssociationRejectedError, AssociationAbortedError, ConnectionError, TimeoutError, or
 * UsageError for what could not be sent at all.
 */
export async function connect(options: AssociationOptions): Promise<ClientAssociation> {
  return new Association(options).start();
}

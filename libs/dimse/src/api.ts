/**
 * Public shapes of the upper layer and the DIMSE services (PS3.7, PS3.8). Everything streams: a sink's write() may
 * return a promise, and the socket is not read again before it settles; a source is pulled as the socket drains.
 */
import type { TLSSocket, TlsOptions, ConnectionOptions } from 'node:tls';
import type { Socket } from 'node:net';

export interface ProposedContext {
  id: number;
  abstractSyntax: string;
  transferSyntaxes: string[];
}
/** PS3.8 9.3.3.2: result 0 acceptance, 1 user rejection, 2 no reason, 3 abstract syntax, 4 transfer syntaxes. */
export interface ContextResult {
  id: number;
  result: 0 | 1 | 2 | 3 | 4;
  transferSyntax: string;
}
export interface AcceptedContext {
  id: number;
  abstractSyntax: string;
  transferSyntax: string;
  /** Roles after SCP/SCU role selection (PS3.7 D.3.3.4), seen from the association requestor. */
  scuRole: boolean;
  scpRole: boolean;
}
export interface RoleSelection {
  sopClassUid: string;
  scuRole: boolean;
  scpRole: boolean;
}
export interface ExtendedNegotiation {
  sopClassUid: string;
  info: Buffer;
}
/** PS3.7 D.3.3.7: 1 user name, 2 user name and passcode, 3 Kerberos, 4 SAML, 5 JWT. */
export interface UserIdentity {
  type: number;
  responseRequested: boolean;
  primary: Buffer;
  secondary: Buffer;
}

/** PS3.7 D.3.3.6: SOP class common extended negotiation. */
export interface CommonExtendedNegotiation {
  sopClassUid: string;
  serviceClassUid: string;
  relatedGeneralSopClassUids: string[];
}

export interface AssociateRequest {
  calledAeTitle: string;
  callingAeTitle: string;
  applicationContext: string;
  contexts: ProposedContext[];
  maxPduLength: number;
  implementationClassUid: string;
  implementationVersionName: string;
  asyncOps?: { invoked: number; performed: number };
  roles: RoleSelection[];
  extended: ExtendedNegotiation[];
  commonExtended?: CommonExtendedNegotiation[];
  userIdentity?: UserIdentity;
  remoteAddress: string;
  remotePort: number;
  tls?: { authorized: boolean; peerCertificateSubject?: string; fingerprint256?: string };
}
/** PS3.8 9.3.4: result 1 permanent, 2 transient; source 1 user, 2 ACSE, 3 presentation. */
export type AssociateDecision =
  | {
      accept: true;
      contexts: ContextResult[];
      roles?: RoleSelection[];
      extended?: ExtendedNegotiation[];
      userIdentityResponse?: Buffer;
      idleTimeoutMs?: number;
      asyncOps?: { invoked: number; performed: number };
    }
  | { accept: false; result: 1 | 2; source: 1 | 2 | 3; reason: number };

/** Status of a DIMSE response with the optional elements of PS3.7 annex C. */
export interface DimseStatus {
  status: number;
  /** (0000,0902), at most 64 characters; longer is cut. */
  errorComment?: string;
  /** (0000,0901) */
  offendingElements?: number[];
}

export interface StoreRequest {
  readonly association: AssociationInfo;
  readonly context: AcceptedContext;
  readonly messageId: number;
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly priority: number;
  readonly moveOriginatorAeTitle?: string;
  readonly moveOriginatorMessageId?: number;
}
/**
 * Receives one dataset. Exactly one of end() or abort() is called, once, when no write is pending (but for a write that
 * has not settled 5 s after the association's end). A sink that throws or rejects is aborted (in write) and the peer
 * gets the failure status (StatusError: its own; else 0110) once the rest of the data set is drained.
 */
export interface StoreSink {
  /** Chunk views into the receive buffer: valid only until the returned promise settles (or until return, if none). */
  write(chunk: Buffer): void | Promise<void>;
  end(): Promise<DimseStatus>;
  /** The association ended in the middle of the dataset. */
  abort(reason: Error): void;
}

export interface FindResponse extends DimseStatus {
  identifier?: Buffer;
}
export interface SubOperations {
  remaining: number;
  completed: number;
  failed: number;
  warning: number;
}
export interface RetrieveResponse extends DimseStatus {
  counts: SubOperations;
  identifier?: Buffer;
}

export interface QueryRequest {
  readonly association: AssociationInfo;
  readonly context: AcceptedContext;
  readonly messageId: number;
  readonly sopClassUid: string;
  readonly priority: number;
  /** Identifier bytes in the context's transfer syntax; at most ServerLimits.maxIdentifierBytes. */
  readonly identifier: Buffer;
  /** Aborted by C-CANCEL and by the end of the association. */
  readonly signal: AbortSignal;
}
export interface MoveRequest extends QueryRequest {
  readonly moveDestination: string;
}
export interface GetRequest extends QueryRequest {
  /** Contexts on which the requestor takes the SCP role: where C-STORE sub-operations may go. */
  readonly storeContexts: AcceptedContext[];
  /** Sends one C-STORE-RQ on this association and waits for its response. Resolves with the peer's status. */
  store(op: StoreOperation): Promise<DimseStatus>;
}
/**
 * One dataset to send. `body` yields the dataset bytes in the context's transfer syntax; exactly `length` of them if
 * given. What it yields is sent as it is, without a copy, and read one piece ahead: the pieces must stay valid and
 * unchanged until store() settles. A body that fails after its first piece left aborts the association.
 */
export interface StoreOperation {
  contextId: number;
  sopClassUid: string;
  sopInstanceUid: string;
  priority?: number;
  moveOriginatorAeTitle?: string;
  moveOriginatorMessageId?: number;
  body: AsyncIterable<Buffer> | Iterable<Buffer>;
  length?: number;
}

export interface AssociationInfo {
  readonly id: string;
  readonly request: AssociateRequest;
  readonly contexts: AcceptedContext[];
  /** Anything the onAssociate handler wants to find again (peer, principal). */
  data: unknown;
  /** Invokes an N-service on the peer over this association, e.g. N-EVENT-REPORT to its requestor. */
  invoke(operation: NOperation): Promise<NResponse>;
  /** Aborts the association (A-ABORT, service user). */
  abort(): void;
}

/** An N-service to invoke. `commandField` is the request's (COMMAND.nCreateRq, ...). */
export interface NOperation {
  /** Needed when the SOP class was accepted on several contexts, or its abstract syntax is a meta SOP class. */
  contextId?: number;
  commandField: number;
  sopClassUid: string;
  sopInstanceUid?: string;
  eventTypeId?: number;
  actionTypeId?: number;
  attributeIdentifierList?: number[];
  /** In the context's transfer syntax. */
  dataset?: Buffer;
}

/** N-service request (N-EVENT-REPORT, N-GET, N-SET, N-ACTION, N-CREATE, N-DELETE), for MPPS and commitment later. */
export interface NRequest {
  readonly association: AssociationInfo;
  readonly context: AcceptedContext;
  readonly messageId: number;
  readonly commandField: number;
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly eventTypeId?: number;
  readonly actionTypeId?: number;
  readonly attributeIdentifierList?: number[];
  readonly dataset?: Buffer;
}
export interface NResponse extends DimseStatus {
  sopInstanceUid?: string;
  dataset?: Buffer;
  eventTypeId?: number;
  actionTypeId?: number;
}

/** The services of one server. A missing handler answers 0x0211 (unrecognised operation). */
export interface DimseHandlers {
  associate(request: AssociateRequest, info: AssociationInfo): AssociateDecision | Promise<AssociateDecision>;
  released?(info: AssociationInfo, how: 'released' | 'aborted' | 'lost', detail?: string): void;
  echo?(info: AssociationInfo): DimseStatus | Promise<DimseStatus>;
  store?(request: StoreRequest): StoreSink | Promise<StoreSink>;
  /** Each yielded value is one response; the last must not be pending. */
  find?(request: QueryRequest): AsyncIterable<FindResponse>;
  move?(request: MoveRequest): AsyncIterable<RetrieveResponse>;
  get?(request: GetRequest): AsyncIterable<RetrieveResponse>;
  nService?(request: NRequest): Promise<NResponse>;
}

export interface ServerLimits {
  /** Largest P-DATA-TF that we say we take (default 256 KiB) */
  maxPduLength?: number;
  /** Largest A-ASSOCIATE-RQ body (default 1 MiB); larger is aborted. */
  maxAssociateBytes?: number;
  maxCommandBytes?: number;
  maxIdentifierBytes?: number;
  /** Connections that have not associated yet: their ARTIM time (default 10 s) and count (default 100, oldest dropped). */
  artimMs?: number;
  maxUnassociated?: number;
  maxAssociations?: number;
  /** No byte from the peer for so long while we wait for it (default 60 s) */
  idleTimeoutMs?: number;
  /** A response of ours that the peer does not take for so long (default 60 s) */
  writeTimeoutMs?: number;
}
export interface DimseServerOptions {
  host: string;
  port: number;
  tls?: TlsOptions;
  limits?: ServerLimits;
  handlers: DimseHandlers;
  implementationClassUid?: string;
  implementationVersionName?: string;
  /** Counters and one line per event, without patient data. */
  observer?: DimseObserver;
}
export interface DimseObserver {
  connection?(
    event: 'opened' | 'closed' | 'http' | 'garbage' | 'artim' | 'overflow',
    detail: { remoteAddress: string; message?: string },
  ): void;
  message?(event: { service: string; status: number; bytes: number; ms: number; callingAeTitle: string }): void;
}

export interface AssociationOptions {
  host: string;
  port: number;
  calledAeTitle: string;
  callingAeTitle: string;
  contexts: { abstractSyntax: string; transferSyntaxes: string[] }[];
  roles?: RoleSelection[];
  extended?: ExtendedNegotiation[];
  userIdentity?: UserIdentity;
  asyncOps?: { invoked: number; performed: number };
  maxPduLength?: number;
  tls?: ConnectionOptions;
  connectTimeoutMs?: number;
  responseTimeoutMs?: number;
  /** No byte that we send is taken for so long (default 60 s). */
  writeTimeoutMs?: number;
  /** Largest identifier that we take in one response (default 1 MiB). */
  maxIdentifierBytes?: number;
  commonExtended?: CommonExtendedNegotiation[];
  implementationClassUid?: string;
  implementationVersionName?: string;
  /** N-services that the acceptor invokes on us (N-EVENT-REPORT). */
  onNService?(request: NRequest): Promise<NResponse>;
  /** SCP side of C-GET: receives the sub-operations. */
  onStore?(request: StoreRequest): StoreSink | Promise<StoreSink>;
  signal?: AbortSignal;
}
/** What the acceptor answered (PS3.8 9.3.3, PS3.7 annex D.3). */
export interface NegotiatedAssociation {
  maxPduLength: number;
  implementationClassUid: string;
  implementationVersionName: string;
  asyncOps?: { invoked: number; performed: number };
  roles: RoleSelection[];
  extended: ExtendedNegotiation[];
  userIdentityResponse?: Buffer;
}
export interface ClientAssociation {
  readonly negotiated: NegotiatedAssociation;
  /** Settles when the association is over: undefined after a release, else the error. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  nService(operation: NOperation): Promise<NResponse>;
  readonly contexts: AcceptedContext[];
  readonly rejectedContexts: { id: number; abstractSyntax: string; result: number }[];
  echo(): Promise<DimseStatus>;
  store(op: StoreOperation): Promise<DimseStatus>;
  find(sopClassUid: string, identifier: Buffer, signal?: AbortSignal): AsyncIterable<FindResponse>;
  get(sopClassUid: string, identifier: Buffer, signal?: AbortSignal): AsyncIterable<RetrieveResponse>;
  move(
    sopClassUid: string,
    identifier: Buffer,
    destination: string,
    signal?: AbortSignal,
  ): AsyncIterable<RetrieveResponse>;
  release(): Promise<void>;
  abort(): void;
}
export type AnySocket = Socket | TLSSocket;

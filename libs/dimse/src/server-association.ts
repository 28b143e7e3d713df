/** One inbound connection: from the transport's opening to its close. */
import { randomUUID } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type {
  AnySocket,
  AssociateDecision,
  AssociateRequest,
  AssociationInfo,
  DimseServerOptions,
  ServerLimits,
} from './api';
import { AssociationAbortedError, ConnectionError, type DimseError } from './errors';
import { acceptedContexts, buildAccept, refusalOf, windowSize, type AcceptOptions } from './negotiation';
import { encodeAssociateAc } from './pdu/encode';
import type { AssociateRqPdu } from './pdu/types';
import { ABORT_SOURCE, REJECTION, type Rejection } from './reasons';
import { ServiceProvider } from './session/scp';
import { invokeNService } from './session/scu';
import { DimseSession } from './session/session';
import { UpperLayer, type EndKind, type UpperLayerUser } from './transport/upper-layer';

/** What the server keeps for all its connections. */
export interface ConnectionHost {
  readonly options: DimseServerOptions;
  readonly limits: Required<ServerLimits>;
  readonly own: AcceptOptions;
  /** Room for one more association? */
  hasRoom(): boolean;
  /** The connection has no association (yet, or any more). */
  unassociated(connection: ServerConnection, is: boolean): void;
  associated(connection: ServerConnection): void;
  gone(connection: ServerConnection): void;
}

export class ServerConnection implements UpperLayerUser {
  info?: AssociationInfo & { contexts: AssociationInfo['contexts'] };
  private readonly layer: UpperLayer;
  private session?: DimseSession;
  private over = false;
  readonly remoteAddress: string;
  readonly remotePort: number;

  constructor(
    private readonly host: ConnectionHost,
    readonly socket: AnySocket,
  ) {
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.layer = new UpperLayer(false, host.limits, this);
    this.layer.accept(socket);
  }

  /** Nothing in work: may be ended without harm. */
  get idle(): boolean {
    return !this.session || this.session.idle;
  }

  /** When the last byte of the peer came, or its request was still in work; in ms since the epoch. */
  get lastActive(): number {
    return this.layer.lastReadAt;
  }

  abort(message: string): void {
    this.layer.abort(new AssociationAbortedError(ABORT_SOURCE.provider, 0, message), ABORT_SOURCE.provider);
  }

  drop(message: string): void {
    this.layer.destroy(new ConnectionError(message));
  }

  // ---- upper layer --------------------------------------------------------------------------------------------

  associateIndication(request: AssociateRqPdu): void {
    const refusal = this.host.hasRoom() ? refusalOf(request) : REJECTION.localLimitExceeded;
    if (refusal) return this.layer.rejectAssociation(refusal);
    void this.decide(request);
  }

  private async decide(pdu: AssociateRqPdu): Promise<void> {
    const request = this.describe(pdu);
    const info: AssociationInfo & { contexts: AssociationInfo['contexts'] } = {
      id: randomUUID(),
      request,
      contexts: [],
      data: undefined,
      invoke: async (operation) => {
        if (!this.session) throw new ConnectionError('association is not established');
        // The acceptor invokes as SCU where the requestor is SCP, and events as SCP where the requestor is SCU.
        return invokeNService(this.session, operation, operation.commandField === 0x0100 ? 'scuRole' : 'scpRole');
      },
      abort: () => this.layer.abort(new AssociationAbortedError(ABORT_SOURCE.user, 0, 'aborted here')),
    };
    let decision: AssociateDecision;
    try {
      decision = await this.host.options.handlers.associate(request, info);
    } catch {
      decision = { accept: false, ...REJECTION.transientNoReason };
    }
    if (this.over || this.layer.state !== 'Sta3') return;
    if (!decision.accept) return this.layer.rejectAssociation(decision satisfies Rejection);
    // Others may have been accepted while the application thought about it.
    if (!this.host.hasRoom()) return this.layer.rejectAssociation(REJECTION.localLimitExceeded);
    this.establish(pdu, info, decision);
  }

  private establish(
    pdu: AssociateRqPdu,
    info: AssociationInfo & { contexts: AssociationInfo['contexts'] },
    decision: Extract<AssociateDecision, { accept: true }>,
  ): void {
    const accept = buildAccept(pdu, decision, this.host.own);
    const contexts = acceptedContexts(pdu.contexts, accept.contexts, accept.user.roles);
    info.contexts.push(...contexts);
    this.info = info;
    const session = new DimseSession({
      layer: this.layer,
      contexts,
      peerMaxPduLength: pdu.user.maxPduLength,
      maxCommandBytes: this.host.limits.maxCommandBytes,
      maxIdentifierBytes: this.host.limits.maxIdentifierBytes,
      // What the requestor performs is what we may invoke.
      window: windowSize(accept.user.asyncOps?.performed),
      info,
    });
    session.server = new ServiceProvider(session, this.host.options.handlers, true, this.host.options.observer);
    this.session = session;
    this.host.associated(this);
    this.layer.acceptAssociation(encodeAssociateAc(accept), decision.idleTimeoutMs);
  }

  private describe(pdu: AssociateRqPdu): AssociateRequest {
    const { user } = pdu;
    return {
      calledAeTitle: pdu.calledAeTitle,
      callingAeTitle: pdu.callingAeTitle,
      applicationContext: pdu.applicationContext,
      contexts: pdu.contexts,
      ...user,
      remoteAddress: this.remoteAddress,
      remotePort: this.remotePort,
      tls: this.tls(),
    };
  }

  private tls(): AssociateRequest['tls'] {
    const socket = this.socket as TLSSocket;
    if (!socket.encrypted) return undefined;
    const certificate = socket.getPeerCertificate();
    // An object without members when the peer gave none.
    if (!certificate?.fingerprint256) return { authorized: socket.authorized };
    const subject = Object.entries(certificate.subject ?? {})
      .map(([key, value]) => `${key}=${Array.isArray(value) ? value.join('+') : String(value)}`)
      .join(',');
    return {
      authorized: socket.authorized,
      peerCertificateSubject: subject,
      fingerprint256: certificate.fingerprint256,
    };
  }

  fragment(contextId: number, flags: number, data: Buffer, end: boolean): void | Promise<void> {
    return this.session!.fragment(contextId, flags, data, end);
  }

  releaseIndication(): void {
    this.layer.releaseResponse();
  }

  waitingForPeer(): boolean {
    return this.session?.waitingForPeer ?? false;
  }

  ended(how: EndKind, error?: DimseError): void {
    if (this.over) return;
    this.over = true;
    this.session?.ended(how, error ?? new ConnectionError('association released'));
    if (!this.info) return;
    try {
      this.host.options.handlers.released?.(this.info, how, error?.message);
    } catch {
      // The application's bookkeeping must not stop ours.
    }
  }

  transportClosed(): void {
    this.host.gone(this);
  }

  artim(running: boolean): void {
    this.host.unassociated(this, running);
  }

  artimExpired(): void {
    this.host.options.observer?.connection?.('artim', { remoteAddress: this.remoteAddress });
  }

  foreign(kind: 'http' | 'garbage', message: string): void {
    this.host.options.observer?.connection?.(kind, { remoteAddress: this.remoteAddress, message });
  }
}

/**
 * One association's upper layer: socket, state machine (PS3.8 section 9.2), ARTIM, time limits and back-pressure.
 * Inbound: while the user's answer to a fragment is a pending promise nothing else of this association is handled;
 * at most one more chunk is taken before the socket is paused. Outbound: see drained().
 */
import type { AnySocket } from '../api';
import {
  AssociationAbortedError,
  AssociationRejectedError,
  ConnectionError,
  ProtocolError,
  TimeoutError,
  type DimseError,
} from '../errors';
import { UpperLayerMachine, type Effects, type EventData } from '../fsm/machine';
import type { Event, State } from '../fsm/table';
import { decodeAssociateAc, decodeAssociateRq, decodeFourBytes } from '../pdu/decode';
import { encodeAbort, encodeAssociateRj, encodeReleaseRp, encodeReleaseRq } from '../pdu/encode';
import { PDU, type AssociateAcPdu, type AssociateRqPdu } from '../pdu/types';
import { ABORT_REASON, ABORT_SOURCE, REJECTION, type Rejection } from '../reasons';
import { quickAck } from './quick-ack';
import { readBuffers, type ReadBuffers } from './read-buffers';
import { Receiver, type ReceiverHandler } from './receiver';

export type EndKind = 'released' | 'aborted' | 'lost';

/** The service user above. */
export interface UpperLayerUser {
  /** Acceptor: answer with accept() or reject(). */
  associateIndication?(request: AssociateRqPdu): void;
  /** Requestor: accepted. */
  associateConfirm?(accepted: AssociateAcPdu): void;
  fragment(contextId: number, flags: number, data: Buffer, end: boolean): void | Promise<void>;
  /** The peer asks to release: answer with releaseResponse(). */
  releaseIndication(): void;
  /** The association, or the attempt to make one, is over. Called once. `error` is absent after a release. */
  ended(how: EndKind, error?: DimseError): void;
  /** Whether it is the peer's turn; only then does its silence count. */
  waitingForPeer(): boolean;
  /** The socket is gone. Called once, after ended(). */
  transportClosed?(): void;
  /** ARTIM runs: the connection has no association (any more). */
  artim?(running: boolean): void;
  /** ARTIM ran out. */
  artimExpired?(): void;
  /** The first bytes are no DICOM: HTTP, TLS or something else. */
  foreign?(kind: 'http' | 'garbage', message: string): void;
}

export interface UpperLayerOptions {
  artimMs: number;
  idleTimeoutMs: number;
  writeTimeoutMs: number;
  maxPduLength: number;
  maxAssociateBytes: number;
}

/** Data that may wait in the socket before drained() asks to wait, in bytes. */
const WRITE_HIGH_WATER = 256 * 1024;
const HTTP = /^(GET |HEAD|POST|PUT |DELE|OPTI|CONN|TRAC|PATC|PRI )/;

export class UpperLayer implements Effects, ReceiverHandler {
  readonly machine: UpperLayerMachine;
  socket!: AnySocket;
  private readonly receiver: Receiver;
  private readonly rearm: { call?: () => void } = {};
  private buffers?: ReadBuffers;
  private artimTimer?: NodeJS.Timeout;
  private watchTimer?: NodeJS.Timeout;
  private lastRead = 0;
  private lastWriteProgress = 0;
  private writeMark = '';
  private busy = false;
  private readonly queue: Buffer[] = [];
  private drainWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];
  private writes = 0;
  private writesDone = 0;
  private writeWaiters: { upTo: number; resolve: () => void }[] = [];
  private endedHow?: EndKind;
  private endError?: DimseError;
  private socketError?: Error;
  private firstBytes = true;
  private pendingIndication?: AssociateRqPdu;
  private pendingConfirm?: AssociateAcPdu;
  private idleTimeoutMs: number;

  constructor(
    private readonly requestor: boolean,
    private readonly options: UpperLayerOptions,
    private readonly user: UpperLayerUser,
    /** Requestor: opens the transport; the PDU to send when it is open. */
    private readonly outgoing?: { open(): AnySocket; openEvent: 'connect' | 'secureConnect'; associateRq: Buffer },
  ) {
    this.machine = new UpperLayerMachine(this, requestor);
    this.receiver = new Receiver(this, options);
    this.idleTimeoutMs = options.idleTimeoutMs;
  }

  get state(): State {
    return this.machine.state;
  }

  get lastReadAt(): number {
    return this.lastRead;
  }

  /** Acceptor: takes over an open connection (Evt5). */
  accept(socket: AnySocket): void {
    this.attach(socket);
    this.onOpen();
    this.machine.handle('Evt5');
  }

  /** Requestor: opens the transport and requests the association (Evt1). */
  connect(): void {
    this.machine.handle('Evt1');
  }

  /** Local A-ASSOCIATE response, accepted (Evt7): the PDU to send. */
  acceptAssociation(pdu: Buffer, idleTimeoutMs?: number): void {
    if (idleTimeoutMs !== undefined) {
      this.idleTimeoutMs = idleTimeoutMs;
      this.startWatch();
    }
    this.machine.handle('Evt7', { pdu });
    this.touch();
  }

  rejectAssociation(rejection: Rejection): void {
    if (this.machine.handle('Evt8', { rejection })) {
      this.finish('aborted', new AssociationRejectedError(rejection.result, rejection.source, rejection.reason));
    }
  }

  /** Local A-RELEASE request (Evt11). False when the association is not established any more. */
  release(): boolean {
    return this.machine.handle('Evt11') !== undefined;
  }

  /** Local A-RELEASE response (Evt14). */
  releaseResponse(): void {
    const action = this.machine.handle('Evt14');
    if (action === 'AR-4') this.finish('released');
  }

  /** Local A-ABORT (Evt15). The error is what pending work is told. */
  abort(error: DimseError, source: number = ABORT_SOURCE.user, reason: number = ABORT_REASON.notSpecified): void {
    this.machine.handle('Evt15', { abort: { source, reason } });
    this.finish('aborted', error);
  }

  /** The peer broke the protocol (Evt19). Framing is not trusted any more. */
  protocolError(error: ProtocolError): void {
    this.receiver.kill();
    const data: EventData = {
      abort: { source: ABORT_SOURCE.provider, reason: error.abortReason },
      detail: error.message,
    };
    this.machine.handle('Evt19', data);
    this.finish('aborted', new AssociationAbortedError(ABORT_SOURCE.provider, error.abortReason, error.message));
  }

  /** Closes without a word: shutting down after the grace, or dropped for room. */
  destroy(error: DimseError): void {
    this.finish('lost', error);
    this.stopArtim();
    this.socket?.destroy();
  }

  /**
   * P-DATA request (Evt9): the parts leave in one write. Throws the association's end when data may not be sent.
   * Does not wait: call drained() before producing more.
   */
  send(parts: readonly Buffer[]): void {
    if (!this.machine.handle('Evt9')) throw this.endError ?? new ConnectionError('association is not established');
    if (this.socket.writableLength === 0) this.lastWriteProgress = Date.now();
    this.writes++;
    const last = parts.length - 1;
    if (last === 0) {
      this.socket.write(parts[0]!, this.onWritten);
      return;
    }
    this.socket.cork();
    for (let i = 0; i < last; i++) this.socket.write(parts[i]!);
    this.socket.write(parts[last]!, this.onWritten);
    this.socket.uncork();
  }

  private readonly onWritten = (): void => {
    this.writesDone++;
    if (this.writeWaiters.length === 0) return;
    const waiters = this.writeWaiters;
    this.writeWaiters = waiters.filter(({ upTo }) => upTo > this.writesDone);
    for (const { upTo, resolve } of waiters) if (upTo <= this.writesDone) resolve();
  };

  /** Calls of send() so far: what written() counts by. */
  get sends(): number {
    return this.writes;
  }

  /**
   * A promise while the parts of the first `sends` calls are still needed: the socket has not taken all of them, and has
   * not given them up. Never rejects.
   */
  written(sends: number): Promise<void> | undefined {
    if (this.writesDone >= sends) return undefined;
    return new Promise((resolve) => this.writeWaiters.push({ upTo: sends, resolve }));
  }

  /** A promise while more than 256 KiB wait for the peer; rejects when the association ends. */
  drained(): Promise<void> | undefined {
    if (this.endedHow) return Promise.reject(this.endError ?? this.goneError());
    if (this.socket.writableLength < WRITE_HIGH_WATER) return undefined;
    return new Promise((resolve, reject) => this.drainWaiters.push({ resolve, reject }));
  }

  // ---- socket -------------------------------------------------------------------------------------------------

  private attach(socket: AnySocket): void {
    this.socket = socket;
    this.buffers = readBuffers(socket);
    if (this.buffers) this.buffers.listen({ chunk: (chunk) => this.onData(chunk) });
    else socket.on('data', (chunk: Buffer) => void this.onData(chunk));
    socket.on('drain', () => this.onDrain());
    socket.on('error', (error: Error) => (this.socketError = error));
    socket.on('end', () => this.onClosed());
    socket.on('close', () => {
      this.onClosed();
      clearTimeout(this.artimTimer);
      clearInterval(this.watchTimer);
      this.user.transportClosed?.();
    });
  }

  private onOpen(): void {
    this.socket.setNoDelay(true);
    this.socket.setKeepAlive(true, 60_000);
    this.rearm.call = quickAck(this.socket);
    this.touch();
    this.startWatch();
  }

  private startWatch(): void {
    clearInterval(this.watchTimer);
    const period = Math.max(10, Math.min(this.idleTimeoutMs, this.options.writeTimeoutMs) / 4);
    this.watchTimer = setInterval(() => this.watch(), period);
    this.watchTimer.unref();
  }

  private touch(): void {
    this.lastRead = Date.now();
  }

  /** @returns whether the chunk is needed until pump() has come to its end */
  private onData(chunk: Buffer): boolean {
    this.lastRead = Date.now();
    // A chunk that fills its buffer says that more is waiting already; only a drained socket can leave the sender waiting.
    if (chunk.length < chunk.buffer.byteLength) this.rearm.call?.();
    if (this.firstBytes) {
      this.firstBytes = false;
      if (!this.requestor && this.refuseForeign(chunk)) return false;
    }
    if (this.busy) {
      this.queue.push(chunk);
      this.socket.pause();
      return true;
    }
    this.receiver.load(chunk);
    this.pump();
    return this.busy;
  }

  /** Reads on until all is handled or the user asks to wait. */
  private pump(): void {
    try {
      for (;;) {
        const wait = this.receiver.run();
        if (wait) {
          this.busy = true;
          wait.then(this.resume, this.fail);
          return;
        }
        const next = this.queue.shift();
        if (!next) break;
        this.receiver.load(next);
      }
    } catch (error) {
      this.fail(error);
      return;
    }
    this.buffers?.release();
    if (this.socket.isPaused()) this.socket.resume();
  }

  private readonly resume = (): void => {
    this.busy = false;
    this.touch();
    this.pump();
  };

  private readonly fail = (error: unknown): void => {
    this.busy = false;
    this.queue.length = 0;
    this.buffers?.release();
    const known = error instanceof ProtocolError;
    this.protocolError(known ? error : new ProtocolError('internal error', ABORT_REASON.notSpecified));
    if (this.socket.isPaused()) this.socket.resume();
  };

  /** HTTP and TLS clients, port scanners: closed without an answer that they could not read anyway. */
  private refuseForeign(chunk: Buffer): boolean {
    const start = chunk.toString('latin1', 0, 4);
    const http = HTTP.test(start);
    const tls = chunk[0] === 0x16 && (chunk.length < 2 || chunk[1] === 0x03);
    if (chunk[0]! >= PDU.associateRq && chunk[0]! <= PDU.abort) return false;
    this.user.foreign?.(http ? 'http' : 'garbage', http ? 'HTTP request' : tls ? 'TLS hello' : 'unknown bytes');
    if (!http && !tls) return false;
    this.receiver.kill();
    this.destroy(new ConnectionError('not DICOM'));
    return true;
  }

  private onDrain(): void {
    const waiters = this.drainWaiters;
    this.drainWaiters = [];
    for (const waiter of waiters) waiter.resolve();
  }

  private goneError(): DimseError {
    return new ConnectionError(this.socketError?.message ?? 'connection closed by the peer', this.socketError);
  }

  private onClosed(): void {
    if (this.machine.state === 'Sta1') return;
    const opening = this.machine.state === 'Sta4';
    this.machine.handle('Evt17', { detail: this.socketError?.message });
    this.stopArtim();
    this.finish('lost', this.goneError());
    if (!opening) this.socket.destroy();
  }

  /** Called four times per time limit: is the peer silent while it is its turn, or does it not take our data? */
  private watch(): void {
    const now = Date.now();
    if (this.socket.writableLength > 0) {
      const handle = (this.socket as unknown as { _handle?: { writeQueueSize?: number } })._handle;
      const mark = `${this.socket.bytesWritten}/${this.socket.writableLength}/${handle?.writeQueueSize ?? 0}`;
      if (mark !== this.writeMark) {
        this.writeMark = mark;
        this.lastWriteProgress = now;
      } else if (now - this.lastWriteProgress >= this.options.writeTimeoutMs) {
        return this.destroy(new TimeoutError('the peer does not take our data'));
      }
    }
    // While our data is under way the limit on writing counts, not the one on the peer's silence.
    if (this.busy || this.socket.writableLength > 0 || !this.user.waitingForPeer()) this.touch();
    else if (now - this.lastRead >= this.idleTimeoutMs && this.machine.allows('Evt15')) {
      this.abort(new TimeoutError('no byte from the peer within the time limit'), ABORT_SOURCE.provider);
    }
  }

  /** Tells the user, once, that it is over. */
  private finish(how: EndKind, error?: DimseError): void {
    if (this.endedHow) return;
    this.endedHow = how;
    this.endError = error;
    const waiters = this.drainWaiters;
    this.drainWaiters = [];
    for (const waiter of waiters) waiter.reject(error ?? new ConnectionError('association released'));
    this.user.ended(how, error);
  }

  // ---- receiver -----------------------------------------------------------------------------------------------

  onPData(): boolean {
    const action = this.machine.handle('Evt10');
    return action === 'DT-2' || action === 'AR-6';
  }

  onFragment(contextId: number, flags: number, data: Buffer, end: boolean): void | Promise<void> {
    if (this.endedHow) return undefined;
    return this.user.fragment(contextId, flags, data, end);
  }

  onPdu(type: number, body: Buffer): void {
    switch (type) {
      case PDU.associateRq:
        return this.onAssociateRq(body);
      case PDU.associateAc:
        if (this.machine.state === 'Sta5') this.pendingConfirm = decodeAssociateAc(body);
        return this.event('Evt3');
      case PDU.associateRj: {
        const [result, source, reason] = decodeFourBytes(body);
        return this.event('Evt4', { rejection: { result, source, reason } as Rejection });
      }
      case PDU.releaseRq:
        return this.event('Evt12');
      case PDU.releaseRp:
        return this.event('Evt13');
      default: {
        const [, source, reason] = decodeFourBytes(body);
        return this.event('Evt16', { abort: { source, reason } });
      }
    }
  }

  private onAssociateRq(body: Buffer): void {
    if (this.machine.state !== 'Sta2') return this.event('Evt6');
    const request = decodeAssociateRq(body);
    this.pendingIndication = request;
    // PS3.8 9.3.2: only bit 0 is looked at, so that later versions may set others.
    const refuse = request.protocolVersion & 1 ? undefined : REJECTION.protocolVersionNotSupported;
    this.machine.handle('Evt6', { refuse });
    if (refuse) this.finish('aborted', new AssociationRejectedError(refuse.result, refuse.source, refuse.reason));
  }

  private event(event: Event, data?: EventData): void {
    const action = this.machine.handle(event, data);
    // AA-1 (in Sta2) has no indication to the user: nobody knew of an association. Our bookkeeping ends all the same.
    if (action === 'AA-1' || action === 'AA-2') {
      this.finish('aborted', new AssociationAbortedError(ABORT_SOURCE.provider, ABORT_REASON.unexpectedPdu));
    }
  }

  // ---- effects ------------------------------------------------------------------------------------------------

  connectTransport(): void {
    const outgoing = this.outgoing!;
    this.attach(outgoing.open());
    this.socket.once(outgoing.openEvent, () => {
      this.onOpen();
      this.machine.handle('Evt2');
    });
  }
  closeTransport(): void {
    // What was written before (an A-RELEASE-RP) still leaves; a peer that does not take it is cut off by watch().
    this.socket.destroySoon();
    const cut = setTimeout(() => this.socket.destroy(), this.options.artimMs).unref();
    this.socket.once('close', () => clearTimeout(cut));
  }
  sendAssociateRq(): void {
    this.socket.write(this.outgoing!.associateRq);
  }
  sendAssociateAc(pdu: Buffer): void {
    this.socket.write(pdu);
  }
  sendAssociateRj(rejection: Rejection): void {
    this.socket.write(encodeAssociateRj(rejection.result, rejection.source, rejection.reason));
  }
  sendReleaseRq(): void {
    this.socket.write(encodeReleaseRq());
  }
  sendReleaseRp(): void {
    this.socket.write(encodeReleaseRp());
  }
  sendAbort(source: number, reason: number): void {
    if (this.socket.writable) this.socket.write(encodeAbort(source, reason));
  }
  startArtim(): void {
    clearTimeout(this.artimTimer);
    this.artimTimer = setTimeout(() => {
      this.user.artimExpired?.();
      this.event('Evt18');
      this.socket.destroy();
    }, this.options.artimMs);
    this.user.artim?.(true);
  }
  stopArtim(): void {
    clearTimeout(this.artimTimer);
    this.user.artim?.(false);
  }
  associateIndication(): void {
    this.user.associateIndication!(this.pendingIndication!);
    this.pendingIndication = undefined;
  }
  associateConfirm(accepted: boolean, rejection?: Rejection): void {
    if (accepted) {
      const confirm = this.pendingConfirm!;
      this.pendingConfirm = undefined;
      return this.user.associateConfirm!(confirm);
    }
    const { result, source, reason } = rejection!;
    this.finish('aborted', new AssociationRejectedError(result, source, reason));
  }
  releaseIndication(): void {
    this.user.releaseIndication();
  }
  releaseConfirm(): void {
    // AR-10 (release collision, acceptor) still owes the peer an A-RELEASE-RP (Evt14 in Sta12).
    if (this.machine.state === 'Sta12') return this.releaseResponse();
    this.finish('released');
  }
  abortIndication(source: number, reason: number, detail?: string): void {
    const lost = this.machine.state === 'Sta1' && detail !== undefined;
    if (lost) this.finish('lost', this.goneError());
    else this.finish('aborted', new AssociationAbortedError(source, reason, detail));
  }
}

/**
 * Cuts the byte stream into PDUs and PDVs (PS3.8 9.3 and annex E) without gathering them: headers are read across
 * chunk borders by a small state machine, PDV data is handed on as views of the chunk as it arrives. Only association
 * PDUs are gathered, growing with what really came, up to a bound.
 */
import { ProtocolError } from '../errors';
import { PDU } from '../pdu/types';
import { ABORT_REASON } from '../reasons';

export interface ReceiverHandler {
  /** A P-DATA-TF begins. False: its body is skipped (PS3.8 AA-6). */
  onPData(): boolean;
  /**
   * A piece of a PDV; `end` when it is the last piece of that PDV (perhaps empty). A promise stops the receiver until
   * it settles.
   */
  onFragment(contextId: number, flags: number, data: Buffer, end: boolean): void | Promise<void>;
  /** Any other PDU, whole, without its header. Called for known types only. */
  onPdu(type: number, body: Buffer): void;
}

export interface ReceiverLimits {
  /** Largest P-DATA-TF that we said we take. */
  maxPduLength: number;
  /** Largest A-ASSOCIATE-RQ or -AC. */
  maxAssociateBytes: number;
}

const enum Phase {
  PduHeader,
  Body,
  SkipBody,
  PdvHeader,
  PdvData,
  Dead,
}

/** Some devices count the PDU's 6 header bytes into the limit that we named. */
const HEADER_TOLERANCE = 6;

export class Receiver {
  private phase: Phase = Phase.PduHeader;
  private chunk: Buffer = Buffer.alloc(0);
  private offset = 0;
  private readonly head = Buffer.alloc(6);
  private headBytes = 0;
  private pduType = 0;
  /** Bytes of the current PDU that are still to come. */
  private pduLeft = 0;
  private pdvLeft = 0;
  private contextId = 0;
  private flags = 0;
  private body: Buffer[] = [];

  constructor(
    private readonly handler: ReceiverHandler,
    private readonly limits: ReceiverLimits,
  ) {}

  /** The next chunk; the one before must be used up. */
  load(chunk: Buffer): void {
    this.chunk = chunk;
    this.offset = 0;
  }

  /** Nothing more is read: framing is lost, or the association is over. */
  kill(): void {
    this.phase = Phase.Dead;
    this.body = [];
  }

  /** In the middle of a PDU: the peer owes us the rest. */
  get midPdu(): boolean {
    return this.phase !== Phase.Dead && (this.phase !== Phase.PduHeader || this.headBytes > 0);
  }

  /**
   * Reads on until the chunk is used up (returns undefined) or the handler asks to wait (returns its promise; call
   * run() again when that has settled). Throws ProtocolError; then nothing more may be read.
   */
  run(): Promise<void> | undefined {
    const chunk = this.chunk;
    while (this.offset < chunk.length) {
      switch (this.phase) {
        case Phase.PduHeader:
          if (this.fillHead()) this.startPdu();
          break;
        case Phase.Body:
          this.gather();
          break;
        case Phase.SkipBody:
          this.skip();
          break;
        case Phase.PdvHeader:
          if (this.fillHead()) {
            const wait = this.startPdv();
            if (wait) return wait;
          }
          break;
        case Phase.PdvData: {
          const wait = this.pdvData();
          if (wait) return wait;
          break;
        }
        case Phase.Dead:
          this.offset = chunk.length;
      }
    }
    return undefined;
  }

  /** Gathers 6 header bytes; true when they are there. */
  private fillHead(): boolean {
    const take = Math.min(6 - this.headBytes, this.chunk.length - this.offset);
    this.chunk.copy(this.head, this.headBytes, this.offset, this.offset + take);
    this.offset += take;
    this.headBytes += take;
    // The type is judged by its first byte, before a hostile length is waited for.
    if (this.phase === Phase.PduHeader && (this.head[0]! < PDU.associateRq || this.head[0]! > PDU.abort)) {
      throw new ProtocolError(`unknown PDU type 0x${this.head[0]!.toString(16)}`, ABORT_REASON.unrecognizedPdu);
    }
    if (this.headBytes < 6) return false;
    this.headBytes = 0;
    return true;
  }

  private startPdu(): void {
    const type = this.head[0]!;
    const length = this.head.readUInt32BE(2);
    this.pduType = type;
    this.pduLeft = length;
    if (type === PDU.pData) {
      if (this.limits.maxPduLength > 0 && length > this.limits.maxPduLength + HEADER_TOLERANCE) {
        throw new ProtocolError('P-DATA-TF longer than negotiated', ABORT_REASON.invalidParameter);
      }
      if (length < 6) throw new ProtocolError('P-DATA-TF without a PDV', ABORT_REASON.invalidParameter);
      if (this.handler.onPData()) this.phase = Phase.PdvHeader;
      else if (this.phase === Phase.PduHeader) this.phase = Phase.SkipBody;
      return;
    }
    const most = type === PDU.associateRq || type === PDU.associateAc ? this.limits.maxAssociateBytes : 4;
    const least = type === PDU.associateRq || type === PDU.associateAc ? 68 : 4;
    if (length > most || length < least) {
      throw new ProtocolError(`PDU type ${type} of a wrong length`, ABORT_REASON.invalidParameter);
    }
    this.phase = Phase.Body;
  }

  private gather(): void {
    const take = Math.min(this.pduLeft, this.chunk.length - this.offset);
    // Copied: a body of many tiny chunks must not keep the large buffers alive that they are views of.
    this.body.push(Buffer.from(this.chunk.subarray(this.offset, this.offset + take)));
    this.offset += take;
    this.pduLeft -= take;
    if (this.pduLeft > 0) {
      if (this.body.length > 64) this.body = [Buffer.concat(this.body)];
      return;
    }
    const body = this.body.length === 1 ? this.body[0]! : Buffer.concat(this.body);
    this.body = [];
    this.phase = Phase.PduHeader;
    this.handler.onPdu(this.pduType, body);
  }

  private skip(): void {
    const take = Math.min(this.pduLeft, this.chunk.length - this.offset);
    this.offset += take;
    this.pduLeft -= take;
    if (this.pduLeft === 0) this.phase = Phase.PduHeader;
  }

  private startPdv(): Promise<void> | void {
    const length = this.head.readUInt32BE(0);
    this.pduLeft -= 6;
    if (length < 2 || length - 2 > this.pduLeft) {
      throw new ProtocolError('PDV length does not fit its PDU', ABORT_REASON.invalidParameter);
    }
    this.pdvLeft = length - 2;
    this.contextId = this.head[4]!;
    this.flags = this.head[5]!;
    this.phase = Phase.PdvData;
    // An empty PDV has no byte that would call pdvData().
    if (this.pdvLeft === 0) return this.pdvData();
  }

  private pdvData(): Promise<void> | void {
    const take = Math.min(this.pdvLeft, this.chunk.length - this.offset);
    const data = this.chunk.subarray(this.offset, this.offset + take);
    this.offset += take;
    this.pduLeft -= take;
    this.pdvLeft -= take;
    const end = this.pdvLeft === 0;
    if (end) {
      if (this.pduLeft > 0 && this.pduLeft < 6) {
        throw new ProtocolError('bytes behind the last PDV', ABORT_REASON.invalidParameter);
      }
      this.phase = this.pduLeft > 0 ? Phase.PdvHeader : Phase.PduHeader;
    }
    return this.handler.onFragment(this.contextId, this.flags, data, end);
  }
}

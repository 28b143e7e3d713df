/** A peer that sends exactly the bytes it is told to, for tests of what no well-behaved library would send. */
import { connect, type Socket } from 'node:net';
import { encodeAssociateRq } from '../pdu/encode';
import type { AssociateRqPdu } from '../pdu/types';
import { encodeCommandSet, type CommandSet } from '../session/command-set';
import { encodePDataHeader } from '../pdu/encode';
import { UID } from '../uids';

export class ScriptedPeer {
  /** All that has come so far. */
  received = Buffer.alloc(0);
  ended = false;
  private wake: (() => void)[] = [];

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.notify();
    });
    const over = (): void => {
      this.ended = true;
      this.notify();
    };
    socket.on('end', over);
    socket.on('close', over);
    socket.on('error', over);
  }

  static open(port: number, host = '127.0.0.1'): Promise<ScriptedPeer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new ScriptedPeer(socket)));
    });
  }

  private notify(): void {
    for (const wake of this.wake.splice(0)) wake();
  }

  send(...bytes: Buffer[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** Waits until `done` holds; false when the time is over. */
  async until(done: () => boolean, ms = 2_000): Promise<boolean> {
    const end = Date.now() + ms;
    while (!done()) {
      const left = end - Date.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 50));
        this.wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return true;
  }

  /** Takes the next whole PDU out of what came: type and body; undefined when none comes in time. */
  async pdu(ms = 2_000): Promise<{ type: number; body: Buffer } | undefined> {
    const whole = (): boolean => this.received.length >= 6 && this.received.length >= 6 + this.received.readUInt32BE(2);
    await this.until(() => whole() || this.ended, ms);
    if (!whole()) return undefined;
    const length = this.received.readUInt32BE(2);
    const result = { type: this.received[0]!, body: this.received.subarray(6, 6 + length) };
    this.received = this.received.subarray(6 + length);
    return result;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** An A-ASSOCIATE-RQ for scripts: Verification as context 1, CT Image Storage as 3, Study Root FIND as 5, GET as 7. */
export function sampleAssociateRq(change: Partial<AssociateRqPdu> = {}): Buffer {
  const transferSyntaxes = [UID.implicitVrLittleEndian];
  return encodeAssociateRq({
    protocolVersion: 1,
    calledAeTitle: 'ARCHIPELAGO',
    callingAeTitle: 'SCRIPT',
    applicationContext: UID.applicationContext,
    contexts: [
      { id: 1, abstractSyntax: UID.verification, transferSyntaxes },
      { id: 3, abstractSyntax: '1.2.840.10008.5.1.4.1.1.2', transferSyntaxes },
      { id: 5, abstractSyntax: '1.2.840.10008.5.1.4.1.2.2.1', transferSyntaxes },
      { id: 7, abstractSyntax: '1.2.840.10008.5.1.4.1.2.2.3', transferSyntaxes },
    ],
    user: {
      maxPduLength: 16384,
      implementationClassUid: '1.2.3.4',
      implementationVersionName: 'SCRIPT',
      roles: [],
      extended: [],
      commonExtended: [],
    },
    ...change,
  });
}

/** One PDV in a P-DATA-TF of its own. */
export function samplePData(contextId: number, isCommand: boolean, isLast: boolean, data: Buffer): Buffer {
  return Buffer.concat([encodePDataHeader(contextId, isCommand, isLast, data.length), data]);
}

export function sampleCommand(contextId: number, command: CommandSet): Buffer {
  return samplePData(contextId, true, true, encodeCommandSet(command));
}

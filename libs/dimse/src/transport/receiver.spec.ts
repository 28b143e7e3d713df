import { ProtocolError } from '../errors';
import { encodeAbort, encodeReleaseRq } from '../pdu/encode';
import { sampleAssociateRq, samplePData } from '../testing/scripted-peer';
import { Receiver, type ReceiverHandler } from './receiver';

class Recorder implements ReceiverHandler {
  readonly pdus: { type: number; body: string }[] = [];
  readonly pdvs: { contextId: number; flags: number; data: string }[] = [];
  private open = '';
  takeData = true;
  wait?: () => Promise<void> | undefined;
  onPData(): boolean {
    return this.takeData;
  }
  onFragment(contextId: number, flags: number, data: Buffer, end: boolean): void | Promise<void> {
    this.open += data.toString('hex');
    if (end) {
      this.pdvs.push({ contextId, flags, data: this.open });
      this.open = '';
    }
    return this.wait?.();
  }
  onPdu(type: number, body: Buffer): void {
    this.pdus.push({ type, body: body.toString('hex') });
  }
}

const LIMITS = { maxPduLength: 16384, maxAssociateBytes: 4096 };

function twoPdvs(): Buffer {
  const [a, b] = [
    samplePData(1, true, true, Buffer.from('0102', 'hex')),
    samplePData(3, false, false, Buffer.from('aabbcc', 'hex')),
  ];
  const body = Buffer.concat([a.subarray(6), b.subarray(6)]);
  const head = Buffer.from([4, 0, 0, 0, 0, body.length]);
  return Buffer.concat([head, body]);
}

function feed(chunks: Buffer[], limits = LIMITS): Recorder {
  const recorder = new Recorder();
  const receiver = new Receiver(recorder, limits);
  for (const chunk of chunks) {
    receiver.load(chunk);
    expect(receiver.run()).toBeUndefined();
  }
  return recorder;
}

describe('Receiver', () => {
  const stream = Buffer.concat([
    sampleAssociateRq(),
    twoPdvs(),
    samplePData(5, false, true, Buffer.alloc(0)),
    samplePData(7, false, true, Buffer.alloc(300, 7)),
    encodeReleaseRq(),
    encodeAbort(2, 6),
  ]);
  const whole = feed([stream]);

  it('cuts a stream into PDUs and PDVs', () => {
    expect(whole.pdus.map((pdu) => pdu.type)).toEqual([1, 5, 7]);
    expect(whole.pdvs).toEqual([
      { contextId: 1, flags: 3, data: '0102' },
      { contextId: 3, flags: 0, data: 'aabbcc' },
      { contextId: 5, flags: 2, data: '' },
      { contextId: 7, flags: 2, data: '07'.repeat(300) },
    ]);
  });

  it('gives the same at every byte boundary', () => {
    for (let at = 0; at <= stream.length; at++) {
      const cut = feed([stream.subarray(0, at), stream.subarray(at)]);
      expect(cut.pdus).toEqual(whole.pdus);
      expect(cut.pdvs).toEqual(whole.pdvs);
    }
    const bytes = feed([...stream].map((byte) => Buffer.from([byte])));
    expect(bytes.pdus).toEqual(whole.pdus);
    expect(bytes.pdvs).toEqual(whole.pdvs);
  });

  it('stops while the handler waits, and goes on where it was', async () => {
    const recorder = new Recorder();
    const receiver = new Receiver(recorder, LIMITS);
    const go: (() => void)[] = [];
    recorder.wait = () => new Promise((resolve) => go.push(resolve));
    receiver.load(twoPdvs());
    const first = receiver.run();
    expect(first).toBeInstanceOf(Promise);
    expect(recorder.pdvs).toHaveLength(1);
    go[0]!();
    await first;
    expect(receiver.run()).toBeInstanceOf(Promise);
    expect(recorder.pdvs).toHaveLength(2);
  });

  it('hands on views, and allocates nothing for declared lengths', () => {
    const before = process.memoryUsage().arrayBuffers;
    const receiver = new Receiver(new Recorder(), { ...LIMITS, maxPduLength: 0 });
    for (let i = 0; i < 100; i++) {
      const head = Buffer.from('0400ffffffff' + 'fffffff00102', 'hex');
      const fresh = new Receiver(new Recorder(), { ...LIMITS, maxPduLength: 0 });
      fresh.load(head);
      expect(fresh.run()).toBeUndefined();
      expect(fresh.midPdu).toBe(true);
    }
    expect(receiver.midPdu).toBe(false);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
  });

  it('skips data that the state machine ignores', () => {
    const recorder = new Recorder();
    recorder.takeData = false;
    const receiver = new Receiver(recorder, LIMITS);
    receiver.load(Buffer.concat([twoPdvs(), encodeAbort(0, 0)]));
    receiver.run();
    expect(recorder.pdvs).toHaveLength(0);
    expect(recorder.pdus.map((pdu) => pdu.type)).toEqual([7]);
  });

  it.each([
    ['unknown PDU type', '08', 1],
    ['PDU type 0', '00', 1],
    ['P-DATA-TF beyond the negotiated length', '040000004007', 6],
    ['P-DATA-TF of 4 GiB', '0400ffffffff', 6],
    ['P-DATA-TF without room for a PDV', '040000000005', 6],
    ['PDV longer than its PDU', '0400000000080000000701030000', 6],
    ['PDV shorter than its header', '0400000000080000000101030000', 6],
    ['bytes behind the last PDV', '040000000009' + '000000040103aabb' + '00', 6],
    ['A-ASSOCIATE-RQ beyond the bound', '010000001001', 6],
    ['A-ASSOCIATE-RQ too short', '010000000043', 6],
    ['A-RELEASE-RQ of a wrong length', '050000000005', 6],
    ['A-ABORT of 4 GiB', '0700ffffffff', 6],
  ])('%s is refused', (_name, hex, reason) => {
    expect.assertions(2);
    try {
      feed([Buffer.from(hex, 'hex')]);
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
      expect((error as ProtocolError).abortReason).toBe(reason);
    }
  });

  it('reads nothing more once killed', () => {
    const recorder = new Recorder();
    const receiver = new Receiver(recorder, LIMITS);
    receiver.kill();
    receiver.load(stream);
    receiver.run();
    expect([recorder.pdus, recorder.pdvs]).toEqual([[], []]);
  });
});

import { createServer, connect as connectTcp, type AddressInfo, type Server, type Socket } from 'node:net';
import type { DimseError } from '../errors';
import { encodeAbort, encodeAssociateAc, encodeReleaseRp, encodeReleaseRq } from '../pdu/encode';
import type { AssociateRqPdu } from '../pdu/types';
import { ScriptedPeer, sampleAssociateRq, samplePData } from '../testing/scripted-peer';
import { UID } from '../uids';
import { quickAck, quickAckAvailable } from './quick-ack';
import { UpperLayer, type EndKind, type UpperLayerUser } from './upper-layer';

const OPTIONS = {
  artimMs: 200,
  idleTimeoutMs: 60_000,
  writeTimeoutMs: 60_000,
  maxPduLength: 16_384,
  maxAssociateBytes: 65_536,
};
const ACCEPT = encodeAssociateAc({
  protocolVersion: 1,
  calledAeTitle: 'A',
  callingAeTitle: 'B',
  applicationContext: UID.applicationContext,
  contexts: [{ id: 1, result: 0, transferSyntax: UID.implicitVrLittleEndian }],
  user: {
    maxPduLength: 0,
    implementationClassUid: '1.2',
    implementationVersionName: '',
    roles: [],
    extended: [],
    commonExtended: [],
  },
});
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A user that does nothing by itself: each test answers when it wants to. */
class Recorder implements UpperLayerUser {
  readonly log: string[] = [];
  error?: DimseError;
  request?: AssociateRqPdu;
  associateIndication(request: AssociateRqPdu): void {
    this.request = request;
    this.log.push('associate');
  }
  associateConfirm(): void {
    this.log.push('confirm');
  }
  fragment(_contextId: number, _flags: number, data: Buffer): void {
    this.log.push(`data ${data.length}`);
  }
  releaseIndication(): void {
    this.log.push('release');
  }
  ended(how: EndKind, error?: DimseError): void {
    this.error = error;
    this.log.push(how);
  }
  waitingForPeer(): boolean {
    return true;
  }
}

let server: Server;
let port: number;
let arrived: Promise<Socket>;
const sockets: Socket[] = [];
beforeEach(async () => {
  let take!: (socket: Socket) => void;
  arrived = new Promise((resolve) => (take = resolve));
  server = createServer((socket) => {
    sockets.push(socket);
    take(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

async function acceptor(): Promise<{ layer: UpperLayer; user: Recorder; peer: ScriptedPeer }> {
  const peer = await ScriptedPeer.open(port);
  sockets.push(peer.socket);
  const user = new Recorder();
  const layer = new UpperLayer(false, OPTIONS, user);
  layer.accept(await arrived);
  peer.send(sampleAssociateRq());
  await peer.until(() => user.log.includes('associate'));
  layer.acceptAssociation(ACCEPT);
  expect((await peer.pdu())?.type).toBe(2);
  return { layer, user, peer };
}

async function requestor(): Promise<{ layer: UpperLayer; user: Recorder; raw: Socket; got: () => Buffer }> {
  const user = new Recorder();
  const layer = new UpperLayer(true, OPTIONS, user, {
    open: () => connectTcp({ host: '127.0.0.1', port }),
    openEvent: 'connect',
    associateRq: sampleAssociateRq(),
  });
  layer.connect();
  sockets.push(layer.socket as Socket);
  const raw = await arrived;
  let got = Buffer.alloc(0);
  raw.on('data', (chunk) => (got = Buffer.concat([got, chunk])));
  raw.write(ACCEPT);
  while (!user.log.includes('confirm')) await sleep(5);
  got = Buffer.alloc(0);
  return { layer, user, raw, got: () => got };
}

describe('release', () => {
  it('collision, seen from the acceptor: Sta10, Sta12, then its own A-RELEASE-RP', async () => {
    const { layer, user, peer } = await acceptor();
    expect(layer.release()).toBe(true);
    expect((await peer.pdu())?.type).toBe(5);
    peer.send(encodeReleaseRq());
    await peer.until(() => user.log.includes('release'));
    expect(layer.state).toBe('Sta10');
    peer.send(encodeReleaseRp());
    expect((await peer.pdu())?.type).toBe(6);
    expect(layer.state).toBe('Sta13');
    expect(user.log.at(-1)).toBe('released');
  });

  it('collision, seen from the requestor: Sta9, Sta11, closed', async () => {
    const { layer, user, raw, got } = await requestor();
    layer.release();
    raw.write(encodeReleaseRq());
    while (!user.log.includes('release')) await sleep(5);
    expect(layer.state).toBe('Sta9');
    layer.releaseResponse();
    expect(layer.state).toBe('Sta11');
    raw.write(encodeReleaseRp());
    while (!user.log.includes('released')) await sleep(5);
    expect(got()).toEqual(Buffer.concat([encodeReleaseRq(), encodeReleaseRp()]));
    expect(layer.state).toBe('Sta1');
    expect(user.error).toBeUndefined();
  });

  it('data that was under way is taken in Sta7; nothing more is sent', async () => {
    const { layer, user, raw } = await requestor();
    layer.release();
    raw.write(samplePData(1, true, true, Buffer.alloc(10)));
    while (!user.log.includes('data 10')) await sleep(5);
    expect(layer.state).toBe('Sta7');
    expect(() => layer.send([Buffer.alloc(1)])).toThrow();
  });

  it('ARTIM closes a transport that the peer leaves open after the release', async () => {
    const { layer, peer } = await acceptor();
    peer.send(encodeReleaseRq());
    await sleep(20);
    layer.releaseResponse();
    expect((await peer.pdu())?.type).toBe(6);
    expect(layer.state).toBe('Sta13');
    expect(await peer.until(() => peer.ended, 1_000)).toBe(true);
    expect(layer.state).toBe('Sta1');
  });
});

describe('abort', () => {
  it('of the peer carries its source and reason, once', async () => {
    const { user, peer } = await acceptor();
    peer.send(encodeAbort(2, 4), encodeAbort(2, 4));
    await peer.until(() => peer.ended);
    expect(user.log).toEqual(['associate', 'aborted']);
    expect(user.error).toMatchObject({ source: 2, reason: 4 });
  });

  it('of ours: PDUs that still come are ignored (AA-6), an A-ASSOCIATE-RQ is answered by another abort (AA-7)', async () => {
    const { layer, user, peer } = await acceptor();
    layer.abort(Object.assign(new Error('x'), { transient: true }) as DimseError);
    expect([...(await peer.pdu())!.body]).toEqual([0, 0, 0, 0]);
    peer.send(samplePData(1, true, true, Buffer.alloc(10)), encodeReleaseRq());
    await sleep(30);
    expect([peer.received.length, user.log]).toEqual([0, ['associate', 'aborted']]);
    peer.send(sampleAssociateRq());
    expect((await peer.pdu())?.body[2]).toBe(2);
    expect(layer.state).toBe('Sta13');
  });

  it('an exception in the user aborts this association only', async () => {
    const { user, peer } = await acceptor();
    user.fragment = () => {
      throw new Error('bug');
    };
    peer.send(samplePData(1, true, true, Buffer.alloc(10)));
    expect([...(await peer.pdu())!.body]).toEqual([0, 0, 2, 0]);
    expect(user.log.at(-1)).toBe('aborted');
  });
});

describe('lost connection', () => {
  it('is told as lost, and waiting writers hear of it', async () => {
    const { layer, user, peer } = await acceptor();
    peer.socket.pause();
    const block = Buffer.alloc(1024 * 1024);
    let wait: Promise<void> | undefined;
    for (let i = 0; i < 64 && !wait; i++) {
      layer.send([block]);
      wait = layer.drained();
    }
    expect(wait).toBeInstanceOf(Promise);
    peer.socket.resetAndDestroy();
    await expect(wait).rejects.toMatchObject({ name: 'ConnectionError', transient: true });
    expect(user.log.at(-1)).toBe('lost');
    await expect(layer.drained()).rejects.toThrow();
    expect(() => layer.send([block])).toThrow();
  });
});

describe('TCP_QUICKACK', () => {
  it('is re-armed where the system has it, and does nothing on a closed socket', async () => {
    const { layer } = await acceptor();
    const rearm = quickAck(layer.socket);
    expect(rearm !== undefined).toBe(quickAckAvailable());
    if (process.platform === 'linux') expect(quickAckAvailable()).toBe(true);
    rearm?.();
    layer.socket.destroy();
    expect(() => rearm?.()).not.toThrow();
  });
});

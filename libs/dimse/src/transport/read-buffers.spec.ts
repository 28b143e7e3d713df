import { createHash } from 'node:crypto';
import { createServer, connect as connectTcp, type AddressInfo, type Server, type Socket } from 'node:net';
import { DimseServer } from '../server';
import { connect } from '../client';
import { UID } from '../uids';
import { connectWithReadBuffers, readBuffers, withReadBuffers } from './read-buffers';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const SIZE = 800_000;

/** Bytes that differ at every place and for every object: a chunk out of another one's buffer shows. */
function bytesOf(seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(SIZE);
  for (let at = 0; at + 4 <= SIZE; at += 4)
    bytes.writeUInt32LE((Math.imul(at + 1, 2654435761) ^ Math.imul(seed, 40503)) >>> 0, at);
  return bytes;
}
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

it('never overwrites a chunk that a sink still works on, over associations at once', async () => {
  const received = new Map<string, string>();
  let waits = 0;
  const server = new DimseServer({
    host: '127.0.0.1',
    port: 0,
    handlers: {
      associate: ({ contexts }) => ({
        accept: true,
        contexts: contexts.map(({ id, transferSyntaxes }) => ({ id, result: 0, transferSyntax: transferSyntaxes[0]! })),
      }),
      store: ({ sopInstanceUid }) => {
        const hash = createHash('sha256');
        let n = 0;
        return {
          write: (chunk) => {
            // some at once, some only after the socket has had time to read on
            if (n++ % 3 === 0) return void hash.update(chunk);
            waits += 1;
            return new Promise<void>((resolve) => setTimeout(resolve, n % 5)).then(() => void hash.update(chunk));
          },
          end: () => {
            received.set(sopInstanceUid, hash.digest('hex'));
            return Promise.resolve({ status: 0 });
          },
          abort: () => undefined,
        };
      },
    },
  });
  const { port } = await server.listen();
  const contexts = [{ abstractSyntax: CT, transferSyntaxes: [UID.implicitVrLittleEndian] }];
  const expected = new Map<string, string>();
  const send = async (association: number): Promise<void> => {
    const peer = await connect({
      host: '127.0.0.1',
      port,
      calledAeTitle: 'A',
      callingAeTitle: `B${association}`,
      contexts,
    });
    for (let n = 0; n < 2; n++) {
      const body = bytesOf(association * 100 + n);
      const sopInstanceUid = `1.2.${association}.${n}`;
      expected.set(sopInstanceUid, sha256(body));
      const contextId = peer.contexts[0]!.id;
      expect(
        (await peer.store({ contextId, sopClassUid: CT, sopInstanceUid, body: [body], length: SIZE })).status,
      ).toBe(0);
    }
    await peer.release();
  };
  await Promise.all([1, 2, 3, 4].map(send));
  expect(received).toEqual(expected);
  expect(waits).toBeGreaterThan(8);
  await server.close(1000);
});

describe('an accepted socket', () => {
  let server: Server;
  let accepted: Promise<Socket>;
  beforeEach(async () => {
    let take!: (socket: Socket) => void;
    accepted = new Promise((resolve) => (take = resolve));
    server = createServer({ pauseOnConnect: true }, (socket) => take(withReadBuffers(socket)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  const open = (): Socket => connectTcp((server.address() as AddressInfo).port, '127.0.0.1');

  it('keeps what came before anyone listened, tells of the end, and is counted by its server until it closes', async () => {
    const peer = open();
    peer.write('early');
    const socket = await accepted;
    const buffers = readBuffers(socket)!;
    await new Promise((resolve) => setTimeout(resolve, 50));
    const chunks: string[] = [];
    buffers.listen({ chunk: (chunk) => chunks.push(chunk.toString()) < 0 });
    const ended = new Promise((resolve) => socket.once('end', resolve));
    peer.end('late');
    await ended;
    expect(chunks.join('')).toBe('earlylate');
    expect(await new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(1);
    const closed = new Promise((resolve) => server.close(resolve));
    socket.destroy();
    await closed;
  });

  it('is not read while it is paused', async () => {
    const peer = open();
    const socket = await accepted;
    let bytes = 0;
    readBuffers(socket)!.listen({
      chunk: (chunk) => {
        bytes += chunk.length;
        socket.pause();
        return false;
      },
    });
    peer.write(Buffer.alloc(8 * 1024 * 1024));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(256 * 1024);
    socket.resume();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(bytes).toBeLessThanOrEqual(512 * 1024);
    peer.destroy();
    socket.destroy();
    server.close();
  });
});

describe('a connection of ours', () => {
  it('reads into our buffers, is not read while it is paused, and tells of the end', async () => {
    const server = createServer((socket) => socket.end(Buffer.alloc(2 * 1024 * 1024, 7)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const socket = connectWithReadBuffers({ host: '127.0.0.1', port });
    let bytes = 0;
    const memory = new Set<ArrayBufferLike>();
    readBuffers(socket)!.listen({
      chunk: (chunk) => {
        bytes += chunk.length;
        memory.add(chunk.buffer);
        if (bytes < 600_000) socket.pause();
        return false;
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(256 * 1024);
    const ended = new Promise((resolve) => socket.once('end', resolve));
    const resuming = setInterval(() => socket.resume(), 5);
    await ended;
    clearInterval(resuming);
    expect(bytes).toBe(2 * 1024 * 1024);
    // the same few buffers again and again
    expect(memory.size).toBeLessThanOrEqual(3);
    server.close();
  });

  it('tells when nobody listens there', async () => {
    const socket = connectWithReadBuffers({ host: '127.0.0.1', port: 1 });
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => socket.once('error', resolve));
    expect(error.code).toBe('ECONNREFUSED');
  });
});

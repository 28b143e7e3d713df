/** A peer that answers a C-STORE before it has taken the data set: its memory must not be used again yet. */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { connect } from '../client';
import { decodeAssociateRq } from '../pdu/decode';
import { encodeAssociateAc, encodePDataHeader } from '../pdu/encode';
import { UID } from '../uids';
import { COMMAND, encodeCommandSet, NO_DATA_SET, RESPONSE_BIT } from './command-set';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const SIZE = 100_000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Accepts one association; then reads nothing until it is told to, and answers what it is told to. */
async function startPeer(): Promise<{ port: number; socket(): Socket; chunks: Buffer[]; close(): void }> {
  const chunks: Buffer[] = [];
  let socket: Socket | undefined;
  const server = createServer((accepted) => {
    socket = accepted;
    accepted.on('error', () => undefined);
    accepted.once('data', (rq: Buffer) => {
      accepted.pause();
      accepted.on('data', (chunk: Buffer) => chunks.push(chunk));
      accepted.pause();
      const request = decodeAssociateRq(rq.subarray(6));
      const contexts = request.contexts.map(({ id, transferSyntaxes }) => ({
        id,
        result: 0 as const,
        transferSyntax: transferSyntaxes[0]!,
      }));
      accepted.write(encodeAssociateAc({ ...request, contexts, user: { ...request.user, maxPduLength: 0 } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { port, socket: () => socket!, chunks, close: () => (socket?.destroy(), server.close()) };
}

function answerTo(messageId: number): Buffer {
  const command = encodeCommandSet({
    commandField: COMMAND.storeRq | RESPONSE_BIT,
    commandDataSetType: NO_DATA_SET,
    messageIdBeingRespondedTo: messageId,
    affectedSopClassUid: CT,
    affectedSopInstanceUid: '1.2.3',
    status: 0,
  });
  return Buffer.concat([encodePDataHeader(1, true, true, command.length), command]);
}

/** Data set bytes of each message, of PDUs with one PDV each. */
function datasets(stream: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 12 <= stream.length;) {
    const length = stream.readUInt32BE(at + 2);
    const isCommand = (stream[at + 11]! & 1) === 1;
    if (!isCommand) found.push(stream.subarray(at + 12, at + 6 + length));
    at += 6 + length;
  }
  return found;
}

it('store() settles when the socket has taken all, though the answer came before', async () => {
  const peer = await startPeer();
  const association = await connect({
    host: '127.0.0.1',
    port: peer.port,
    calledAeTitle: 'A',
    callingAeTitle: 'B',
    contexts: [{ abstractSyntax: CT, transferSyntaxes: [UID.implicitVrLittleEndian] }],
  });
  const body = Buffer.alloc(SIZE);
  let sent = 0;
  try {
    // until the buffers of both sockets are full: then one data set waits in ours
    for (let waits = false; !waits;) {
      body.fill(++sent % 256);
      const stored = association.store({ contextId: 1, sopClassUid: CT, sopInstanceUid: '1.2.3', body: [body] });
      await sleep(1);
      peer.socket().write(answerTo(sent));
      waits = await Promise.race([stored.then(() => false), sleep(400).then(() => true)]);
      if (!waits) continue;
      peer.socket().resume();
      expect((await stored).status).toBe(0);
    }
    body.fill(0);
    const whole = (): Buffer[] => datasets(Buffer.concat(peer.chunks)).filter((one) => one.length === SIZE);
    for (let i = 0; i < 100 && whole().length < sent; i++) await sleep(20);
    const got = whole();
    expect(got.length).toBe(sent);
    got.forEach((one, i) => expect(one.equals(Buffer.alloc(SIZE, (i + 1) % 256))).toBe(true));
  } finally {
    association.abort();
    peer.close();
  }
}, 60_000);

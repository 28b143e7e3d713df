import { connect as connectTcp } from 'node:net';
import type { StoreSink } from './api';
import { connect } from './client';
import { encodeAbort, encodeReleaseRq } from './pdu/encode';
import { REJECTION } from './reasons';
import { COMMAND, decodeCommandSet, NO_DATA_SET, WITH_DATA_SET, type CommandSet } from './session/command-set';
import { StatusError } from './session/status-error';
import { ScriptedPeer, sampleAssociateRq, sampleCommand, samplePData } from './testing/scripted-peer';
import { acceptAll, startKit, type Kit } from './testing/server-kit';
import { UID } from './uids';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const STORE: CommandSet = {
  commandField: COMMAND.storeRq,
  commandDataSetType: WITH_DATA_SET,
  affectedSopClassUid: CT,
  affectedSopInstanceUid: '1.2.3.4',
  messageId: 1,
  priority: 0,
};
const FIND_RQ: CommandSet = {
  commandField: COMMAND.findRq,
  commandDataSetType: WITH_DATA_SET,
  affectedSopClassUid: FIND,
  messageId: 3,
};
const ECHO: CommandSet = {
  commandField: COMMAND.echoRq,
  commandDataSetType: NO_DATA_SET,
  affectedSopClassUid: UID.verification,
  messageId: 9,
};
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let kit: Kit;
const peers: ScriptedPeer[] = [];
async function peer(): Promise<ScriptedPeer> {
  const made = await ScriptedPeer.open(kit.port);
  peers.push(made);
  return made;
}
async function associated(): Promise<ScriptedPeer> {
  const made = await peer();
  made.send(sampleAssociateRq());
  expect((await made.pdu())?.type).toBe(2);
  return made;
}
/** The next DIMSE response's command set. */
async function response(from: ScriptedPeer): Promise<CommandSet> {
  const pdu = await from.pdu();
  expect(pdu?.type).toBe(4);
  return decodeCommandSet(pdu!.body.subarray(6));
}
async function expectAbort(from: ScriptedPeer, source: number, reason: number): Promise<void> {
  const pdu = await from.pdu();
  expect([pdu?.type, pdu?.body[2], pdu?.body[3]]).toEqual([7, source, reason]);
}
afterEach(async () => {
  for (const one of peers.splice(0)) one.close();
  await kit.close();
});

describe('making an association', () => {
  it.each([
    ['protocol version', { protocolVersion: 2 }, [1, 2, 2]],
    ['application context', { applicationContext: '1.2.3' }, [1, 1, 2]],
  ])('%s is checked', async (_name, change, [result, source, reason]) => {
    kit = await startKit();
    const script = await peer();
    script.send(sampleAssociateRq(change));
    const pdu = await script.pdu();
    expect([pdu?.type, ...pdu!.body.subarray(1)]).toEqual([3, result, source, reason]);
  });

  it('AE titles with control characters are refused', async () => {
    kit = await startKit();
    for (const [offset, reason] of [
      [10, 7],
      [26, 3],
    ] as const) {
      const script = await peer();
      const bytes = sampleAssociateRq();
      bytes[offset + 1] = 0x0a;
      script.send(bytes);
      expect([...(await script.pdu())!.body]).toEqual([0, 1, 1, reason]);
    }
  });

  it.each(Object.entries(REJECTION))('rejects with %s', async (_name, rejection) => {
    kit = await startKit({ associate: () => ({ accept: false, ...rejection }) });
    const attempt = connect({
      host: '127.0.0.1',
      port: kit.port,
      calledAeTitle: 'A',
      callingAeTitle: 'B',
      contexts: [{ abstractSyntax: UID.verification, transferSyntaxes: ['1.2.840.10008.1.2'] }],
    });
    await expect(attempt).rejects.toMatchObject({
      name: 'AssociationRejectedError',
      ...rejection,
      transient: rejection.result === 2,
    });
  });

  it('a handler that throws rejects transiently', async () => {
    kit = await startKit({ associate: () => Promise.reject(new Error('database away')) });
    const script = await peer();
    script.send(sampleAssociateRq());
    expect([...(await script.pdu())!.body]).toEqual([0, 2, 1, 1]);
  });

  it('beyond maxAssociations: local limit exceeded', async () => {
    kit = await startKit({}, { limits: { maxAssociations: 1 } });
    await associated();
    const second = await peer();
    second.send(sampleAssociateRq());
    expect([...(await second.pdu())!.body]).toEqual([0, 2, 3, 2]);
  });

  it('also those count whose application still thinks; the limit on silence can be set for each', async () => {
    const go: (() => void)[] = [];
    kit = await startKit(
      {
        associate: async (request) => {
          await new Promise<void>((resolve) => go.push(resolve));
          return { ...((await acceptAll(request)) as { accept: true; contexts: [] }), idleTimeoutMs: 150 };
        },
      },
      { limits: { maxAssociations: 1 } },
    );
    const [first, second] = [await peer(), await peer()];
    first.send(sampleAssociateRq());
    await first.until(() => go.length === 1);
    second.send(sampleAssociateRq());
    expect([...(await second.pdu())!.body]).toEqual([0, 2, 3, 2]);
    go[0]!();
    expect((await first.pdu())?.type).toBe(2);
    await expectAbort(first, 2, 0);
  });

  it('an item longer than the PDU aborts: invalid PDU parameter value', async () => {
    kit = await startKit();
    const script = await peer();
    const bytes = sampleAssociateRq();
    bytes.writeUInt16BE(0xffff, 76);
    script.send(bytes);
    await expectAbort(script, 2, 6);
  });

  it('an unknown PDU type aborts, and the event says garbage', async () => {
    kit = await startKit();
    const script = await peer();
    script.send(Buffer.from('09000000000400000000', 'hex'));
    await expectAbort(script, 2, 1);
    expect(kit.events).toContain('garbage');
  });

  it('P-DATA before the association aborts: unexpected PDU', async () => {
    kit = await startKit();
    const script = await peer();
    script.send(sampleCommand(1, ECHO));
    await expectAbort(script, 2, 2);
  });

  it.each([
    ['http', 'GET / HTTP/1.1\r\n\r\n', 'http'],
    ['TLS', '\x16\x03\x01\x02\x00\x01', 'garbage'],
  ])('%s is closed without an answer', async (_name, text, event) => {
    kit = await startKit();
    const script = await peer();
    script.send(Buffer.from(text, 'latin1'));
    expect(await script.until(() => script.ended)).toBe(true);
    expect(script.received).toHaveLength(0);
    expect(kit.events).toContain(event);
  });

  it('ARTIM ends a connection that says nothing, and one that sends too slowly', async () => {
    kit = await startKit({}, { limits: { artimMs: 150 } });
    const [silent, slow] = [await peer(), await peer()];
    const bytes = sampleAssociateRq();
    let at = 0;
    const timer = setInterval(() => slow.socket.write(bytes.subarray(at, ++at)), 20);
    expect(await silent.until(() => silent.ended, 1_000)).toBe(true);
    expect(await slow.until(() => slow.ended, 1_000)).toBe(true);
    clearInterval(timer);
    expect(kit.events.filter((event) => event === 'artim')).toHaveLength(2);
  });

  it('ARTIM ends a rejected connection that stays open', async () => {
    kit = await startKit({ associate: () => ({ accept: false, ...REJECTION.noReason }) }, { limits: { artimMs: 100 } });
    const script = await peer();
    script.send(sampleAssociateRq());
    expect((await script.pdu())?.type).toBe(3);
    expect(await script.until(() => script.ended, 1_000)).toBe(true);
  });

  // In processor time of the two ends together: what else the machine does has no part in it. The time that passes is
  // shown against the running system, in the e2e suite of hostile peers.
  it('500 half-open connections cost a C-ECHO less than 500 ms; the oldest are dropped', async () => {
    kit = await startKit();
    const sockets = Array.from({ length: 500 }, () =>
      connectTcp({ host: '127.0.0.1', port: kit.port }).on('error', () => undefined),
    );
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    for (const socket of sockets) socket.write(Buffer.from([1, 0, 0]));
    const before = process.cpuUsage();
    const association = await connect({
      host: '127.0.0.1',
      port: kit.port,
      calledAeTitle: 'A',
      callingAeTitle: 'B',
      contexts: [{ abstractSyntax: UID.verification, transferSyntaxes: ['1.2.840.10008.1.2'] }],
    });
    expect((await association.echo()).status).toBe(0);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(500);
    expect(kit.events.filter((event) => event === 'overflow').length).toBeGreaterThanOrEqual(400);
    await association.release();
    for (const socket of sockets) socket.destroy();
  });
});

describe('messages out of order', () => {
  beforeEach(async () => {
    kit = await startKit();
  });
  it.each([
    ['data set without a command', [samplePData(3, false, true, Buffer.alloc(8))], 5],
    ['unknown context', [sampleCommand(99, ECHO)], 6],
    ['command inside a data set', [sampleCommand(3, STORE), sampleCommand(3, STORE)], 5],
    ['data set on another context', [sampleCommand(3, STORE), samplePData(1, false, true, Buffer.alloc(8))], 6],
    ['command that is none', [samplePData(1, true, true, Buffer.from('0800050004000000', 'hex'))], 6],
    ['request without a message ID', [sampleCommand(1, { ...ECHO, messageId: undefined })], 6],
    ['second A-ASSOCIATE-RQ', [sampleAssociateRq()], 2],
    ['A-RELEASE-RP that nobody asked for', [Buffer.from('06000000000400000000', 'hex')], 2],
    ['P-DATA-TF of 4 GiB', [Buffer.from('0400ffffffff', 'hex')], 6],
  ])('%s aborts', async (_name, bytes, reason) => {
    const script = await associated();
    script.send(...bytes);
    await expectAbort(script, 2, reason);
    await script.until(() => kit.events.includes('aborted'));
    expect(kit.events.filter((event) => event === 'aborted')).toHaveLength(1);
  });

  it('endless command fragments abort', async () => {
    const script = await associated();
    for (let i = 0; i < 10; i++) script.send(samplePData(1, true, false, Buffer.alloc(8_000)));
    await expectAbort(script, 2, 6);
  });
});

describe('requests that cannot be served', () => {
  beforeEach(async () => {
    kit = await startKit();
  });
  it.each<[string, number, CommandSet, number]>([
    ['no handler', 5, FIND_RQ, 0x0211],
    ['SOP class of another context', 3, { ...STORE, affectedSopClassUid: '1.2.3' }, 0x0122],
    ['missing SOP class', 3, { ...STORE, affectedSopClassUid: undefined }, 0x0115],
    ['hostile SOP instance UID', 3, { ...STORE, affectedSopInstanceUid: '../../etc/passwd' }, 0x0117],
    ['unknown command field', 1, { ...ECHO, commandField: 0x0077 }, 0x0211],
    ['C-STORE without a data set', 3, { ...STORE, commandDataSetType: NO_DATA_SET }, 0xc000],
  ])('%s', async (_name, contextId, command, status) => {
    const script = await associated();
    script.send(sampleCommand(contextId, command));
    if (command.commandDataSetType !== NO_DATA_SET) script.send(samplePData(contextId, false, true, Buffer.alloc(64)));
    const answer = await response(script);
    expect(answer).toMatchObject({
      status,
      messageIdBeingRespondedTo: command.messageId,
      commandDataSetType: NO_DATA_SET,
    });
    expect(answer.commandField).toBe(command.commandField | 0x8000);
    // The association lives.
    script.send(sampleCommand(1, ECHO));
    expect((await response(script)).status).toBe(0);
    script.send(encodeReleaseRq());
    expect((await script.pdu())?.type).toBe(6);
  });
});

describe('C-STORE', () => {
  it('every fragmentation gives the same bytes, in one answer of one write', async () => {
    kit = await startKit();
    const script = await associated();
    const data = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 0xff));
    const whole = Buffer.concat([
      sampleCommand(3, STORE),
      samplePData(3, false, false, data.subarray(0, 400)),
      samplePData(3, false, false, Buffer.alloc(0)),
      samplePData(3, false, true, data.subarray(400)),
    ]);
    for (let at = 1; at < whole.length; at += 97) {
      script.send(whole.subarray(0, at));
      await sleep(1);
      script.send(whole.subarray(at));
      expect(await response(script)).toMatchObject({ status: 0, affectedSopInstanceUid: '1.2.3.4' });
      expect(kit.stored.get('1.2.3.4')).toEqual(data);
    }
  });

  it.each<[string, Partial<StoreSink>, number, string]>([
    ['end() rejects', { end: () => Promise.reject(new Error('secret path')) }, 0x0110, 'The service failed internally'],
    [
      'write() throws a status',
      {
        write: () => {
          throw new StatusError({ status: 0xa700, errorComment: 'Disk full' });
        },
      },
      0xa700,
      'Disk full',
    ],
    ['write() rejects', { write: () => Promise.reject(new StatusError({ status: 0xa700 })) }, 0xa700, ''],
  ])('%s: status, rest drained, association lives', async (_name, part, status, comment) => {
    const aborts: Error[] = [];
    const sink: StoreSink = {
      write: () => undefined,
      end: async () => ({ status: 0 }),
      abort: (reason) => void aborts.push(reason),
      ...part,
    };
    kit = await startKit({ store: () => sink });
    const script = await associated();
    for (let i = 0; i < 2; i++) {
      script.send(
        sampleCommand(3, STORE),
        samplePData(3, false, false, Buffer.alloc(9_000)),
        samplePData(3, false, true, Buffer.alloc(9_000)),
      );
      const answer = await response(script);
      expect([answer.status, answer.errorComment ?? '']).toEqual([status, comment]);
    }
    expect(aborts).toHaveLength(part.write ? 2 : 0);
  });

  it.each(['abort', 'loss', 'protocol error'])(
    '%s in the middle aborts the sink once, after its pending write',
    async (how) => {
      const calls: string[] = [];
      let go!: () => void;
      kit = await startKit({
        store: () => ({
          write: () => new Promise<void>((resolve) => (go = resolve)).then(() => void calls.push('written')),
          end: async () => ({ status: 0 }),
          abort: () => void calls.push('abort'),
        }),
      });
      const script = await associated();
      script.send(sampleCommand(3, STORE), samplePData(3, false, false, Buffer.alloc(100)));
      await sleep(30);
      if (how === 'abort') script.send(encodeAbort(0, 0));
      else if (how === 'loss') script.close();
      else script.send(samplePData(99, false, true, Buffer.alloc(2)));
      await sleep(30);
      expect(calls).toEqual([]);
      go();
      await script.until(() => calls.includes('abort'));
      await sleep(20);
      expect(calls).toEqual(['written', 'abort']);
    },
  );

  it('a slow sink holds the sender: socket paused, memory bounded, nothing handled twice', async () => {
    const free: (() => void)[] = [];
    let taken = 0;
    let active = 0;
    let most = 0;
    kit = await startKit({
      store: () => ({
        write: (chunk) => {
          taken += chunk.length;
          most = Math.max(most, ++active);
          return new Promise<void>((resolve) =>
            free.push(() => {
              active--;
              resolve();
            }),
          );
        },
        end: async () => ({ status: 0 }),
        abort: () => undefined,
      }),
    });
    const script = await associated();
    const [serverSide] = [
      ...(kit.server as unknown as { connections: Set<{ socket: { isPaused(): boolean; bytesRead: number } }> })
        .connections,
    ];
    const before = process.memoryUsage().arrayBuffers;
    script.send(sampleCommand(3, STORE));
    const total = 64 * 1024 * 1024;
    const block = Buffer.concat(Array.from({ length: 8 }, () => samplePData(3, false, false, Buffer.alloc(131_072))));
    for (let sent = 0; sent < total; sent += 1024 * 1024) script.socket.write(block);
    await sleep(200);
    expect(serverSide!.socket.isPaused()).toBe(true);
    expect(taken).toBeLessThan(128 * 1024);
    expect(serverSide!.socket.bytesRead).toBeLessThan(1024 * 1024);
    // The 64 MiB wait on the sender's side; ours took a few chunks.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    const drain = setInterval(() => free.splice(0).forEach((resolve) => resolve()), 0);
    script.send(samplePData(3, false, true, Buffer.alloc(2)));
    expect(await script.until(() => script.received.length > 0, 20_000)).toBe(true);
    clearInterval(drain);
    expect((await response(script)).status).toBe(0);
    expect(taken).toBe(total + 2);
    expect(most).toBe(1);
  }, 30_000);
});

describe('C-FIND', () => {
  it('a peer that reads nothing stops the handler, then is timed out; its signal is aborted', async () => {
    let yielded = 0;
    let signal!: AbortSignal;
    kit = await startKit(
      {
        async *find(request) {
          signal = request.signal;
          for (;;) {
            yielded++;
            yield { status: 0xff00, identifier: Buffer.alloc(50_000) };
          }
        },
      },
      { limits: { writeTimeoutMs: 400 } },
    );
    const script = await associated();
    script.socket.pause();
    script.send(sampleCommand(5, FIND_RQ), samplePData(5, false, true, Buffer.alloc(8)));
    await sleep(250);
    const early = yielded;
    await sleep(100);
    expect(yielded).toBe(early);
    expect(yielded * 50_000).toBeLessThan(16 * 1024 * 1024);
    expect(await script.until(() => kit.events.includes('lost'), 2_000)).toBe(true);
    expect(signal.aborted).toBe(true);
  });

  it('C-CANCEL in the middle aborts the signal; the last response says so', async () => {
    kit = await startKit({
      async *find(request) {
        for (let i = 0; !request.signal.aborted && i < 1_000; i++) {
          yield { status: 0xff00, identifier: Buffer.alloc(8) };
          await sleep(5);
        }
      },
    });
    const script = await associated();
    script.send(sampleCommand(5, FIND_RQ), samplePData(5, false, true, Buffer.alloc(8)));
    expect((await response(script)).status).toBe(0xff00);
    script.send(
      sampleCommand(5, {
        commandField: COMMAND.cancelRq,
        commandDataSetType: NO_DATA_SET,
        messageIdBeingRespondedTo: 3,
      }),
    );
    let last: CommandSet | undefined;
    for (let i = 0; i < 200 && last?.status !== 0xfe00; i++) {
      const pdu = await script.pdu();
      if (pdu!.body[5]! & 1) last = decodeCommandSet(pdu!.body.subarray(6));
    }
    expect(last?.status).toBe(0xfe00);
  });

  it('an identifier beyond the bound is drained and refused', async () => {
    kit = await startKit(
      {
        async *find() {
          yield { status: 0 };
        },
      },
      { limits: { maxIdentifierBytes: 1_000 } },
    );
    const script = await associated();
    script.send(
      sampleCommand(5, FIND_RQ),
      samplePData(5, false, false, Buffer.alloc(5_000)),
      samplePData(5, false, true, Buffer.alloc(5_000)),
    );
    expect((await response(script)).status).toBe(0xc000);
    script.send(sampleCommand(1, ECHO));
    expect((await response(script)).status).toBe(0);
  });

  it('repeated message IDs are refused while the first is in work; an echo is answered meanwhile', async () => {
    let go!: () => void;
    const gate = new Promise<void>((resolve) => (go = resolve));
    kit = await startKit({
      async *find() {
        await gate;
        yield { status: 0 };
      },
    });
    const script = await associated();
    const find = [sampleCommand(5, FIND_RQ), samplePData(5, false, true, Buffer.alloc(8))];
    script.send(...find, ...find, sampleCommand(1, ECHO));
    expect((await response(script)).status).toBe(0x0210);
    expect((await response(script)).commandField).toBe(0x8030);
    go();
    expect(await response(script)).toMatchObject({ status: 0, commandField: 0x8020 });
  });

  it('a message ID is free with the final response, while the handler still cleans up', async () => {
    const MOVE = '1.2.840.10008.5.1.4.1.2.2.2';
    let cleaned!: () => void;
    const cleanUp = new Promise<void>((resolve) => (cleaned = resolve));
    let served = 0;
    kit = await startKit({
      async *move() {
        served++;
        try {
          yield { status: 0, counts: { remaining: 0, completed: served, failed: 0, warning: 0 } };
        } finally {
          // as closing the association to a destination does, which the peer need not wait for
          await cleanUp;
        }
      },
    });
    const script = await peer();
    script.send(
      sampleAssociateRq({
        contexts: [{ id: 7, abstractSyntax: MOVE, transferSyntaxes: [UID.implicitVrLittleEndian] }],
      }),
    );
    expect((await script.pdu())?.type).toBe(2);
    const request = { ...FIND_RQ, commandField: COMMAND.moveRq, affectedSopClassUid: MOVE, moveDestination: 'X' };
    const move = [sampleCommand(7, request), samplePData(7, false, true, Buffer.alloc(8))];
    script.send(...move);
    expect(await response(script)).toMatchObject({ status: 0, completed: 1 });
    script.send(...move);
    cleaned();
    expect(await response(script)).toMatchObject({ status: 0, completed: 2 });
  });

  it('a handler that throws answers with a failure that says nothing of the inside', async () => {
    // eslint-disable-next-line require-yield
    kit = await startKit({
      async *find() {
        throw new Error('SELECT secret');
      },
    });
    const script = await associated();
    script.send(sampleCommand(5, FIND_RQ), samplePData(5, false, true, Buffer.alloc(8)));
    expect(await response(script)).toMatchObject({ status: 0xc000, errorComment: 'The service failed internally' });
  });
});

describe('time limits and closing', () => {
  it('a silent association is aborted; while the service works, silence does not count', async () => {
    kit = await startKit(
      {
        async *find() {
          await sleep(500);
          yield { status: 0 };
        },
      },
      { limits: { idleTimeoutMs: 200 } },
    );
    const script = await associated();
    script.send(sampleCommand(5, FIND_RQ), samplePData(5, false, true, Buffer.alloc(8)));
    expect((await response(script)).status).toBe(0);
    const started = Date.now();
    await expectAbort(script, 2, 0);
    expect(Date.now() - started).toBeGreaterThanOrEqual(150);
  });

  it('close() lets work finish, refuses new connections, aborts quiet associations', async () => {
    let go!: () => void;
    kit = await startKit({
      store: () => ({
        write: () => undefined,
        end: () => new Promise((resolve) => (go = () => resolve({ status: 0 }))),
        abort: () => undefined,
      }),
    });
    const [quiet, working] = [await associated(), await associated()];
    working.send(sampleCommand(3, STORE), samplePData(3, false, true, Buffer.alloc(8)));
    await sleep(50);
    expect(kit.server.associations()).toHaveLength(2);
    const closing = kit.server.close(5_000);
    await expectAbort(quiet, 2, 0);
    go();
    expect((await response(working)).status).toBe(0);
    await closing;
    expect(kit.server.associations()).toHaveLength(0);
    await expect(ScriptedPeer.open(kit.port)).rejects.toThrow();
  });
});

import type { StoreSink } from './api';
import { encodeAbort } from './pdu/encode';
import { COMMAND, decodeCommandSet, NO_DATA_SET, type CommandSet } from './session/command-set';
import { StatusError } from './session/status-error';
import { sampleAssociateRq, sampleCommand, samplePData } from './testing/scripted-peer';
import { type Kit } from './testing/server-kit';
import { STORE, FIND_RQ, ECHO, ServerScript } from './testing/server-script';
import { UID } from './uids';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let kit: Kit;
const script = new ServerScript();
const { peer, associated, response } = script;
afterEach(() => script.end());

describe('C-STORE', () => {
  it('every fragmentation gives the same bytes, in one answer of one write', async () => {
    kit = await script.start();
    const made = await associated();
    const data = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 0xff));
    const whole = Buffer.concat([
      sampleCommand(3, STORE),
      samplePData(3, false, false, data.subarray(0, 400)),
      samplePData(3, false, false, Buffer.alloc(0)),
      samplePData(3, false, true, data.subarray(400)),
    ]);
    for (let at = 1; at < whole.length; at += 97) {
      made.send(whole.subarray(0, at));
      await sleep(1);
      made.send(whole.subarray(at));
      expect(await response(made)).toMatchObject({ status: 0, affectedSopInstanceUid: '1.2.3.4' });
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
    kit = await script.start({ store: () => sink });
    const made = await associated();
    for (let i = 0; i < 2; i++) {
      made.send(
        sampleCommand(3, STORE),
        samplePData(3, false, false, Buffer.alloc(9_000)),
        samplePData(3, false, true, Buffer.alloc(9_000)),
      );
      const answer = await response(made);
      expect([answer.status, answer.errorComment ?? '']).toEqual([status, comment]);
    }
    expect(aborts).toHaveLength(part.write ? 2 : 0);
  });

  it.each(['abort', 'loss', 'protocol error'])(
    '%s in the middle aborts the sink once, after its pending write',
    async (how) => {
      const calls: string[] = [];
      let go!: () => void;
      kit = await script.start({
        store: () => ({
          write: () => new Promise<void>((resolve) => (go = resolve)).then(() => void calls.push('written')),
          end: async () => ({ status: 0 }),
          abort: () => void calls.push('abort'),
        }),
      });
      const made = await associated();
      made.send(sampleCommand(3, STORE), samplePData(3, false, false, Buffer.alloc(100)));
      await sleep(30);
      if (how === 'abort') made.send(encodeAbort(0, 0));
      else if (how === 'loss') made.close();
      else made.send(samplePData(99, false, true, Buffer.alloc(2)));
      await sleep(30);
      expect(calls).toEqual([]);
      go();
      await made.until(() => calls.includes('abort'));
      await sleep(20);
      expect(calls).toEqual(['written', 'abort']);
    },
  );

  it('a slow sink holds the sender: socket paused, memory bounded, nothing handled twice', async () => {
    const free: (() => void)[] = [];
    let taken = 0;
    let active = 0;
    let most = 0;
    kit = await script.start({
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
    const made = await associated();
    const [serverSide] = [
      ...(kit.server as unknown as { connections: Set<{ socket: { isPaused(): boolean; bytesRead: number } }> })
        .connections,
    ];
    const before = process.memoryUsage().arrayBuffers;
    made.send(sampleCommand(3, STORE));
    const total = 64 * 1024 * 1024;
    const block = Buffer.concat(Array.from({ length: 8 }, () => samplePData(3, false, false, Buffer.alloc(131_072))));
    for (let sent = 0; sent < total; sent += 1024 * 1024) made.socket.write(block);
    await sleep(200);
    expect(serverSide!.socket.isPaused()).toBe(true);
    expect(taken).toBeLessThan(128 * 1024);
    expect(serverSide!.socket.bytesRead).toBeLessThan(1024 * 1024);
    // The 64 MiB wait on the sender's side; ours took a few chunks.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    const drain = setInterval(() => free.splice(0).forEach((resolve) => resolve()), 0);
    made.send(samplePData(3, false, true, Buffer.alloc(2)));
    expect(await made.until(() => made.received.length > 0, 20_000)).toBe(true);
    clearInterval(drain);
    expect((await response(made)).status).toBe(0);
    expect(taken).toBe(total + 2);
    expect(most).toBe(1);
  }, 30_000);
});

describe('C-FIND', () => {
  it('a peer that reads nothing stops the handler, then is timed out; its signal is aborted', async () => {
    let yielded = 0;
    let signal!: AbortSignal;
    kit = await script.start(
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
    const made = await associated();
    made.socket.pause();
    made.send(sampleCommand(5, FIND_RQ), samplePData(5, false, true, Buffer.alloc(8)));
    await sleep(250);
    const early = yielded;
    await sleep(100);
    expect(yielded).toBe(early);
    expect(yielded * 50_000).toBeLessThan(16 * 1024 * 1024);
    expect(await made.until(() => kit.events.includes('lost'), 2_000)).toBe(true);
    expect(signal.aborted).toBe(true);
  });

  it('C-CANCEL in the middle aborts the signal; the last response says so', async () => {
    kit = await script.start({
      async *find(request) {
        for (let i = 0; !request.signal.aborted && i < 1_000; i++) {
          yield { status: 0xff00, identifier: Buffer.alloc(8) };
          await sleep(5);
        }
      },
    });
    const made = await associated();
    made.send(sampleCommand(5, FIND_RQ), samplePData(5, false, true, Buffer.alloc(8)));
    expect((await response(made)).status).toBe(0xff00);
    made.send(
      sampleCommand(5, {
        commandField: COMMAND.cancelRq,
        commandDataSetType: NO_DATA_SET,
        messageIdBeingRespondedTo: 3,
      }),
    );
    let last: CommandSet | undefined;
    for (let i = 0; i < 200 && last?.status !== 0xfe00; i++) {
      const pdu = await made.pdu();
      if (pdu!.body[5]! & 1) last = decodeCommandSet(pdu!.body.subarray(6));
    }
    expect(last?.status).toBe(0xfe00);
  });

  it('an identifier beyond the bound is drained and refused', async () => {
    kit = await script.start(
      {
        async *find() {
          yield { status: 0 };
        },
      },
      { limits: { maxIdentifierBytes: 1_000 } },
    );
    const made = await associated();
    made.send(
      sampleCommand(5, FIND_RQ),
      samplePData(5, false, false, Buffer.alloc(5_000)),
      samplePData(5, false, true, Buffer.alloc(5_000)),
    );
    expect((await response(made)).status).toBe(0xc000);
    made.send(sampleCommand(1, ECHO));
    expect((await response(made)).status).toBe(0);
  });

  it('repeated message IDs are refused while the first is in work; an echo is answered meanwhile', async () => {
    let go!: () => void;
    const gate = new Promise<void>((resolve) => (go = resolve));
    kit = await script.start({
      async *find() {
        await gate;
        yield { status: 0 };
      },
    });
    const made = await associated();
    const find = [sampleCommand(5, FIND_RQ), samplePData(5, false, true, Buffer.alloc(8))];
    made.send(...find, ...find, sampleCommand(1, ECHO));
    expect((await response(made)).status).toBe(0x0210);
    expect((await response(made)).commandField).toBe(0x8030);
    go();
    expect(await response(made)).toMatchObject({ status: 0, commandField: 0x8020 });
  });

  it('a message ID is free with the final response, while the handler still cleans up', async () => {
    const MOVE = '1.2.840.10008.5.1.4.1.2.2.2';
    let cleaned!: () => void;
    const cleanUp = new Promise<void>((resolve) => (cleaned = resolve));
    let served = 0;
    kit = await script.start({
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
    const made = await peer();
    made.send(
      sampleAssociateRq({
        contexts: [{ id: 7, abstractSyntax: MOVE, transferSyntaxes: [UID.implicitVrLittleEndian] }],
      }),
    );
    expect((await made.pdu())?.type).toBe(2);
    const request = { ...FIND_RQ, commandField: COMMAND.moveRq, affectedSopClassUid: MOVE, moveDestination: 'X' };
    const move = [sampleCommand(7, request), samplePData(7, false, true, Buffer.alloc(8))];
    made.send(...move);
    expect(await response(made)).toMatchObject({ status: 0, completed: 1 });
    made.send(...move);
    cleaned();
    expect(await response(made)).toMatchObject({ status: 0, completed: 2 });
  });

  it('a handler that throws answers with a failure that says nothing of the inside', async () => {
    // eslint-disable-next-line require-yield
    kit = await script.start({
      async *find() {
        throw new Error('SELECT secret');
      },
    });
    const made = await associated();
    made.send(sampleCommand(5, FIND_RQ), samplePData(5, false, true, Buffer.alloc(8)));
    expect(await response(made)).toMatchObject({ status: 0xc000, errorComment: 'The service failed internally' });
  });
});

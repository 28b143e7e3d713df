import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { AssociationOptions, ClientAssociation, FindResponse, RetrieveResponse } from './api';
import { connect } from './client';
import { COMMAND } from './session/command-set';
import { fragmentSize } from './session/sender';
import { acceptAll, memorySink, startKit, type Kit } from './testing/server-kit';
import { UID } from './uids';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const MOVE = '1.2.840.10008.5.1.4.1.2.2.2';
const GET = '1.2.840.10008.5.1.4.1.2.2.3';
const IVLE = ['1.2.840.10008.1.2'];
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let kit: Kit;
let open: ClientAssociation[] = [];
async function client(options: Partial<AssociationOptions> = {}): Promise<ClientAssociation> {
  const association = await connect({
    host: '127.0.0.1',
    port: kit.port,
    calledAeTitle: 'SERVER',
    callingAeTitle: 'CLIENT',
    contexts: [
      UID.verification,
      CT,
      FIND,
      MOVE,
      GET,
      UID.modalityPerformedProcedureStep,
      UID.storageCommitmentPushModel,
    ].map((abstractSyntax) => ({ abstractSyntax, transferSyntaxes: IVLE })),
    roles: [{ sopClassUid: CT, scuRole: true, scpRole: true }],
    ...options,
  });
  open.push(association);
  return association;
}
async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of source) list.push(one);
  return list;
}
afterEach(async () => {
  for (const one of open) one.abort();
  open = [];
  await kit?.close();
});

describe('negotiation', () => {
  it('carries every user information item both ways', async () => {
    kit = await startKit({
      associate: (request) => ({
        ...(acceptAll(request) as { accept: true; contexts: [] }),
        extended: [{ sopClassUid: FIND, info: Buffer.from([1, 1, 1, 1]) }],
        userIdentityResponse: Buffer.from('ticket'),
        asyncOps: { invoked: 4, performed: 2 },
      }),
    });
    const association = await client({
      asyncOps: { invoked: 8, performed: 0 },
      extended: [{ sopClassUid: FIND, info: Buffer.from([1, 1, 0, 0, 1]) }],
      commonExtended: [{ sopClassUid: CT, serviceClassUid: '1.2.840.10008.4.2', relatedGeneralSopClassUids: [] }],
      userIdentity: { type: 2, responseRequested: true, primary: Buffer.from('u'), secondary: Buffer.from('p') },
      maxPduLength: 65_536,
      implementationVersionName: 'TESTER',
    });
    expect(kit.requests[0]).toMatchObject({
      calledAeTitle: 'SERVER',
      callingAeTitle: 'CLIENT',
      maxPduLength: 65_536,
      implementationVersionName: 'TESTER',
      asyncOps: { invoked: 8, performed: 0 },
      extended: [{ sopClassUid: FIND, info: Buffer.from([1, 1, 0, 0, 1]) }],
      commonExtended: [{ sopClassUid: CT, serviceClassUid: '1.2.840.10008.4.2' }],
      userIdentity: { type: 2, primary: Buffer.from('u') },
    });
    expect(association.negotiated).toMatchObject({
      maxPduLength: 262_144,
      asyncOps: { invoked: 4, performed: 2 },
      extended: [{ sopClassUid: FIND, info: Buffer.from([1, 1, 1, 1]) }],
      userIdentityResponse: Buffer.from('ticket'),
      roles: [{ sopClassUid: CT, scuRole: true, scpRole: true }],
    });
    await association.release();
    expect(await association.closed).toBeUndefined();
    expect(kit.events).toContain('released');
  });

  it('contexts that the application leaves out or answers with a foreign syntax are not accepted', async () => {
    kit = await startKit({
      associate: () => ({
        accept: true,
        contexts: [
          { id: 1, result: 0, transferSyntax: IVLE[0]! },
          { id: 3, result: 0, transferSyntax: '1.2.3' },
          { id: 5, result: 3, transferSyntax: '' },
        ],
      }),
    });
    const association = await client();
    expect(association.contexts.map((context) => context.id)).toEqual([1]);
    expect(association.rejectedContexts.map(({ id, result }) => [id, result])).toEqual([
      [3, 4],
      [5, 3],
      [7, 3],
      [9, 3],
      [11, 3],
      [13, 3],
    ]);
  });

  it('errors are typed: refused port, silent listener, garbage, too many contexts', async () => {
    const sockets: Socket[] = [];
    const listen = async (talk: (socket: Socket) => void): Promise<{ port: number; close: () => void }> => {
      const server = createServer((socket) => {
        sockets.push(socket);
        socket.on('error', () => undefined);
        talk(socket);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return {
        port: (server.address() as AddressInfo).port,
        close: () => {
          server.close();
          sockets.forEach((socket) => socket.destroy());
        },
      };
    };
    kit = await startKit();
    const { port } = kit;
    await kit.close();
    await expect(client({ port })).rejects.toMatchObject({
      name: 'ConnectionError',
      code: 'ECONNREFUSED',
      transient: true,
    });
    const silent = await listen(() => undefined);
    await expect(client({ port: silent.port, connectTimeoutMs: 100 })).rejects.toMatchObject({
      name: 'TimeoutError',
      transient: true,
    });
    silent.close();
    const garbage = await listen((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await expect(client({ port: garbage.port })).rejects.toMatchObject({
      name: 'AssociationAbortedError',
      source: 2,
      reason: 1,
    });
    garbage.close();
    const contexts = Array.from({ length: 129 }, () => ({ abstractSyntax: CT, transferSyntaxes: IVLE }));
    await expect(client({ contexts })).rejects.toMatchObject({ name: 'UsageError', transient: false });
  });

  it('an aborted signal ends the association', async () => {
    kit = await startKit();
    const controller = new AbortController();
    const association = await client({ signal: controller.signal });
    controller.abort();
    expect(await association.closed).toMatchObject({ name: 'AssociationAbortedError' });
    await expect(association.echo()).rejects.toMatchObject({ name: 'AssociationAbortedError' });
  });
});

describe('C-STORE', () => {
  it.each([0, 64, 100, 16_384, 1_000_000])('arrives whole through a maximum PDU of %d', async (maxPduLength) => {
    kit = await startKit({}, { limits: { maxPduLength } });
    const association = await client();
    const body = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7) & 0xff));
    async function* pieces(): AsyncGenerator<Buffer> {
      for (let at = 0, size = 1; at < body.length; at += size, size = ((size * 3) % 5_000) + 1) {
        if (size % 7 === 0) await sleep(0);
        yield body.subarray(at, at + size);
        yield Buffer.alloc(0);
      }
    }
    for (const source of [[body], pieces()]) {
      const status = await association.store({
        contextId: 3,
        sopClassUid: CT,
        sopInstanceUid: '1.2.3',
        body: source,
        length: body.length,
      });
      expect(status).toEqual({ status: 0 });
      expect(kit.stored.get('1.2.3')).toEqual(body);
      kit.stored.clear();
    }
  });

  it('fragments fit the peer, whatever it says', () => {
    expect([0, 64, 16_384, 16_385, 0xffffffff].map(fragmentSize)).toEqual([262_138, 58, 16_378, 16_378, 262_138]);
  });

  it('a source that fails at once costs nothing; one that fails later, or lies about its length, aborts', async () => {
    kit = await startKit();
    const op = { contextId: 3, sopClassUid: CT, sopInstanceUid: '1.2.3' };
    const first = await client();
    // eslint-disable-next-line require-yield
    const atOnce = (async function* (): AsyncGenerator<Buffer> {
      throw new Error('no such file');
    })();
    await expect(first.store({ ...op, body: atOnce })).rejects.toThrow('no such file');
    await expect(first.store({ ...op, body: [] })).rejects.toMatchObject({ name: 'UsageError' });
    expect((await first.echo()).status).toBe(0);
    const later = (async function* (): AsyncGenerator<Buffer> {
      yield Buffer.alloc(600_000);
      throw new Error('disk error');
    })();
    await expect(first.store({ ...op, body: later })).rejects.toThrow('disk error');
    expect(await first.closed).toMatchObject({ name: 'AssociationAbortedError' });
    const second = await client();
    // what is in memory leaves in writes of 1 MiB: a lie that is found before the first costs nothing either
    await expect(second.store({ ...op, body: [Buffer.alloc(600_000)], length: 700_000 })).rejects.toMatchObject({
      name: 'UsageError',
    });
    expect((await second.echo()).status).toBe(0);
    await expect(second.store({ ...op, body: [Buffer.alloc(3_000_000)], length: 3_100_000 })).rejects.toMatchObject({
      name: 'UsageError',
    });
    expect(await second.closed).toMatchObject({ name: 'AssociationAbortedError' });
    expect(kit.stored.size).toBe(0);
  });

  it('a source is pulled only as the peer takes it', async () => {
    kit = await startKit({
      store: () => ({
        write: () => new Promise(() => undefined),
        end: async () => ({ status: 0 }),
        abort: () => undefined,
      }),
    });
    const association = await client();
    let pulled = 0;
    function* endless(): Generator<Buffer> {
      for (;;) {
        pulled += 65_536;
        yield Buffer.alloc(65_536);
      }
    }
    const storing = association.store({ contextId: 3, sopClassUid: CT, sopInstanceUid: '1.2.3', body: endless() });
    await sleep(300);
    const early = pulled;
    await sleep(100);
    expect(pulled).toBe(early);
    expect(pulled).toBeLessThan(16 * 1024 * 1024);
    association.abort();
    await expect(storing).rejects.toMatchObject({ name: 'AssociationAbortedError' });
  });

  it('a response that does not come is a timeout, and a lost connection is told at once', async () => {
    kit = await startKit({
      store: () => ({ write: () => undefined, end: () => new Promise(() => undefined), abort: () => undefined }),
    });
    const op = { contextId: 3, sopClassUid: CT, sopInstanceUid: '1.2.3', body: [Buffer.alloc(10)] };
    const slow = await client({ responseTimeoutMs: 100 });
    await expect(slow.store(op)).rejects.toMatchObject({ name: 'TimeoutError' });
    const lost = await client();
    const storing = expect(lost.store(op)).rejects.toMatchObject({ name: 'AssociationAbortedError' });
    await sleep(50);
    kit.infos.at(-1)!.abort();
    await storing;
  });

  it('with an operations window several are in flight', async () => {
    let active = 0;
    kit = await startKit({
      associate: (request) => ({
        ...(acceptAll(request) as { accept: true; contexts: [] }),
        asyncOps: { invoked: 3, performed: 1 },
      }),
      async *find() {
        active++;
        await sleep(20);
        yield { status: 0 };
      },
    });
    const association = await client({ asyncOps: { invoked: 0, performed: 1 } });
    expect(association.negotiated.asyncOps).toEqual({ invoked: 3, performed: 1 });
    const results = await Promise.all(Array.from({ length: 6 }, () => all(association.find(FIND, Buffer.alloc(8)))));
    expect(results.map((list) => list.length)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(active).toBe(6);
  });
});

describe('C-FIND, C-MOVE, C-GET', () => {
  it('responses come in order with their identifiers; leaving the loop cancels', async () => {
    let cancelled = false;
    kit = await startKit({
      async *find(request) {
        for (let i = 0; i < 100; i++) {
          if (request.signal.aborted) {
            cancelled = true;
            break;
          }
          yield { status: 0xff00, identifier: Buffer.concat([request.identifier, Buffer.from([i, 0])]) };
          await sleep(1);
        }
      },
    });
    const association = await client();
    const responses = await all(association.find(FIND, Buffer.from([9, 9])));
    expect(responses).toHaveLength(101);
    expect(responses[41]).toMatchObject({ status: 0xff00, identifier: Buffer.from([9, 9, 41, 0]) });
    expect(responses.at(-1)).toMatchObject({ status: 0, identifier: undefined });
    const some: FindResponse[] = [];
    for await (const response of association.find(FIND, Buffer.from([1, 1]))) if (some.push(response) === 3) break;
    expect((await association.echo()).status).toBe(0);
    await sleep(50);
    expect(cancelled).toBe(true);
  });

  it('a slow reader of ours holds the peer', async () => {
    let yielded = 0;
    kit = await startKit({
      async *find() {
        for (let i = 0; i < 2_000; i++) {
          yielded++;
          yield { status: 0xff00, identifier: Buffer.alloc(20_000) };
        }
      },
    });
    const association = await client();
    const iterator = association.find(FIND, Buffer.alloc(8))[Symbol.asyncIterator]();
    await iterator.next();
    await sleep(300);
    expect(yielded).toBeLessThan(1_000);
    let count = 1;
    while (!(await iterator.next()).done) count++;
    expect(count).toBe(2_001);
  });

  it('C-MOVE tells counts and destination', async () => {
    let destination = '';
    kit = await startKit({
      async *move(request) {
        destination = request.moveDestination;
        yield { status: 0xff00, counts: { remaining: 1, completed: 1, failed: 0, warning: 0 } };
        yield {
          status: 0xb000,
          errorComment: 'One failed',
          counts: { remaining: 0, completed: 1, failed: 1, warning: 0 },
          identifier: Buffer.from([8, 0]),
        };
      },
    });
    const association = await client();
    const responses = await all(association.move(MOVE, Buffer.alloc(8), 'DEST'));
    expect(destination).toBe('DEST');
    expect(responses.map((response) => response.counts)).toEqual([
      { remaining: 1, completed: 1, failed: 0, warning: 0 },
      { remaining: 0, completed: 1, failed: 1, warning: 0 },
    ]);
    expect(responses[1]).toMatchObject({ status: 0xb000, errorComment: 'One failed', identifier: Buffer.from([8, 0]) });
  });

  it('C-GET: sub-operations on the same association, in both directions, and cancel', async () => {
    const stored = new Map<string, Buffer>();
    kit = await startKit({
      async *get(request) {
        expect(request.storeContexts.map((context) => context.id)).toEqual([3]);
        const counts = { remaining: 50, completed: 0, failed: 0, warning: 0 };
        for (let i = 0; i < 50 && !request.signal.aborted; i++) {
          const status = await request.store({
            contextId: 3,
            sopClassUid: CT,
            sopInstanceUid: `1.2.${i}`,
            body: [Buffer.alloc(300_000, i)],
          });
          counts.remaining--;
          if (status.status === 0) counts.completed++;
          else counts.failed++;
          yield { status: 0xff00, counts: { ...counts } };
        }
        if (request.signal.aborted) yield { status: 0xfe00, counts };
        else yield { status: counts.failed ? 0xb000 : 0, counts };
      },
    });
    const association = await client({
      onStore: (request) => {
        if (request.sopInstanceUid === '1.2.13') throw new Error('no room');
        return memorySink((bytes) => stored.set(request.sopInstanceUid, bytes));
      },
    });
    const responses = await all(association.get(GET, Buffer.alloc(8)));
    expect(responses.at(-1)).toMatchObject({ status: 0xb000, counts: { completed: 49, failed: 1, remaining: 0 } });
    expect(stored.size).toBe(49);
    expect(stored.get('1.2.7')).toEqual(Buffer.alloc(300_000, 7));
    const controller = new AbortController();
    const seen: RetrieveResponse[] = [];
    for await (const response of association.get(GET, Buffer.alloc(8), controller.signal))
      if (seen.push(response) === 2) controller.abort();
    expect(seen.at(-1)!.status).toBe(0xfe00);
    expect(seen.length).toBeLessThan(40);
    expect((await association.echo()).status).toBe(0);
  });

  it('C-STORE sub-operations need the SCP role', async () => {
    kit = await startKit({
      async *get(request) {
        await request.store({ contextId: 3, sopClassUid: CT, sopInstanceUid: '1.2', body: [Buffer.alloc(2)] });
        yield { status: 0, counts: { remaining: 0, completed: 1, failed: 0, warning: 0 } };
      },
    });
    const association = await client({ roles: [] });
    expect((await all(association.get(GET, Buffer.alloc(8)))).at(-1)?.status).toBe(0xc000);
  });
});

describe('N-services', () => {
  it('in both directions', async () => {
    const seen: number[] = [];
    kit = await startKit({
      nService: async (request) => {
        seen.push(request.commandField);
        if (request.commandField === COMMAND.nGetRq)
          return { status: 0, dataset: Buffer.from(request.attributeIdentifierList!.map((tag) => tag & 0xff)) };
        if (request.commandField === COMMAND.nActionRq) {
          setImmediate(
            () =>
              void request.association
                .invoke({
                  commandField: COMMAND.eventReportRq,
                  sopClassUid: UID.storageCommitmentPushModel,
                  sopInstanceUid: '1.2.5',
                  eventTypeId: 1,
                  dataset: Buffer.from([7, 7]),
                })
                .then((answer) => seen.push(answer.status)),
          );
        }
        return { status: 0, actionTypeId: request.actionTypeId, sopInstanceUid: request.sopInstanceUid || '1.2.99' };
      },
    });
    const events: unknown[] = [];
    const association = await client({
      onNService: async (request) => {
        events.push([request.commandField, request.eventTypeId, request.dataset]);
        return { status: 0x0110 };
      },
    });
    const mpps = { sopClassUid: UID.modalityPerformedProcedureStep };
    expect(
      await association.nService({ ...mpps, commandField: COMMAND.nCreateRq, dataset: Buffer.alloc(4) }),
    ).toMatchObject({ status: 0, sopInstanceUid: '1.2.99' });
    expect(
      await association.nService({
        ...mpps,
        commandField: COMMAND.nSetRq,
        sopInstanceUid: '1.2.99',
        dataset: Buffer.alloc(4),
      }),
    ).toMatchObject({ status: 0, sopInstanceUid: '1.2.99' });
    expect(
      (
        await association.nService({
          ...mpps,
          commandField: COMMAND.nGetRq,
          sopInstanceUid: '1.2.99',
          attributeIdentifierList: [0x00080018, 0x00400252],
        })
      ).dataset,
    ).toEqual(Buffer.from([0x18, 0x52]));
    expect(
      await association.nService({ ...mpps, commandField: COMMAND.nDeleteRq, sopInstanceUid: '1.2.99' }),
    ).toMatchObject({ status: 0 });
    const action = {
      commandField: COMMAND.nActionRq,
      sopClassUid: UID.storageCommitmentPushModel,
      sopInstanceUid: '1.2.840.10008.1.20.1.1',
      actionTypeId: 1,
      dataset: Buffer.alloc(4),
    };
    expect(await association.nService(action)).toMatchObject({ status: 0, actionTypeId: 1 });
    await sleep(50);
    expect(events).toEqual([[COMMAND.eventReportRq, 1, Buffer.from([7, 7])]]);
    expect(seen).toEqual([
      COMMAND.nCreateRq,
      COMMAND.nSetRq,
      COMMAND.nGetRq,
      COMMAND.nDeleteRq,
      COMMAND.nActionRq,
      0x0110,
    ]);
  });
});

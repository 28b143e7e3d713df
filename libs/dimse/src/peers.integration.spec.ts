/** Peers that we did not write: DCMTK, pynetdicom and dcmjs-dimse, each as SCU and as SCP; and TLS. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import dcmjs from 'dcmjs-dimse';
import {
  findPeersPython,
  freePort,
  generateInstance,
  runCommand,
  runDcmtk,
  startDcmqrscp,
  startPythonServer,
  startStorescp,
  writeInstance,
} from '@archipelago/testing';
import type { AssociateRequest, ClientAssociation, DimseHandlers, RetrieveResponse } from './api';
import { connect } from './client';
import { startKit, type Kit } from './testing/server-kit';
import { UID } from './uids';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const MOVE = '1.2.840.10008.5.1.4.1.2.2.2';
const GET = '1.2.840.10008.5.1.4.1.2.2.3';
const COUNT = 5;
/** Matches that the test server finds. */
const FOUND = 200;
const instances = Array.from({ length: COUNT }, (_, index) =>
  generateInstance({ kind: 'ct', count: COUNT, seed: 'dimse', rows: 512, columns: 512 }, index),
);
const study = instances[0]!.studyInstanceUid;

/** What we use of dcmjs-dimse, whose own typings ask for libraries that we do not have. */
interface Response {
  getStatus(): number;
  getDataset(): { getElement(keyword: string): unknown } | undefined;
}
interface Association {
  getPresentationContexts(): { id: number }[];
  getPresentationContext(id: number): {
    setResult(result: number, syntax?: string): void;
    getTransferSyntaxUids(): string[];
  };
}

let folder: string;
let kit: Kit;
let movePort = 0;

/** One element in Implicit VR Little Endian. */
function element(tag: number, value: string): Buffer {
  const padded = value.length % 2 ? `${value}${tag === 0x0020000d ? '\0' : ' '}` : value;
  const out = Buffer.alloc(8 + padded.length);
  out.writeUInt16LE(tag >>> 16, 0);
  out.writeUInt16LE(tag & 0xffff, 2);
  out.writeUInt32LE(padded.length, 4);
  out.write(padded, 8, 'latin1');
  return out;
}
const identifier = (uid = ''): Buffer => Buffer.concat([element(0x00080052, 'STUDY'), element(0x0020000d, uid)]);

/** Explicit VR for storage, Implicit VR for the rest, where proposed. */
function associate(request: AssociateRequest): ReturnType<DimseHandlers['associate']> {
  const contexts = request.contexts.map(({ id, abstractSyntax, transferSyntaxes }) => {
    const wish = abstractSyntax === CT ? UID.explicitVrLittleEndian : UID.implicitVrLittleEndian;
    return transferSyntaxes.includes(wish)
      ? { id, result: 0 as const, transferSyntax: wish }
      : { id, result: 4 as const, transferSyntax: '' };
  });
  return { accept: true, contexts, roles: request.roles };
}

const handlers: Partial<DimseHandlers> = {
  associate,
  async *find(request) {
    for (let i = 0; i < FOUND && !request.signal.aborted; i++) {
      yield { status: 0xff00, identifier: identifier(i === 0 ? study : `1.2.3.${i}`) };
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  },
  async *get(request) {
    const context = request.storeContexts.find((candidate) => candidate.abstractSyntax === CT)!;
    const counts = { remaining: COUNT, completed: 0, failed: 0, warning: 0 };
    for (const { sopInstanceUid } of instances) {
      const body = kit.stored.get(sopInstanceUid);
      const status = body
        ? await request.store({
            contextId: context.id,
            sopClassUid: CT,
            sopInstanceUid,
            body: [body],
            length: body.length,
          })
        : { status: 0xc000 };
      counts.remaining--;
      if (status.status === 0) counts.completed++;
      else counts.failed++;
      yield { status: 0xff00, counts: { ...counts } };
    }
    yield { status: counts.failed ? 0xb000 : 0, counts };
  },
  async *move(request) {
    const to = await connect({
      host: '127.0.0.1',
      port: movePort,
      calledAeTitle: request.moveDestination,
      callingAeTitle: 'SERVER',
      contexts: [{ abstractSyntax: CT, transferSyntaxes: [UID.explicitVrLittleEndian] }],
    });
    let completed = 0;
    for (const { sopInstanceUid } of instances) {
      const body = kit.stored.get(sopInstanceUid)!;
      const op = {
        contextId: 1,
        sopClassUid: CT,
        sopInstanceUid,
        body: [body],
        moveOriginatorAeTitle: request.association.request.callingAeTitle,
        moveOriginatorMessageId: request.messageId,
      };
      if ((await to.store(op)).status === 0) completed++;
      yield { status: 0xff00, counts: { remaining: COUNT - completed, completed, failed: 0, warning: 0 } };
    }
    await to.release();
    yield { status: 0, counts: { remaining: 0, completed, failed: 0, warning: 0 } };
  },
  nService: async (request) => ({ status: 0, sopInstanceUid: request.sopInstanceUid }),
};

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of source) list.push(one);
  return list;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'archipelago-dimse-'));
  mkdirSync(join(folder, 'in'));
  instances.forEach((instance, index) => writeInstance(join(folder, 'in', `${index}.dcm`), instance));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  kit = await startKit(handlers);
});
afterEach(() => kit.close());

function expectAllStored(): void {
  expect(kit.stored.size).toBe(COUNT);
  for (const instance of instances)
    expect(kit.stored.get(instance.sopInstanceUid)!.equals(instance.dataset())).toBe(true);
}
const storeAll = async (association: ClientAssociation): Promise<void> => {
  const context = association.contexts.find((candidate) => candidate.abstractSyntax === CT)!;
  for (const instance of instances) {
    const dataset = instance.dataset();
    const { sopInstanceUid } = instance;
    expect(
      await association.store({
        contextId: context.id,
        sopClassUid: CT,
        sopInstanceUid,
        body: [dataset],
        length: dataset.length,
      }),
    ).toEqual({ status: 0 });
  }
};
const client = (
  port: number,
  calledAeTitle: string,
  more: Partial<Parameters<typeof connect>[0]> = {},
): Promise<ClientAssociation> =>
  connect({
    host: '127.0.0.1',
    port,
    calledAeTitle,
    callingAeTitle: 'CLIENT',
    contexts: [
      ...[UID.verification, FIND, MOVE, GET].map((abstractSyntax) => ({
        abstractSyntax,
        transferSyntaxes: [UID.implicitVrLittleEndian],
      })),
      { abstractSyntax: CT, transferSyntaxes: [UID.explicitVrLittleEndian] },
    ],
    ...more,
  });

describe('DCMTK as SCU', () => {
  const address = (): string[] => ['127.0.0.1', String(kit.port)];

  it.each(['0', '1'])('echoscu, storescu with TCP_NODELAY=%s, byte for byte', async (nodelay) => {
    expect((await runDcmtk('echoscu', address())).code).toBe(0);
    const env = { TCP_NODELAY: nodelay === '1' ? '1' : undefined };
    const result = await runDcmtk('storescu', ['+sd', ...address(), join(folder, 'in')], { env });
    expect(result).toMatchObject({ code: 0 });
    expectAllStored();
  });

  it('findscu, and findscu that cancels', async () => {
    const args = ['-S', '-k', '0008,0052=STUDY', '-k', '0020,000d', ...address()];
    const whole = await runDcmtk('findscu', ['-v', ...args]);
    expect(whole.code).toBe(0);
    expect(whole.output).toContain(study);
    expect(whole.output).toContain('Find Response: 200');
    const cancelled = await runDcmtk('findscu', ['-v', '--cancel', '3', ...args]);
    expect(cancelled.output).toMatch(/Cancel/);
    expect(cancelled.output).not.toContain('Find Response: 150');
  });

  it('getscu and movescu bring back what storescu sent', async () => {
    expect((await runDcmtk('storescu', ['+sd', ...address(), join(folder, 'in')])).code).toBe(0);
    const query = ['-S', '-k', '0008,0052=STUDY', '-k', `0020,000d=${study}`];
    const got = join(folder, 'get');
    mkdirSync(got);
    const get = await runDcmtk('getscu', ['+B', '-od', got, ...query, ...address()]);
    expect(get).toMatchObject({ code: 0 });
    expect(readdirSync(got)).toHaveLength(COUNT);
    // Bit preserving, movescu 3.6.7 does not heed its output directory.
    const moved = join(folder, 'move');
    mkdirSync(moved);
    movePort = await freePort();
    const move = await runDcmtk(
      'movescu',
      ['--bit-preserving', '-aem', 'MOVESCU', '+P', String(movePort), ...query, ...address()],
      { cwd: moved },
    );
    expect(move).toMatchObject({ code: 0 });
    expect(readdirSync(moved)).toHaveLength(COUNT);
    for (const dir of [got, moved]) {
      const files = readdirSync(dir).map((name) => readFileSync(join(dir, name)));
      for (const instance of instances) {
        const dataset = instance.dataset();
        expect(files.some((file) => file.subarray(-dataset.length).equals(dataset))).toBe(true);
      }
    }
  });
});

describe('DCMTK as SCP', () => {
  it('storescp takes what we send', async () => {
    const scp = await startStorescp({ args: ['--bit-preserving'] });
    try {
      const association = await client(scp.port, scp.aet);
      expect((await association.echo()).status).toBe(0);
      await storeAll(association);
      await association.release();
      const files = scp.files().map((name) => readFileSync(name));
      for (const instance of instances) expect(files.some((file) => file.includes(instance.dataset()))).toBe(true);
    } finally {
      await scp.stop();
    }
  });

  it('dcmqrscp: store, find, get, move', async () => {
    const moveTo = await startKit(handlers);
    const scp = await startDcmqrscp({ peers: [{ aet: 'CLIENT', host: '127.0.0.1', port: moveTo.port }] });
    const stored = new Map<string, number>();
    try {
      const association = await client(scp.port, scp.aet, {
        roles: [{ sopClassUid: CT, scuRole: true, scpRole: true }],
        onStore: (request) => {
          let bytes = 0;
          return {
            write: (chunk) => void (bytes += chunk.length),
            end: async () => (stored.set(request.sopInstanceUid, bytes), { status: 0 }),
            abort: () => undefined,
          };
        },
      });
      await storeAll(association);
      const found = await all(association.find(FIND, identifier()));
      expect(found.map((response) => response.status)).toEqual([0xff00, 0]);
      expect(found[0]!.identifier!.includes(study)).toBe(true);
      const gets: RetrieveResponse[] = await all(association.get(GET, identifier(study)));
      expect(gets.at(-1)).toMatchObject({ status: 0, counts: { completed: COUNT, failed: 0 } });
      expect([...stored.keys()].sort()).toEqual(instances.map((instance) => instance.sopInstanceUid).sort());
      const moves = await all(association.move(MOVE, identifier(study), 'CLIENT'));
      expect(moves.at(-1)).toMatchObject({ status: 0, counts: { completed: COUNT, failed: 0 } });
      expect(moveTo.stored.size).toBe(COUNT);
      await association.release();
    } finally {
      await moveTo.close();
      await scp.stop();
    }
  });
});

describe('pynetdicom', () => {
  it('as SCU: echo, store, find, get, N-CREATE, N-SET', async () => {
    const path = join(folder, 'in', '0.dcm');
    const result = await runCommand(findPeersPython(), [
      join(__dirname, 'testing/python/scu.py'),
      String(kit.port),
      path,
    ]);
    expect(result).toMatchObject({ code: 0 });
    const answer = JSON.parse(result.stdout) as Record<string, unknown> & {
      find: [number, string | null][];
      get: number[];
    };
    expect(answer).toMatchObject({ echo: 0, store: 0, got: [instances[0]!.sopInstanceUid], create: 0, set: 0 });
    expect(answer.find).toHaveLength(201);
    expect(answer.find[0]).toEqual([0xff00, study]);
    expect(answer.find.at(-1)![0]).toBe(0);
    // One of the five is stored: the others fail.
    expect(answer.get.at(-1)).toBe(0xb000);
  });

  it('as SCP: echo, store, find, get', async () => {
    const scp = await startPythonServer(join(__dirname, 'testing/python/scp.py'));
    const stored: string[] = [];
    try {
      const association = await client(scp.port, 'PYSCP', {
        roles: [{ sopClassUid: CT, scuRole: true, scpRole: true }],
        onStore: (request) => ({
          write: () => undefined,
          end: async () => (stored.push(request.sopInstanceUid), { status: 0 }),
          abort: () => undefined,
        }),
      });
      expect((await association.echo()).status).toBe(0);
      await storeAll(association);
      expect(await all(association.find(FIND, identifier()))).toHaveLength(COUNT + 1);
      expect((await all(association.get(GET, identifier(study)))).at(-1)).toMatchObject({
        status: 0,
        counts: { completed: COUNT },
      });
      expect(stored).toHaveLength(COUNT);
      await association.release();
    } finally {
      await scp.stop();
    }
  });
});

describe('dcmjs-dimse', () => {
  beforeAll(() => dcmjs.log.disableAll());

  it('as SCU: echo, store, find', async () => {
    const statuses: number[] = [];
    const found: string[] = [];
    const scu = new dcmjs.Client();
    const echo = new dcmjs.requests.CEchoRequest();
    const store = new dcmjs.requests.CStoreRequest(join(folder, 'in', '0.dcm'));
    const find = dcmjs.requests.CFindRequest.createStudyFindRequest({ StudyInstanceUID: '' });
    for (const request of [echo, store, find]) {
      request.on('response', (response: Response) => {
        statuses.push(response.getStatus());
        const dataset = response.getDataset();
        if (dataset) found.push(String(dataset.getElement('StudyInstanceUID')));
      });
      scu.addRequest(request);
    }
    await new Promise<void>((resolve, reject) => {
      scu.on('closed', resolve);
      scu.on('networkError', reject);
      scu.send('127.0.0.1', kit.port, 'DCMJS', 'SERVER');
    });
    expect([statuses[0], statuses[1], statuses.at(-1)]).toEqual([0, 0, 0]);
    expect(found).toHaveLength(FOUND);
    expect(found[0]).toBe(study);
    expect(kit.stored.size).toBe(1);
  });

  it('as SCP: echo, store, find', async () => {
    const stored: string[] = [];
    const answer = <T extends { setStatus(status: number): void }>(response: T, status: number): T => {
      response.setStatus(status);
      return response;
    };
    class TestScp extends dcmjs.Scp {
      override associationRequested(association: Association): void {
        for (const { id } of association.getPresentationContexts()) {
          const context = association.getPresentationContext(id);
          context.setResult(0, context.getTransferSyntaxUids()[0]);
        }
        this.sendAssociationAccept();
      }
      override cEchoRequest(
        request: dcmjs.requests.CEchoRequest,
        callback: (response: dcmjs.responses.CEchoResponse) => void,
      ): void {
        callback(answer(dcmjs.responses.CEchoResponse.fromRequest(request), 0));
      }
      override cStoreRequest(
        request: dcmjs.requests.CStoreRequest,
        callback: (response: dcmjs.responses.CStoreResponse) => void,
      ): void {
        stored.push(request.getAffectedSopInstanceUid());
        callback(answer(dcmjs.responses.CStoreResponse.fromRequest(request), 0));
      }
      override cFindRequest(
        request: dcmjs.requests.CFindRequest,
        callback: (responses: dcmjs.responses.CFindResponse[]) => void,
      ): void {
        const pending = answer(dcmjs.responses.CFindResponse.fromRequest(request), 0xff00);
        pending.setDataset(new dcmjs.Dataset({ StudyInstanceUID: study }));
        callback([pending, answer(dcmjs.responses.CFindResponse.fromRequest(request), 0)]);
      }
      override associationReleaseRequested(): void {
        this.sendAssociationReleaseResponse();
      }
    }
    const server = new dcmjs.Server(TestScp);
    server.on('networkError', () => undefined);
    const port = await freePort();
    server.listen(port);
    try {
      const association = await client(port, 'DCMJS');
      expect((await association.echo()).status).toBe(0);
      await storeAll(association);
      const found = await all(association.find(FIND, identifier()));
      expect(found.map((response) => response.status)).toEqual([0xff00, 0]);
      expect(found[0]!.identifier!.includes(study)).toBe(true);
      await association.release();
      expect(stored).toEqual(instances.map((instance) => instance.sopInstanceUid));
    } finally {
      server.close();
    }
  });
});

describe('TLS (PS3.15 B.12)', () => {
  it('with a client certificate, whose subject and fingerprint the application sees; without one it is refused', async () => {
    const make = (name: string): { key: Buffer; cert: Buffer } => {
      const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'rsa:2048',
          '-nodes',
          '-days',
          '2',
          '-subj',
          `/CN=${name}`,
          '-addext',
          'subjectAltName=IP:127.0.0.1',
          '-keyout',
          key,
          '-out',
          cert,
        ],
        { stdio: 'ignore' },
      );
      return { key: readFileSync(key), cert: readFileSync(cert) };
    };
    const [own, modality] = [make('server'), make('modality')];
    const secure = await startKit(handlers, {
      tls: { ...own, ca: [modality.cert], requestCert: true, rejectUnauthorized: true },
    });
    try {
      const association = await client(secure.port, 'SERVER', { tls: { ...modality, ca: [own.cert] } });
      await storeAll(association);
      expect(secure.requests[0]!.tls).toMatchObject({ authorized: true, peerCertificateSubject: 'CN=modality' });
      expect(secure.requests[0]!.tls!.fingerprint256).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
      expect(secure.stored.size).toBe(COUNT);
      await association.release();
      await expect(client(secure.port, 'SERVER', { tls: { ca: [own.cert] } })).rejects.toMatchObject({
        name: expect.stringMatching(/ConnectionError/) as string,
      });
      await expect(client(secure.port, 'SERVER', { tls: modality })).rejects.toMatchObject({
        name: 'ConnectionError',
        transient: false,
      });
      await expect(client(secure.port, 'SERVER', { connectTimeoutMs: 1_000 })).rejects.toThrow();
    } finally {
      await secure.close();
    }
  });
});

/** What no well-behaved peer sends, into the edge as it runs, with everything behind it (issue "The spine", Bad input). */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { writeDataset } from '@archipelago/dicom-encoding';
import {
  COMMAND,
  connect,
  encodeCommandSet,
  sampleAssociateRq,
  sampleCommand,
  samplePData,
  ScriptedPeer,
  type ClientAssociation,
} from '@archipelago/dimse';
import {
  eventually,
  generateInstance,
  repositoryRoot,
  runCommand,
  startSystem,
  Watch,
  type TestSystem,
} from '@archipelago/testing';

jest.setTimeout(180_000);

const MIB = 1024 * 1024;
const CT = '1.2.840.10008.5.1.4.1.1.2';
const FIND = '1.2.840.10008.5.1.4.1.2.2.1';
const GET = '1.2.840.10008.5.1.4.1.2.2.3';
const VERIFICATION = '1.2.840.10008.1.1';
const IMPLICIT = '1.2.840.10008.1.2';
const EXPLICIT = '1.2.840.10008.1.2.1';
const DEFLATED = '1.2.840.10008.1.2.1.99';
const RELEASE_RQ = Buffer.from('05000000000400000000', 'hex');
const RELEASE_RP = Buffer.from('06000000000400000000', 'hex');
const [ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASED, ABORT] = [2, 3, 4, 6, 7];

const echoRq = (messageId = 1): Buffer =>
  sampleCommand(1, {
    commandField: COMMAND.echoRq,
    commandDataSetType: 0x0101,
    affectedSopClassUid: VERIFICATION,
    messageId,
  });
const storeCommand = (sopInstanceUid: string): Parameters<typeof encodeCommandSet>[0] => ({
  commandField: COMMAND.storeRq,
  commandDataSetType: 1,
  affectedSopClassUid: CT,
  affectedSopInstanceUid: sopInstanceUid,
  messageId: 2,
  priority: 0,
});

describe('hostile peers', () => {
  let system: TestSystem;
  let watch: Watch;
  let homeBefore: string[];

  const echo = async (): Promise<number> => {
    const started = performance.now();
    const association = await open('KNOWN', [VERIFICATION]);
    const { status } = await association.echo();
    const ms = performance.now() - started;
    await association.release();
    if (status !== 0) throw new Error(`C-ECHO ${status}`);
    return ms;
  };
  const open = (caller: string, classes: string[], syntaxes = [IMPLICIT]): Promise<ClientAssociation> =>
    connect({
      host: system.host,
      port: system.port,
      calledAeTitle: system.aeTitle,
      callingAeTitle: caller,
      contexts: classes.map((abstractSyntax) => ({ abstractSyntax, transferSyntaxes: syntaxes })),
      onStore: () => ({ write: () => undefined, end: () => Promise.resolve({ status: 0 }), abort: () => undefined }),
      roles: classes.includes(GET) ? [{ sopClassUid: CT, scuRole: false, scpRole: true }] : [],
    });
  const raw = (): Promise<ScriptedPeer> => ScriptedPeer.open(system.port, system.host);
  /** An accepted association of a scripted peer. */
  const associated = async (): Promise<ScriptedPeer> => {
    const peer = await raw();
    peer.send(sampleAssociateRq());
    expect((await peer.pdu())?.type).toBe(ASSOCIATE_AC);
    return peer;
  };
  /** Sends and tells how the server ended it: what it sent last, and whether it closed within two seconds. */
  const ends = async (peer: ScriptedPeer, ...bytes: Buffer[]): Promise<{ closed: boolean; last?: number }> => {
    peer.send(...bytes);
    let last: number | undefined;
    for (let pdu = await peer.pdu(); pdu; pdu = await peer.pdu(500)) {
      last = pdu.type;
      // PS3.8 Sta13: whoever has aborted waits for the other to close.
      if (last === ABORT) peer.socket.end();
    }
    const closed = await peer.until(() => peer.ended, 2_000);
    peer.close();
    return { closed, last };
  };

  beforeAll(async () => {
    system = await startSystem({ config: { peers: [{ aeTitle: 'KNOWN', addresses: ['127.0.0.1'] }] } });
    watch = new Watch(system, { echoMs: 2_000, rssBytes: 512 * MIB }, echo);
    homeBefore = names(system.home);
  });
  afterAll(() => system?.stop());

  describe('other protocols on the DICOM port', () => {
    const hello = Buffer.concat([Buffer.from('16030100c8010000c40303', 'hex'), Buffer.alloc(193, 7)]);
    const smb = Buffer.concat([Buffer.from('00000054ff534d4272', 'hex'), Buffer.alloc(80)]);
    it.each([
      ['HTTP', Buffer.from('GET /admin HTTP/1.1\r\nHost: pacs\r\n\r\n')],
      ['HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
      ['TLS client hello', hello],
      ['SMB', smb],
      ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.0\r\n')],
      ['HL7 over MLLP', Buffer.from('\x0bMSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\r\x1c\r')],
      ['noise', Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 151 + 8) & 0xff))],
    ])('%s: closed, with nothing but an abort', async (_name, bytes) => {
      const { closed, last } = await ends(await raw(), bytes);
      expect(closed).toBe(true);
      expect([undefined, ABORT]).toContain(last);
    });
  });

  describe('declared lengths', () => {
    const header = (type: number, length: number): Buffer => {
      const out = Buffer.alloc(6);
      out[0] = type;
      out.writeUInt32BE(length, 2);
      return out;
    };
    it.each([0xffffffff, 0xfffffff0, 0x80000000, 2 * MIB])('an A-ASSOCIATE-RQ of %d bytes', async (length) => {
      expect(await ends(await raw(), header(1, length), Buffer.alloc(1000))).toEqual({ closed: true, last: ABORT });
    });
    it.each([0xffffffff, 0x7fffffff, 300 * 1024])('a P-DATA-TF of %d bytes', async (length) => {
      expect(await ends(await associated(), header(4, length), Buffer.alloc(1000))).toEqual({
        closed: true,
        last: ABORT,
      });
    });
    it.each([0xffffffff, 0, 1])('a PDV of %d bytes', async (length) => {
      const pdv = Buffer.alloc(12);
      pdv.writeUInt32BE(length, 0);
      expect(await ends(await associated(), header(4, pdv.length), pdv)).toEqual({ closed: true, last: ABORT });
    });
    it.each(['OW', 'UT', 'SQ', 'UN'])('an element of 4 GiB (%s) in a C-STORE: refused, nothing kept', async (vr) => {
      const element = Buffer.concat([
        Buffer.from('09001010', 'hex'),
        Buffer.from(`${vr}\0\0`),
        Buffer.from('feffffff', 'hex'),
      ]);
      const association = await open('STRANGER', [CT], [EXPLICIT]);
      const instance = generateInstance({ kind: 'ct', rows: 8, columns: 8, seed: `length ${vr}` });
      const cut = instance.dataset().subarray(0, 400);
      const { status } = await association.store(
        storeOf(association, instance.sopInstanceUid, Buffer.concat([element, cut])),
      );
      expect(status >> 12).toBe(0xc);
      await association.release();
    });
  });

  it('deflate bombs in C-STORE and C-FIND are refused', async () => {
    const association = await open('STRANGER', [CT], [DEFLATED]);
    const pixels = Buffer.concat([Buffer.from('e07f10004f57000000000010', 'hex'), Buffer.alloc(256 * MIB)]);
    const bomb = deflateRawSync(pixels, { level: 9 });
    expect(bomb.length).toBeLessThan(MIB);
    expect((await association.store(storeOf(association, '2.25.11', bomb))).status).toBe(0xc005);
    await association.release();
    const finder = await open('STRANGER', [FIND], [DEFLATED]).catch(() => undefined);
    if (finder && finder.contexts.length > 0) expect(await lastStatus(finder, bomb)).toBeGreaterThan(0xa000);
    await finder?.release();
  });

  it('100,000 nested sequences in C-STORE and C-FIND are refused', async () => {
    const level = Buffer.from('08004011ffffffff' + 'feff00e0ffffffff', 'hex');
    const nested = Buffer.alloc(100_000 * level.length, level);
    const association = await open('STRANGER', [CT, FIND]);
    expect((await association.store(storeOf(association, '2.25.12', nested))).status).toBe(0xc005);
    expect(await lastStatus(association, nested.subarray(0, MIB - 16))).toBeGreaterThan(0xa000);
    await association.release();
  });

  it('a million empty elements are refused before anybody sorts them', async () => {
    const association = await open('STRANGER', [CT], [EXPLICIT]);
    const empty = Buffer.from('0800600043530000', 'hex');
    const { status } = await association.store(storeOf(association, '2.25.13', Buffer.alloc(8 * 1_000_000, empty)));
    expect(status).toBe(0xc005);
    await association.release();
  });

  describe('C-FIND', () => {
    const patient = 'Hostile^Test_100%';
    let association: ClientAssociation;
    beforeAll(async () => {
      const instance = generateInstance({
        kind: 'ct',
        rows: 8,
        columns: 8,
        seed: 'find',
        study: { patientName: patient, patientId: 'H1' },
      });
      const store = await open('MODALITY', [CT], [EXPLICIT]);
      expect((await store.store(storeOf(store, instance.sopInstanceUid, instance.dataset()))).status).toBe(0);
      await store.release();
      association = await open('KNOWN', [FIND]);
      await eventually('found', async () => (await named('Hostile^Test_100%')).matches === 1);
    });
    afterAll(() => association.release());

    const named = async (name: string): Promise<{ matches: number; status: number }> => {
      const identifier = writeDataset(
        {
          '00080052': { vr: 'CS', Value: ['STUDY'] },
          '00100010': { vr: 'LO', Value: [name] },
          '0020000D': { vr: 'UI' },
        },
        IMPLICIT,
      );
      return answerTo(association, identifier);
    };

    it.each([
      ['*', 1],
      ['hostile^test_100%', 1],
      ['Hostile^Test?100*', 1],
      ['%', 0],
      ['Hostile%', 0],
      ['Hostile^Test_1__%', 0],
      ['_'.repeat(17), 0],
      ["' OR '1'='1", 0],
      ["x'; DROP TABLE study; --", 0],
      ['.*', 0],
      ['(a+)+$', 0],
      ['[A-Z]*', 0],
      ['$1', 0],
      ['*?'.repeat(2_000), 0],
      ['*a'.repeat(2_000), 0],
      ['?'.repeat(10_000), 0],
      ['x'.repeat(10_000), 0],
      // Padding: an empty value, which matches all.
      ['\u0000', 1],
    ])('PatientName %#: exactly what it names, in time', async (name, matches) => {
      const started = performance.now();
      const answer = await named(name);
      expect(performance.now() - started).toBeLessThan(5_000);
      // A value that no VR could hold may be refused; it may never find what it does not name.
      if (answer.status === 0) expect(answer.matches).toBe(matches);
      else expect([answer.matches, answer.status >> 12 >= 0xa]).toEqual([0, true]);
    });

    it('10,000 keys, 5,000 UIDs, binary values: a final status each', async () => {
      const uids = Array.from({ length: 5_000 }, (_, n) => `1.2.3.${n}`);
      const level = { '00080052': { vr: 'CS', Value: ['STUDY'] } };
      const identifiers = [
        writeDataset({ ...level, '0020000D': { vr: 'UI', Value: uids } }, IMPLICIT),
        Buffer.concat([
          writeDataset(level, IMPLICIT),
          ...Array.from({ length: 10_000 }, (_, n) => Buffer.from([0x11, 0, n & 0xff, 0x10 + (n >> 8), 0, 0, 0, 0])),
        ]),
        Buffer.alloc(500_000, 0xff),
        Buffer.alloc(0x10000),
      ];
      for (const identifier of identifiers) {
        const { status, matches } = await answerTo(association, identifier);
        expect(matches).toBe(0);
        expect(status === 0 || status >> 12 >= 0xa).toBe(true);
      }
    });
  });

  describe('names that could be paths', () => {
    it.each(['../../../../tmp/evil', '/etc/passwd', '..\\..\\evil', '1.2.3/../../evil', '1.2.\0evil', '9'.repeat(200)])(
      'SOP Instance UID %j: refused',
      async (uid) => {
        const peer = await associated();
        const dataset = generateInstance({
          kind: 'ct',
          rows: 8,
          columns: 8,
          transferSyntax: IMPLICIT,
          adjust: ({ header }) => header.set(0x00080018, 'UI', uid),
        }).dataset();
        peer.send(sampleCommand(3, storeCommand(uid)), samplePData(3, false, true, dataset));
        const answer = await peer.pdu();
        peer.close();
        expect([P_DATA, ABORT]).toContain(answer?.type);
        // (0000,0900) Status, US: not success.
        const at = answer?.body.indexOf(Buffer.from('0000000902000000', 'hex')) ?? -1;
        if (answer?.type === P_DATA) expect(answer.body.readUInt16LE(at + 8)).not.toBe(0);
      },
    );

    it.each(['../../evil', '/tmp/evil', '..\\evil', 'a\0b', '$(id)', '*', 'ÄÖÜ'])(
      'calling AE title %j',
      async (title) => {
        const peer = await raw();
        const request = sampleAssociateRq();
        // PS3.8 table 9-11: the calling AE title is bytes 27 to 42.
        request.fill(0x20, 26, 42).write(title, 26, 'latin1');
        peer.send(request);
        const answer = await peer.pdu();
        expect([ASSOCIATE_AC, ASSOCIATE_RJ, ABORT]).toContain(answer?.type);
        if (answer?.type === ASSOCIATE_AC) {
          const instance = generateInstance({ kind: 'ct', rows: 8, columns: 8, transferSyntax: IMPLICIT, seed: title });
          peer.send(
            sampleCommand(3, storeCommand(instance.sopInstanceUid)),
            samplePData(3, false, true, instance.dataset()),
          );
          expect((await peer.pdu(5_000))?.type).toBe(P_DATA);
          peer.send(RELEASE_RQ);
          expect((await peer.pdu())?.type).toBe(RELEASED);
        }
        peer.close();
      },
    );

    it('left no file but packs and our own', () => {
      const spool = names(system.spoolDir).filter((name) => !name.endsWith('/'));
      const strange = spool.filter(
        (name) => !/(^|\/)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.\d+)?\.[a-z]+$/.test(name),
      );
      // Spool's own: identity of the edge, lock.
      expect(strange.filter((name) => !/^[a-z.-]+$/.test(name))).toEqual([]);
      const outside = (name: string): boolean => !/^(nats|postgres|logs|edge|objects)\//.test(name);
      expect(names(system.home).filter(outside)).toEqual(homeBefore.filter(outside));
      expect(existsSync('/tmp/evil')).toBe(false);
      const objects = names(system.objectsDir).filter((name) => !name.endsWith('/'));
      expect(
        objects.filter((name) => !/^packs\/[a-z0-9-]+\/\d{4}\/\d\d\/\d\d\/[0-9a-f-]{36}\.pack$/.test(name)),
      ).toEqual([]);
    });
  });

  describe('association requests', () => {
    const uid = (n: number): string => `1.2.3.${n}`;
    const many = (n: number, syntaxes: number) =>
      Array.from({ length: n }, (_, i) => ({
        id: (2 * i + 1) & 0xff,
        abstractSyntax: uid(i),
        transferSyntaxes: Array.from({ length: syntaxes }, (_, k) => uid(k)),
      }));
    const user = {
      maxPduLength: 0,
      implementationClassUid: '1.2',
      implementationVersionName: 'X',
      roles: [],
      extended: [],
      commonExtended: [],
    };
    it.each([
      ['128 contexts of 100 transfer syntaxes', { contexts: many(128, 100) }],
      ['5,000 contexts with repeated ids', { contexts: many(5_000, 1) }],
      ['no context', { contexts: [] }],
      [
        '4,000 roles',
        {
          user: {
            ...user,
            roles: Array.from({ length: 4_000 }, (_, n) => ({ sopClassUid: uid(n), scuRole: true, scpRole: true })),
          },
        },
      ],
      [
        '2,000 extended negotiations',
        {
          user: {
            ...user,
            extended: Array.from({ length: 2_000 }, (_, n) => ({ sopClassUid: uid(n), info: Buffer.alloc(8) })),
          },
        },
      ],
      [
        'a user identity of 60 KB',
        {
          user: {
            ...user,
            userIdentity: {
              type: 2,
              responseRequested: true,
              primary: Buffer.alloc(30_000, 65),
              secondary: Buffer.alloc(30_000),
            },
          },
        },
      ],
    ] as [string, Parameters<typeof sampleAssociateRq>[0]][])('%s: an answer at once', async (_name, change) => {
      let request: Buffer;
      try {
        request = sampleAssociateRq(change);
      } catch {
        // Cannot even be encoded: longer than its 16-bit item length.
        return;
      }
      const peer = await raw();
      peer.send(request);
      const answer = await peer.pdu();
      peer.close();
      expect([ASSOCIATE_AC, ASSOCIATE_RJ, ABORT]).toContain(answer?.type);
    });
  });

  describe('order', () => {
    it('a million empty PDVs in one data set', async () => {
      const peer = await associated();
      peer.send(sampleCommand(3, storeCommand('2.25.14')));
      const pdv = Buffer.from('00000002' + '0300', 'hex');
      const pdu = Buffer.concat([Buffer.from('040000003a98', 'hex'), Buffer.alloc(6 * 2_500, pdv)]);
      for (let n = 0; n < 400 && !peer.ended; n++) {
        if (!peer.socket.write(pdu))
          await new Promise<void>((resolve) => peer.socket.once('drain', resolve).once('close', resolve));
      }
      peer.send(samplePData(3, false, true, Buffer.alloc(0)), RELEASE_RQ);
      const answer = await peer.pdu(20_000);
      expect([P_DATA, ABORT]).toContain(answer?.type);
      peer.close();
    });

    it('a data set on another context than its command: aborted', async () => {
      const store = sampleCommand(3, storeCommand('2.25.15'));
      const { closed, last } = await ends(await associated(), store, samplePData(5, false, true, Buffer.alloc(100)));
      expect([closed, last]).toEqual([true, ABORT]);
    });

    it('a command in the middle of a data set: aborted', async () => {
      const store = sampleCommand(3, storeCommand('2.25.16'));
      const { closed, last } = await ends(
        await associated(),
        store,
        samplePData(3, false, false, Buffer.alloc(100)),
        echoRq(),
      );
      expect([closed, last]).toEqual([true, ABORT]);
    });

    it('20,000 C-CANCELs of nothing, then a C-ECHO is answered', async () => {
      const peer = await associated();
      const cancel = (n: number): Buffer =>
        sampleCommand(5, {
          commandField: COMMAND.cancelRq,
          commandDataSetType: 0x0101,
          messageIdBeingRespondedTo: n & 0xffff,
        });
      peer.send(...Array.from({ length: 20_000 }, (_, n) => cancel(n)), echoRq());
      expect((await peer.pdu(10_000))?.type).toBe(P_DATA);
      peer.send(RELEASE_RQ);
      expect((await peer.pdu())?.type).toBe(RELEASED);
      peer.close();
    });

    it('releases that collide, repeat, or answer nothing: an end in time', async () => {
      const store = sampleCommand(3, storeCommand('2.25.17'));
      const cases = [
        [RELEASE_RQ, RELEASE_RQ],
        [RELEASE_RP],
        [store, samplePData(3, false, false, Buffer.alloc(64)), RELEASE_RQ],
        [RELEASE_RQ, echoRq(), RELEASE_RP],
        [sampleAssociateRq(), RELEASE_RQ],
        [echoRq(), RELEASE_RQ, RELEASE_RP, RELEASE_RP],
      ];
      for (const bytes of cases) {
        const peer = await associated();
        peer.send(...bytes);
        peer.socket.end();
        expect(await peer.until(() => peer.ended, 3_000)).toBe(true);
        peer.close();
      }
    });
  });

  it('500 half-open and slow associations leave a known peer served within 500 ms', async () => {
    const request = sampleAssociateRq();
    const peers: ScriptedPeer[] = [];
    const kinds: ((peer: ScriptedPeer) => void)[] = [
      () => undefined,
      (peer) => peer.send(request.subarray(0, 40)),
      (peer) => peer.send(request),
      (peer) => peer.send(request, echoRq().subarray(0, 9)),
      (peer) =>
        peer.send(request, sampleCommand(3, storeCommand('2.25.18')), samplePData(3, false, false, Buffer.alloc(500))),
    ];
    for (let n = 0; n < 500; n++) {
      const peer = await raw();
      peers.push(peer);
      kinds[n % kinds.length]?.(peer);
    }
    // Every fifth goes on, a byte at a time.
    let at = 40;
    const drip = setInterval(() => {
      for (let n = 1; n < peers.length; n += 5) if (!peers[n]?.ended) peers[n]?.send(request.subarray(at, at + 1));
      at++;
    }, 100);
    const times: number[] = [];
    for (let n = 0; n < 30; n++) {
      times.push(await echo());
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    clearInterval(drip);
    for (const peer of peers) peer.close();
    expect(Math.max(...times)).toBeLessThan(500);
  });

  it('a file that is a program as well is stored and given back as an image only', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'archipelago-polyglot-'));
    try {
      const instance = generateInstance({ kind: 'ct', rows: 8, columns: 8, seed: 'polyglot' });
      const file = Buffer.from(instance.part10());
      const script = '#!/bin/sh\ntouch /tmp/archipelago-polyglot-ran #';
      file.write(script, 0, 'latin1');
      const path = join(folder, 'image.dcm');
      writeFileSync(path, file);
      const cli = join(repositoryRoot(), 'tools', 'dist', 'cli', 'main.js');
      const sent = await runCommand(process.execPath, [
        cli,
        'send',
        path,
        '--to',
        `${system.aeTitle}@127.0.0.1:${system.port}`,
      ]);
      expect([sent.code, sent.output]).toEqual([0, expect.stringContaining('1 stored')]);
      const pack = await eventually('its pack is in the store', async () => {
        const packs = names(system.objectsDir).filter((name) => name.endsWith('.pack'));
        return packs
          .map((name) => readFileSync(join(system.objectsDir, name)))
          .find((bytes) => bytes.includes(instance.dataset()));
      });
      const dataset = pack.indexOf(instance.dataset());
      const mark = pack.lastIndexOf('DICM', dataset, 'latin1');
      expect(pack.subarray(mark - 128, mark).equals(Buffer.alloc(128))).toBe(true);
      expect(pack.includes('archipelago-polyglot-ran')).toBe(false);
      const uid = instance.sopInstanceUid;
      await eventually('it is retrieved', async () => (await retrieve(await open('KNOWN', [GET, CT]), uid)) === 1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('after all this: nobody has exited, no answer took two seconds, no process has used 512 MiB, no pack was refused', async () => {
    const { failures, echoes, peaks } = await watch.stop();
    expect(failures).toEqual([]);
    expect(echoes.length).toBeGreaterThan(20);
    expect(Object.keys(peaks).sort()).toEqual(['catalog', 'edge', 'ingest-1']);
    await eventually(
      'all packs are answered',
      async () => {
        const packs = (state: string) => system.edge.metric('archipelago_edge_spool', { state, what: 'packs' });
        return (await packs('open')) === 0 && (await packs('unconfirmed')) === 0;
      },
      60_000,
    );
    expect(await system.edge.metric('archipelago_edge_spool', { state: 'quarantined', what: 'packs' })).toBe(0);
  });
});

function storeOf(
  association: ClientAssociation,
  sopInstanceUid: string,
  dataset: Buffer,
): Parameters<ClientAssociation['store']>[0] {
  const context = association.contexts.find((each) => each.abstractSyntax === CT);
  if (!context) throw new Error('CT was not accepted');
  return { contextId: context.id, sopClassUid: CT, sopInstanceUid, body: [dataset] };
}

async function answerTo(
  association: ClientAssociation,
  identifier: Buffer,
): Promise<{ matches: number; status: number }> {
  let matches = 0;
  let status = -1;
  for await (const response of association.find(FIND, identifier)) {
    status = response.status;
    if (response.identifier) matches++;
  }
  return { matches, status };
}

const lastStatus = async (association: ClientAssociation, identifier: Buffer): Promise<number> =>
  (await answerTo(association, identifier)).status;

async function retrieve(association: ClientAssociation, uid: string): Promise<number | undefined> {
  const identifier = writeDataset(
    { '00080052': { vr: 'CS', Value: ['IMAGE'] }, '00080018': { vr: 'UI', Value: [uid] } },
    IMPLICIT,
  );
  let completed: number | undefined;
  for await (const { counts } of association.get(GET, identifier)) completed = counts.completed;
  await association.release();
  return completed;
}

/** Every name below a folder, folders with a slash at the end. */
function names(root: string, folder = root): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return [];
    return stat.isDirectory() ? [`${relative(root, path)}/`, ...names(root, path)] : [relative(root, path)];
  });
}

/** Who gets an association, how many, for how long, and over TLS: asked by DCMTK and pynetdicom. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTls } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  freePort,
  runCommand,
  runDcmtk,
  runPythonCode,
  startSystem,
  type CommandResult,
  type TestSystem,
} from '@archipelago/testing';
import { pythonPeer } from './support/python-peer';

jest.setTimeout(60_000);

const IDLE_SECONDS = 1;
/** What a peer with no limit of its own may open. */
const PER_PEER = 3;

let root: string;
let system: TestSystem;
let tlsPort: number;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'archipelago-association-'));
  await authority('site');
  await authority('other');
  for (const name of ['server', 'scanner', 'workstation']) await certificate(name, 'site');
  await certificate('forged', 'other');
  tlsPort = await freePort();
  system = await startSystem({
    env: { ARCHIPELAGO_ACCEPT_UNKNOWN_PEERS: 'false' },
    config: {
      limits: { maxAssociationsPerPeer: PER_PEER },
      tls: {
        ...{ cert: file('server.pem'), key: file('server.key'), ca: file('site.pem') },
        ...{ requireClientCertificate: true, port: tlsPort },
      },
      peers: [
        { aeTitle: 'PYNETDICOM' },
        { aeTitle: 'SINGLE', maxAssociations: 1 },
        { aeTitle: 'HASTY', idleSeconds: IDLE_SECONDS },
        { aeTitle: 'ECHOSCU' },
        { aeTitle: 'SCANNER', certificateSha256: fingerprint('scanner') },
      ],
    },
  });
});
afterAll(async () => {
  await system?.stop();
  rmSync(root, { recursive: true, force: true });
});

const file = (name: string): string => join(root, name);
const fingerprint = (name: string): string => new X509Certificate(readFileSync(file(`${name}.pem`))).fingerprint256;

async function openssl(...args: string[]): Promise<void> {
  const made = await runCommand('openssl', args, { cwd: root });
  if (made.code !== 0) throw new Error(made.output);
}
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const authority = (name: string): Promise<void> =>
  openssl(
    'req',
    '-x509',
    ...NEW_KEY,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-subj',
    `/CN=${name}`,
    '-days',
    '2',
  );
async function certificate(name: string, by: string): Promise<void> {
  await openssl('req', ...NEW_KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  const issuer = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial'];
  await openssl('x509', '-req', '-in', `${name}.csr`, ...issuer, '-out', `${name}.pem`, '-days', '2');
}

/** pynetdicom holds `count` associations at once, then releases them and asks once more. */
const HOLD = `
import json, sys
from pynetdicom import AE
port, calling, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def ask():
    ae = AE(ae_title=calling); ae.add_requested_context('1.2.840.10008.1.1')
    assoc = ae.associate('127.0.0.1', port, ae_title='ARCHIPELAGO')
    p = assoc.acceptor.primitive
    if assoc.is_rejected: return None, [p.result, p.result_source, p.diagnostic]
    return assoc, int(assoc.send_c_echo().Status)
held = [ask() for _ in range(count)]
for assoc, _ in held:
    if assoc: assoc.release()
after, status = ask()
if after: after.release()
json.dump({'held': [answer for _, answer in held], 'after': status}, sys.stdout)
`;

describe('associations', () => {
  const hold = async (calling: string, count: number): Promise<unknown> => {
    const done = await runPythonCode(HOLD, [String(system.port), calling, String(count)]);
    if (done.code !== 0) throw new Error(done.output);
    return JSON.parse(done.stdout) as unknown;
  };

  it('beyond the limit of a peer are rejected for now, by the presentation layer: local limit exceeded', async () => {
    // PS3.8 table 9-21
    const rejected = [2, 3, 2];
    expect(await hold('SINGLE', 2)).toEqual({ held: [0, rejected], after: 0 });
    expect(await hold('PYNETDICOM', PER_PEER + 2)).toEqual({ held: [0, 0, 0, rejected, rejected], after: 0 });
  });

  it('that say nothing are aborted after idleSeconds, others stay', async () => {
    const script = `
import json, sys, time, threading
from pynetdicom import AE, evt
out = {}
def ask(calling):
    aborted = threading.Event()
    ae = AE(ae_title=calling); ae.add_requested_context('1.2.840.10008.1.1')
    assoc = ae.associate('127.0.0.1', int(sys.argv[1]), ae_title='ARCHIPELAGO',
                         evt_handlers=[(evt.EVT_ABORTED, lambda e: aborted.set())])
    assert assoc.send_c_echo().Status == 0
    return assoc, aborted, time.monotonic()
other, other_aborted, _ = ask('PYNETDICOM')
hasty, aborted, since = ask('HASTY')
out['aborted'] = aborted.wait(10)
out['seconds'] = time.monotonic() - since
out['other'] = int(other.send_c_echo().Status)
other.release()
json.dump(out, sys.stdout)
`;
    const done = await runPythonCode(script, [String(system.port)]);
    expect(done).toMatchObject({ code: 0 });
    const { aborted, seconds, other } = JSON.parse(done.stdout) as { aborted: boolean; seconds: number; other: number };
    expect({ aborted, other }).toEqual({ aborted: true, other: 0 });
    expect(seconds).toBeGreaterThan(IDLE_SECONDS * 0.9);
    expect(seconds).toBeLessThan(IDLE_SECONDS + 3);
  });

  it('of callers that nobody configured are rejected', async () => {
    const [known, stranger] = await pythonPeer.echo({ port: system.port }, ['PYNETDICOM', 'STRANGER']);
    expect(known).toMatchObject({ status: 0 });
    // permanent, by the service user: calling AE title not recognised
    expect(stranger).toMatchObject({ rejected: [1, 1, 3] });
    const dcmtk = await echo(system.port, 'NOBODY');
    expect(dcmtk.code).not.toBe(0);
    expect(dcmtk.output).toMatch(/Calling AE Title Not Recognized/i);
  });
});

function echo(port: number, calling: string, tls: string[] = []): Promise<CommandResult> {
  return runDcmtk('echoscu', [...tls, '-aet', calling, '-aec', system.aeTitle, '127.0.0.1', String(port)]);
}
/** Mutual TLS as a modality does it: shows its certificate, and verifies ours. */
const as = (name: string): string[] => ['+tls', file(`${name}.key`), file(`${name}.pem`), '+cf', file('site.pem')];
const anonymous = (): string[] => ['+tla', '+cf', file('site.pem')];

describe('the TLS port', () => {
  it('serves whoever shows a certificate of the authority', async () => {
    for (const name of ['scanner', 'workstation']) {
      const answer = await echo(tlsPort, 'ECHOSCU', as(name));
      expect([name, answer.code, answer.output]).toEqual([name, 0, '']);
    }
  });

  it('refuses no certificate, one of another authority, and no TLS', async () => {
    for (const options of [anonymous(), as('forged'), []]) {
      const answer = await echo(tlsPort, 'ECHOSCU', options);
      expect([options, answer.code, answer.timedOut]).toEqual([options, expect.any(Number), false]);
      expect(answer.code).not.toBe(0);
    }
    // not for reasons of the client: the server's own alert, and none to one with a certificate
    expect(await alertTo()).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    expect((await echo(tlsPort, 'ECHOSCU', as('scanner'))).code).toBe(0);
  });

  it('takes a peer that is bound to a certificate for it only with that certificate', async () => {
    expect((await echo(tlsPort, 'SCANNER', as('scanner'))).code).toBe(0);
    for (const [port, options] of [
      [tlsPort, as('workstation')],
      [system.port, []],
    ] as const) {
      const answer = await echo(port, 'SCANNER', [...options]);
      expect(answer.code).not.toBe(0);
      expect(answer.output).toMatch(/Calling AE Title Not Recognized/i);
    }
  });

  /** The code of the error that ends a handshake without a certificate. */
  function alertTo(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const socket = connectTls({
        host: '127.0.0.1',
        port: tlsPort,
        ca: readFileSync(file('site.pem')),
        checkServerIdentity: () => undefined,
      });
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      socket.once('close', () => resolve(undefined));
      socket.resume();
    });
  }
});

import {
  existsSync,
  mkdirSync,
  chmodSync,
  chownSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  accepts,
  findNatsServer,
  freePort,
  repositoryRoot,
  runCommand,
  runDcmtk,
  runPythonCode,
  startStandalone,
  StandaloneFailedError,
  type StandaloneOptions,
  type TestStandalone,
} from '@archipelago/testing';

jest.setTimeout(180_000);

const isRoot = process.getuid?.() === 0;
const NOBODY = { uid: 65534, gid: 65534 };

const imageScript = `
import sys
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import generate_uid, ExplicitVRLittleEndian
d = Dataset(); d.file_meta = FileMetaDataset()
d.SOPClassUID = '1.2.840.10008.5.1.4.1.1.7'; d.SOPInstanceUID = generate_uid()
d.StudyInstanceUID = generate_uid(); d.SeriesInstanceUID = generate_uid()
d.PatientID = sys.argv[2]; d.PatientName = 'Standalone^Test'; d.Modality = 'OT'; d.StudyDate = '20260102'; d.StudyTime = '101112'
d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID; d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
d.save_as(sys.argv[1], enforce_file_format=True)
print(d.StudyInstanceUID)
`;

function running(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; !(await condition()); await new Promise((next) => setTimeout(next, 50))) {
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
  }
}

async function isReady(system: TestStandalone): Promise<boolean> {
  try {
    return (await fetch(`${system.httpUrl}/health/ready`)).status === 200;
  } catch {
    return false;
  }
}

async function image(folder: string, patientId: string): Promise<{ file: string; study: string }> {
  const file = join(folder, `${patientId}.dcm`);
  const made = await runPythonCode(imageScript, [file, patientId]);
  if (made.code !== 0) throw new Error(made.output);
  return { file, study: made.stdout.trim() };
}

async function store(system: TestStandalone, file: string): Promise<void> {
  const stored = await runDcmtk('storescu', ['-aec', system.aeTitle, '127.0.0.1', String(system.dicomPort), file]);
  expect(stored).toMatchObject({ code: 0 });
}

async function finds(system: TestStandalone, patientId: string, study: string): Promise<boolean> {
  const found = await runDcmtk('findscu', [
    ...['-v', '-S', '-aec', system.aeTitle, '-k', 'QueryRetrieveLevel=STUDY', '-k', `PatientID=${patientId}`],
    ...['-k', 'StudyInstanceUID', '127.0.0.1', String(system.dicomPort)],
  ]);
  return found.output.includes(study);
}

describe('standalone', () => {
  let folder: string;
  let systems: TestStandalone[] = [];
  let blockers: Server[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'archipelago-standalone-test-'));
    chmodSync(folder, 0o755);
  });
  afterEach(async () => {
    for (const system of systems) await system.stop();
    for (const blocker of blockers) blocker.close();
    systems = [];
    blockers = [];
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(options: StandaloneOptions = {}): Promise<TestStandalone> {
    const system = await startStandalone({ home: join(folder, 'data'), ...options });
    systems.push(system);
    return system;
  }
  async function failsToStart(options: StandaloneOptions): Promise<StandaloneFailedError> {
    try {
      await start(options);
    } catch (error) {
      if (error instanceof StandaloneFailedError) return error;
      throw error;
    }
    throw new Error('it started');
  }
  async function block(): Promise<number> {
    const port = await freePort();
    const server = createServer();
    blockers.push(server);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return port;
  }

  it('stores and finds by our own tool, stops cleanly, and goes on with the same data', async () => {
    const first = await start();
    expect(first.output().match(/^archipelago ready: /gm)).toHaveLength(1);
    const { file, study } = await image(folder, 'FIRST');
    const cli = join(repositoryRoot(), 'tools', 'dist', 'cli', 'main.js');
    const to = ['--to', `${first.aeTitle}@127.0.0.1:${first.dicomPort}`];
    expect(await runCommand(process.execPath, [cli, 'send', file, ...to])).toMatchObject({ code: 0 });
    await until('found', async () => {
      const found = await runCommand(process.execPath, [cli, 'find', 'PatientID=FIRST', ...to]);
      return found.stdout.includes(study);
    });
    const children = Object.values(first.children());
    expect(children).toHaveLength(4);
    const { code, ms } = await first.terminate('SIGINT');
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
    expect(children.filter(running)).toEqual([]);
    expect(existsSync(join(first.home, 'run', 'standalone.json'))).toBe(false);

    const second = await start();
    expect(await finds(second, 'FIRST', study)).toBe(true);
    expect((await second.terminate('SIGTERM')).code).toBe(0);
  });

  it('joins health and metrics of its children', async () => {
    const system = await start();
    const ready = (await (await fetch(`${system.httpUrl}/health/ready`)).json()) as {
      parts: Record<string, { status: string }>;
    };
    expect(Object.keys(ready.parts).sort()).toEqual(['core', 'edge', 'nats', 'postgres']);
    expect(Object.values(ready.parts).map((part) => part.status)).toEqual(['up', 'up', 'up', 'up']);
    const metrics = await (await fetch(`${system.httpUrl}/metrics`)).text();
    for (const name of ['edge', 'core']) expect(metrics).toContain(`process="${name}"`);
    expect(metrics).toContain('archipelago_child_up{process="standalone",child="postgres"} 1');
  });

  it.each(['edge', 'core', 'nats', 'postgres'])('starts %s again after kill -9 and goes on', async (name) => {
    const system = await start();
    const before = await image(folder, 'BEFORE');
    await store(system, before.file);
    const pid = system.children()[name] as number;
    process.kill(pid, 'SIGKILL');
    await until('a new child', () => system.children()[name] !== pid);
    await until('ready again', () => isReady(system), 40_000);
    const after = await image(folder, 'AFTER');
    await until('the port is open', () => accepts(system.dicomPort));
    await store(system, after.file);
    await until(
      'both are found',
      async () => (await finds(system, 'BEFORE', before.study)) && (await finds(system, 'AFTER', after.study)),
      40_000,
    );
    expect((await system.terminate()).code).toBe(0);
  });

  it('kill -9 of the supervisor leaves nobody behind, and the next start has everything', async () => {
    const first = await start();
    const { file, study } = await image(folder, 'ORPHAN');
    await store(first, file);
    const children = Object.values(first.children());
    await first.kill9();
    const second = await start();
    expect(children.filter(running)).toEqual([]);
    await until('found', () => finds(second, 'ORPHAN', study));
  });

  it('refuses a second supervisor on the same folder', async () => {
    const first = await start();
    const { code, output } = await failsToStart({});
    expect(code).toBe(1);
    expect(output).toContain(`already runs on ${first.home} (pid ${first.pid})`);
    expect(await isReady(first)).toBe(true);
  });

  it.each(['ARCHIPELAGO_DIMSE_PORT', 'ARCHIPELAGO_HTTP_PORT'])('names %s when its port is taken', async (setting) => {
    const port = await block();
    const { code, output } = await failsToStart({ env: { [setting]: String(port) } });
    expect(code).toBe(2);
    expect(output).toContain(`port ${port} on 127.0.0.1 is taken by another program: set ${setting} to another port`);
    expect(existsSync(join(folder, 'data', 'postgres'))).toBe(false);
  });

  it('lists every mistake of its configuration before it starts anything', async () => {
    const config = join(folder, 'archipelago.yaml');
    writeFileSync(config, 'site: main\npeers:\n  - { aeTitle: ABCDEFGHIJKLMNOPQRS }\nunknown: 1\n');
    const { code, output } = await failsToStart({
      env: { ARCHIPELAGO_CONFIG: config, ARCHIPELAGO_DIMSE_PORT: 'eleven' },
    });
    expect(code).toBe(2);
    for (const where of ['archipelago.yaml:3', 'archipelago.yaml:4', 'ARCHIPELAGO_DIMSE_PORT'])
      expect(output).toContain(where);
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });

  it('names a TLS file that is not there, with the key and line', async () => {
    const config = join(folder, 'archipelago.yaml');
    writeFileSync(config, 'site: main\ntls:\n  cert: /nowhere/server.crt\n  key: /nowhere/server.key\n');
    const { code, output } = await failsToStart({ env: { ARCHIPELAGO_CONFIG: config } });
    expect(code).toBe(2);
    expect(output).toContain('archipelago.yaml:3: tls.cert: cannot read /nowhere/server.crt: ENOENT');
    expect(output).toContain('archipelago.yaml:4: tls.key: cannot read /nowhere/server.key: ENOENT');
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });

  // As a plain user everything above runs as one already.
  (isRoot ? it : it.skip)('runs as a plain user', async () => {
    const home = join(folder, 'plain');
    mkdirSync(home);
    chownSync(home, NOBODY.uid, NOBODY.gid);
    // A nats-server that this user may reach: the tools cache of root lies below a folder that only root may enter.
    const server = join(folder, 'nats-server');
    copyFileSync(findNatsServer('newest').path, server);
    chmodSync(server, 0o755);
    const system = await start({ home, user: NOBODY, env: { HOME: home, ARCHIPELAGO_NATS_SERVER: server } });
    const { file, study } = await image(folder, 'PLAIN');
    await store(system, file);
    await until('found', () => finds(system, 'PLAIN', study));
    expect((await system.terminate()).code).toBe(0);
  });

  (isRoot ? it : it.skip)('runs as root below a folder that only root may enter; PostgreSQL is not root', async () => {
    chmodSync(folder, 0o700);
    const system = await start();
    const status = readFileSync(`/proc/${system.children().postgres}/status`, 'utf8');
    expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe('0');
    expect((await system.terminate()).code).toBe(0);
  });
});

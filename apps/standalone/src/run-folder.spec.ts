import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordOf, isRunning } from './processes';
import { AlreadyRunningError, RunFolder } from './run-folder';

describe('RunFolder', () => {
  let home: string;
  beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'run-'))));
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  function leaveBehind(supervisor: object, children: object): void {
    mkdirSync(join(home, 'run'));
    writeFileSync(join(home, 'run', 'standalone.json'), JSON.stringify({ supervisor, children }));
  }

  it('lets one supervisor have the folder, and the next after release', async () => {
    const run = await RunFolder.acquire(home);
    await expect(RunFolder.acquire(home)).rejects.toThrow(AlreadyRunningError);
    run.release();
    (await RunFolder.acquire(home)).release();
  });

  it('takes over from a supervisor whose pid another program has by now', async () => {
    leaveBehind({ pid: process.pid, started: 'another time' }, {});
    (await RunFolder.acquire(home)).release();
  });

  it('takes over from a file that is not whole', async () => {
    leaveBehind({ pid: 1, started: '' }, {});
    writeFileSync(join(home, 'run', 'standalone.json'), '{"superv');
    (await RunFolder.acquire(home)).release();
  });

  it('ends recorded children that stayed, and only those', async () => {
    const ours = spawn('sleep', ['60']);
    const other = spawn('sleep', ['60']);
    const pids = [ours.pid as number, other.pid as number] as const;
    leaveBehind({ pid: 999_999_999, started: '1' }, { edge: recordOf(pids[0]), nats: { pid: pids[1], started: '7' } });
    const ended = new Promise((resolve) => ours.once('exit', (_code, signal) => resolve(signal)));
    (await RunFolder.acquire(home, 100)).release();
    expect(await ended).toBe('SIGKILL');
    expect(isRunning(recordOf(pids[1]))).toBe(true);
    other.kill();
  });
});

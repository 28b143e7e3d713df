import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnManaged } from '@archipelago/platform-embedded';
import { Logger } from '@archipelago/platform-service';
import { backoffMs, Supervised } from './supervised';

const quiet = Logger.create('test', 'silent');
const until = async (condition: () => boolean): Promise<void> => {
  for (const end = Date.now() + 5000; !condition(); await new Promise((next) => setTimeout(next, 10))) {
    if (Date.now() > end) throw new Error('not in time');
  }
};

describe('Supervised', () => {
  const folder = mkdtempSync(join(tmpdir(), 'supervised-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const launch = (script: string) => async () =>
    spawnManaged('/bin/sh', ['-c', script], { name: 'child', logFile: join(folder, 'child.log') });
  const backoff = { firstMs: 10, maxMs: 40, settledMs: 60_000 };

  it('doubles the pause up to its bound', () => {
    expect([1, 2, 3, 4, 50].map((failures) => backoffMs(failures, { firstMs: 10, maxMs: 65, settledMs: 1 }))).toEqual([
      10, 20, 40, 65, 65,
    ]);
  });

  it('starts a killed child again, and not after stop', async () => {
    const supervised = new Supervised('child', launch('sleep 30'), quiet, backoff);
    await supervised.start();
    const first = supervised.pid as number;
    process.kill(first, 'SIGKILL');
    await until(() => supervised.alive && supervised.pid !== first);
    expect(supervised.restartCount).toBe(1);
    await supervised.stop(1000);
    expect(supervised.alive).toBe(false);
    await new Promise((next) => setTimeout(next, 100));
    expect(supervised.restartCount).toBe(1);
  });

  it('goes on when a restart fails', async () => {
    let launches = 0;
    const supervised = new Supervised(
      'child',
      async () => {
        launches++;
        if (launches === 2 || launches === 3) throw new Error('no');
        return launch('sleep 30')();
      },
      quiet,
      backoff,
    );
    await supervised.start();
    process.kill(supervised.pid as number, 'SIGKILL');
    await until(() => launches === 4 && supervised.alive);
    await supervised.stop(1000);
  });

  it('ends a child that ignores SIGTERM after the grace', async () => {
    const supervised = new Supervised('child', launch('trap "" TERM; sleep 30 & wait; sleep 30'), quiet, backoff);
    await supervised.start();
    await new Promise((next) => setTimeout(next, 200));
    const started = Date.now();
    await supervised.stop(500);
    expect(supervised.alive).toBe(false);
    expect(Date.now() - started).toBeLessThan(3000);
  });
});

/** The standalone with the oldest nats-server that it must run with: Debian's, 2.9 (foundation: term, one filter subject). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot, runCommand } from '@archipelago/testing';
import { startArchive } from './support/archive';

jest.setTimeout(240_000);

/** Debian's package unpacked into a folder of ours; undefined where it cannot be had (no Debian, no network). */
async function debianNatsServer(folder: string): Promise<string | undefined> {
  const script = 'cd "$1" && apt-get download -q nats-server && dpkg -x nats-server_*.deb .';
  const got = await runCommand('bash', ['-c', script, 'get', folder], { timeoutMs: 120_000 }).catch(() => undefined);
  if (got?.code !== 0) return undefined;
  const path = join(folder, 'usr', 'sbin', 'nats-server');
  const version = await runCommand(path, ['--version']);
  return version.code === 0 ? path : undefined;
}

it('stores, finds, carries commands out and stops', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'archipelago-nats-debian-'));
  try {
    const path = await debianNatsServer(folder);
    if (path === undefined) {
      process.stderr.write("not shown: Debian's nats-server cannot be had here (apt-get download nats-server)\n");
      return;
    }
    const system = await startArchive({ env: { ARCHIPELAGO_NATS_SERVER: path } });
    try {
      const tool = (name: string, ...args: string[]) =>
        runCommand(process.execPath, [join(repositoryRoot(), 'tools', 'dist', name, 'main.js'), ...args], {
          env: { ...process.env, ARCHIPELAGO_HOME: system.home },
        });
      const images = join(folder, 'images');
      expect((await tool('generate', '--out', images, '--count', '20')).code).toBe(0);
      const to = ['--to', `${system.aeTitle}@127.0.0.1:${system.port}`];
      const sent = await tool('cli', 'send', images, ...to);
      expect(sent.stdout + sent.stderr).toContain('20 stored');
      // through JetStream into the catalog, and back by request and reply
      await system.indexed();
      const found = await tool('cli', 'find', ...to);
      expect(found.stdout + found.stderr).toContain('1 found');
      // a command on JetStream, a query on core NATS
      expect((await tool('cli', 'sweep', 'run')).code).toBe(0);
      expect((await tool('cli', 'catalog', 'rebuild')).stdout).toMatch(/derived anew from [1-9]/);
      expect((await tool('cli', 'dead-letters', 'list')).stdout).toBe('');
    } finally {
      await system.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

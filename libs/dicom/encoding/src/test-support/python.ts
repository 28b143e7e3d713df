import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(__dirname, '../../../../..');

/**
 * The Python of the test peers in the tools cache, where tools/setup/python-peers.sh makes it. (The launchers of the
 * testing library know it too, but that library is built upon this one.)
 */
export function peersPython(): string {
  const versions = JSON.parse(readFileSync(join(root, 'tools/versions.json'), 'utf8')) as {
    pythonPeers: { packages: Record<string, string> };
  };
  const lines = Object.entries(versions.pythonPeers.packages).map(([name, version]) => `${name}==${version}\n`);
  const hash = createHash('sha256').update(lines.join('')).digest('hex').slice(0, 12);
  const cache =
    process.env.ARCHIPELAGO_TOOLS ??
    join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'archipelago', 'tools');
  const python = join(cache, `python-peers-${hash}`, 'bin', 'python');
  if (!existsSync(python)) throw new Error('no Python peers: run tools/setup/python-peers.sh');
  return python;
}

/** Runs a script of ours; throws with its stderr when it fails. */
export function runPython(script: string, args: string[], input = ''): string {
  const result = spawnSync(peersPython(), ['-B', script, ...args], {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    timeout: 300_000,
  });
  if (result.status !== 0) throw new Error(`${script} failed (${result.status}): ${result.stderr}`);
  return result.stdout;
}

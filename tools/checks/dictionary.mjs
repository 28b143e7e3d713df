/** The generated data dictionary is what its generator writes. Needs the Python peers (tools/setup/python-peers.sh). */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { packages } = JSON.parse(readFileSync(join(root, 'tools', 'versions.json'), 'utf8')).pythonPeers;
const pins = Object.entries(packages).map(([name, version]) => `${name}==${version}\n`);
const hash = createHash('sha256').update(pins.join('')).digest('hex').slice(0, 12);
const cache =
  process.env.ARCHIPELAGO_TOOLS ||
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'archipelago', 'tools');
const python = join(cache, `python-peers-${hash}`, 'bin', 'python');
if (!existsSync(python)) {
  console.error('the Python peers are not installed: run tools/setup/python-peers.sh');
  process.exit(1);
}
const generator = join(root, 'libs', 'dicom', 'core', 'generator', 'generate.py');
const { status, stdout, stderr } = spawnSync(python, ['-B', generator, '--check'], { encoding: 'utf8' });
if (status !== 0) {
  console.error(`${stdout}${stderr}\nrun ${generator} and commit what it writes`);
  process.exit(1);
}
console.log('the data dictionary is as generated');

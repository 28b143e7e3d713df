/** Exit status 0 when node_modules is not what package-lock.json says (npm ci is needed), 1 when it is. No packages needed. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const installed = join(root, 'node_modules', '.package-lock.json');

function packages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}

function differs() {
  if (!existsSync(installed)) return true;
  const have = packages(installed);
  for (const [path, wanted] of Object.entries(packages(join(root, 'package-lock.json')))) {
    if (!path.includes('node_modules/')) continue;
    const found = have[path];
    if (!found) {
      if (wanted.optional || wanted.peer) continue;
      return true;
    }
    if (found.version !== wanted.version || found.integrity !== wanted.integrity || found.link !== wanted.link)
      return true;
  }
  return false;
}

process.exit(differs() ? 0 : 1);

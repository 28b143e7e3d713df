/**
 * package-lock.json names every platform package that its packages ask for: npm install leaves those away that the
 * registry does not have, without a word, and npm ci then fails on the machine that needs them. No address of a registry
 * is written into it.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
const mistakes = [];

/** As Node resolves: beside the package, then further up. */
function resolves(from, name) {
  for (let folder = from; ; folder = folder.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (packages[path]) return true;
    if (folder === '' || !folder.includes('node_modules'))
      return folder !== '' && Boolean(packages[`node_modules/${name}`]);
  }
}

for (const [path, entry] of Object.entries(packages)) {
  for (const name of Object.keys(entry.optionalDependencies ?? {})) {
    if (!resolves(path, name)) mistakes.push(`${path || 'package.json'}: optional ${name} is not in package-lock.json`);
  }
  if (entry.resolved?.startsWith('http'))
    mistakes.push(`${path}: package-lock.json names where it was downloaded from`);
}
if (mistakes.length > 0) {
  console.error(mistakes.join('\n'));
  process.exit(1);
}
console.log('package-lock.json is complete');

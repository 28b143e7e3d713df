/**
 * Every project has one known `type:` tag (else no boundary rule sees it), a README, and a place in the root build; and
 * its tsconfig references exactly what it imports. Nx's project graph has the same projects.
 * Integration specs that a project leaves out of its build (a library below libs/testing would close a circle of
 * references) have a `tsconfig.integration.json` of their own in the root build: they are type-checked after libs/testing.
 */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const types = ['util', 'contract', 'domain', 'platform', 'app', 'standalone', 'testing', 'e2e', 'tool'];
const mistakes = [];
const json = (path) => JSON.parse(readFileSync(path, 'utf8'));

function workspaceFolders() {
  const folders = [];
  for (const pattern of json(join(root, 'package.json')).workspaces) {
    if (!pattern.endsWith('/*')) folders.push(pattern);
    else
      for (const name of readdirSync(join(root, pattern.slice(0, -2)))) folders.push(`${pattern.slice(0, -2)}/${name}`);
  }
  return folders.filter((folder) => existsSync(join(root, folder, 'package.json')));
}

function sources(folder) {
  const found = [];
  for (const entry of readdirSync(folder)) {
    if (entry === 'dist' || entry === 'node_modules') continue;
    const path = join(folder, entry);
    if (statSync(path).isDirectory()) found.push(...sources(path));
    else if (entry.endsWith('.ts')) found.push(path);
  }
  return found;
}

const folders = workspaceFolders();
const byName = new Map(folders.map((folder) => [json(join(root, folder, 'package.json')).name, folder]));
const built = new Set(json(join(root, 'tsconfig.json')).references.map((each) => resolve(root, each.path)));

for (const folder of folders) {
  const tags = (json(join(root, folder, 'package.json')).nx?.tags ?? []).filter((tag) => tag.startsWith('type:'));
  if (tags.length !== 1 || !types.includes(tags[0].slice(5))) {
    mistakes.push(
      `${folder}/package.json: nx.tags needs exactly one of ${types.map((type) => `type:${type}`).join(' ')}`,
    );
  }
  if (!existsSync(join(root, folder, 'README.md'))) mistakes.push(`${folder}: README.md is missing`);
  if (!built.has(join(root, folder))) mistakes.push(`tsconfig.json: a reference to ./${folder} is missing`);
  const config = json(join(root, folder, 'tsconfig.json'));
  const referenced = new Set((config.references ?? []).map((each) => resolve(root, folder, each.path)));
  const integrationLeftOut = config.exclude?.includes('src/**/*.integration.spec.ts') === true;
  const apart = join(root, folder, 'tsconfig.integration.json');
  const apartReferences = new Set();
  if (integrationLeftOut) {
    if (!built.has(apart)) mistakes.push(`tsconfig.json: a reference to ./${relative(root, apart)} is missing`);
    for (const each of existsSync(apart) ? (json(apart).references ?? []) : [])
      apartReferences.add(resolve(root, folder, each.path));
  }
  const missing = new Set();
  for (const file of sources(join(root, folder))) {
    const known = integrationLeftOut && file.endsWith('.integration.spec.ts') ? apartReferences : referenced;
    for (const match of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s+'(@archipelago\/[\w-]+)/g)) {
      const target = byName.get(match[1]);
      if (!target) mistakes.push(`${relative(root, file)}: there is no project ${match[1]}`);
      else if (target !== folder && !known.has(join(root, target))) missing.add(target);
    }
  }
  for (const target of missing)
    mistakes.push(`${folder}/tsconfig.json: a reference to ${relative(folder, target)} is missing`);
}
if (mistakes.length > 0) {
  console.error(mistakes.join('\n'));
  process.exit(1);
}
console.log(`${folders.length} projects: tags, READMEs and references are right`);

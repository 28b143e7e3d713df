/** The product's own sources as text: what the documentation is checked against. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(__dirname, ...(__dirname.includes(join('tools', 'dist')) ? ['..', '..', '..'] : ['..', '..']));

const SKIPPED = new Set(['node_modules', 'dist', '.git', '.nx', 'data', 'coverage', 'generated']);

/** Files below a folder whose names end so, without what is generated or installed. */
export function filesBelow(folder: string, end: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    if (SKIPPED.has(name)) return [];
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return filesBelow(path, end);
    return name.endsWith(end) ? [path] : [];
  });
}

export function productSource(): string {
  return ['apps', 'libs']
    .flatMap((folder) => filesBelow(join(ROOT, folder), '.ts'))
    .filter((file) => !file.endsWith('.spec.ts') && !file.includes(join('libs', 'testing')))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
}

export interface Metric {
  name: string;
  type: string;
  help: string;
  labels: string[];
}

const METRIC =
  /\.(counter|gauge|histogram)\(\{\s*name: '(archipelago_[a-z_]+)',\s*help:\s*'([^']+)'(?:,\s*labelNames: \[([^\]]*)\])?/g;
const WRITTEN = /'# HELP (archipelago_[a-z_]+) ([^']+)',\s*'# TYPE \S+ (\w+)'/g;

/** Every metric that a process registers, by name. */
export function metrics(source = productSource()): Metric[] {
  const labelsOf = (text = ''): string[] => [...text.matchAll(/'([^']+)'/g)].map((match) => match[1] as string);
  const registered = [...source.matchAll(METRIC)].map(([, type = '', name = '', help = '', labels]) => ({
    name,
    type,
    help,
    labels: labelsOf(labels),
  }));
  const written = [...source.matchAll(WRITTEN)].map(([, name = '', help = '', type = '']) => ({
    name,
    type,
    help,
    labels: ['child'],
  }));
  return [...registered, ...written].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Messages of warnings and errors in the logs. */
export function logMessages(source = productSource()): string[] {
  const logged = source.matchAll(/logger\??\s*\.(?:warn|error|fatal)\(\s*'([^']+)'/g);
  const fatal = source.matchAll(/\bthis\.die\('([^']+)'/g);
  return [...new Set([...logged, ...fatal].map((match) => match[1] as string))].sort();
}

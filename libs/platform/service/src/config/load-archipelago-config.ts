import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { ArchipelagoConfigSchema, type ArchipelagoConfig } from './archipelago-schema';
import { ConfigError, type ConfigMistake } from './define-config';

/** A configuration file larger than this is a mistake, not a configuration. */
const MAX_BYTES = 4 * 1024 * 1024;
const DEFAULT_FILE = 'archipelago.yaml';

/** Injection token of the checked site file. */
export const ARCHIPELAGO_CONFIG = Symbol('archipelago-config');

function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

function keyOffset(document: Document, path: readonly PropertyKey[], key: string): number {
  const map: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  if (isMap(map)) {
    for (const pair of map.items) {
      if (isScalar(pair.key) && pair.key.value === key && pair.key.range) return pair.key.range[0];
    }
  }
  return offsetOf(document, path);
}

function describe(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

function mistakesOf(issue: z.core.$ZodIssue, document: Document): { offset: number; message: string }[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      offset: keyOffset(document, issue.path, key),
      message: `${describe([...issue.path, key])}: unknown key`,
    }));
  }
  const name = describe(issue.path);
  return [
    { offset: offsetOf(document, issue.path), message: name === '' ? issue.message : `${name}: ${issue.message}` },
  ];
}

/** What one service finds wrong in a site file that is well formed: the key's path in it, and why. */
export type FurtherCheck = (config: ArchipelagoConfig) => { path: (string | number)[]; message: string }[];

/**
 * Checks the text of a site file.
 * @param file name for messages
 * @param further what only one service can check, as files that only it needs
 * @throws ConfigError with every mistake and its line
 */
export function parseArchipelagoConfig(text: string, file = DEFAULT_FILE, further?: FurtherCheck): ArchipelagoConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => `${file}:${lines.linePos(offset).line}`;
  if (document.errors.length > 0) {
    throw new ConfigError(document.errors.map((error) => ({ where: at(error.pos[0]), message: error.message })));
  }
  const result = ArchipelagoConfigSchema.safeParse((document.toJS({ maxAliasCount: 100 }) as unknown) ?? {});
  const found = result.success
    ? (further?.(result.data) ?? []).map(({ path, message }) => ({
        offset: offsetOf(document, path),
        message: `${describe(path)}: ${message}`,
      }))
    : result.error.issues.flatMap((issue) => mistakesOf(issue, document));
  if (result.success && found.length === 0) return result.data;
  found.sort((a, b) => a.offset - b.offset);
  throw new ConfigError(found.map((m): ConfigMistake => ({ where: at(m.offset), message: m.message })));
}

/**
 * The site file named by ARCHIPELAGO_CONFIG; without it `archipelago.yaml` in the working folder if there is one, else
 * all defaults.
 * @throws ConfigError listing every mistake with its line; a named file that cannot be read is one
 */
export function loadArchipelagoConfig(
  environment: NodeJS.ProcessEnv = process.env,
  further?: FurtherCheck,
): ArchipelagoConfig {
  const named = environment['ARCHIPELAGO_CONFIG'];
  const path = resolve(named === undefined || named === '' ? DEFAULT_FILE : named);
  if ((named === undefined || named === '') && !existsSync(path)) return ArchipelagoConfigSchema.parse({});
  let text: string;
  try {
    if (statSync(path).size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError([
      { where: 'ARCHIPELAGO_CONFIG', message: `cannot read ${path}: ${(error as Error).message}` },
    ]);
  }
  return parseArchipelagoConfig(text, basename(path), further);
}

import { readFileSync, writeFileSync } from 'node:fs';
import type { LinkedPair, PersonRecord } from '@archipelago/identity';
import { formatCsv, parseCsv } from './csv';

export const COLUMNS = ['given', 'family', 'dob', 'sex', 'street', 'city', 'zip', 'phone'] as const;

/** Reads records with a header among id and COLUMNS, in any order and case; other columns are left alone. */
export function readRecords(path: string): PersonRecord[] {
  const [header = [], ...rows] = parseCsv(readFileSync(path, 'utf8'));
  const names = header.map((name) => name.trim().toLowerCase());
  const id = names.indexOf('id');
  if (id < 0) throw new Error(`${path}: the header has no column "id"`);
  const columns = COLUMNS.flatMap((name) => (names.includes(name) ? [[name, names.indexOf(name)] as const] : []));
  if (columns.length === 0) throw new Error(`${path}: the header has none of ${COLUMNS.join(', ')}`);
  return rows.map((row) => {
    const record: PersonRecord = { key: row[id] ?? '' };
    for (const [name, at] of columns) record[name] = row[at] ?? '';
    return record;
  });
}

export function writeRecords(path: string, records: readonly PersonRecord[]): void {
  const rows = records.map((record) => [record.key, ...COLUMNS.map((name) => record[name] ?? '')]);
  writeFileSync(path, formatCsv([['id', ...COLUMNS], ...rows]));
}

export function writePairs(
  path: string,
  pairs: readonly LinkedPair[],
  left: readonly PersonRecord[],
  right: readonly PersonRecord[],
): void {
  const rows = pairs.map((pair) => [left[pair.left]!.key, right[pair.right]!.key, pair.probability.toFixed(6)]);
  writeFileSync(path, formatCsv([['left', 'right', 'score'], ...rows]));
}

/** Pairs of ids, with their score where there is one. */
export function readPairs(path: string): [left: string, right: string, score: number][] {
  const [, ...rows] = parseCsv(readFileSync(path, 'utf8'));
  return rows.map(([left = '', right = '', score]) => [left, right, score === undefined ? 1 : Number(score)]);
}

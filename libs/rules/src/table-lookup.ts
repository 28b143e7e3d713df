import { matchWildcard } from '@archipelago/dicom-core';
import type { Table } from './model';

/** The value that a table gives for a text; undefined when it has none. */
export type Lookup = (text: string) => string | undefined;

/**
 * exact: the row of that text. prefix: the longest row that the text begins with. wildcard: the first row, in the order of
 * the source, whose pattern (* and ?) is the whole text. Spaces around the text do not count.
 */
export function tableLookup(table: Table): Lookup {
  const fold = (text: string): string => (table.ignoreCase ? text.toLowerCase() : text);
  if (table.match === 'wildcard') {
    const rows = table.rows.map(([from, to]) => [fold(from), to] as const);
    return (text) => {
      const wanted = fold(text.trim());
      return rows.find(([pattern]) => matchWildcard(pattern, wanted))?.[1];
    };
  }
  const map = new Map<string, string>();
  for (const [from, to] of table.rows) if (!map.has(fold(from))) map.set(fold(from), to);
  if (table.match === 'exact') return (text) => map.get(fold(text.trim()));
  const lengths = [...new Set([...map.keys()].map((from) => from.length))].sort((a, b) => b - a);
  return (text) => {
    const wanted = fold(text.trim());
    for (const length of lengths) {
      if (length > wanted.length) continue;
      const to = map.get(wanted.slice(0, length));
      if (to !== undefined) return to;
    }
    return undefined;
  };
}

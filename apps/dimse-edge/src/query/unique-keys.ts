/** Unique keys of the levels and the hierarchical rule (PS3.4 C.4.1.2.1, C.4.2.2.1, C.4.3.2.1, C.6). */
import type { QueryKey, QueryLevel } from '@archipelago/contracts';

export const UNIQUE_KEYS: Readonly<Record<QueryLevel, string>> = {
  PATIENT: '00100020',
  STUDY: '0020000D',
  SERIES: '0020000E',
  IMAGE: '00080018',
};

/** Values of a key as given, without surrounding padding and empty ones. */
export function valuesOf(keys: readonly QueryKey[], tag: string): string[] {
  const key = keys.find((k) => k.tag === tag);
  return key ? key.values.map((v) => v.replace(/[\0 ]+$/, '').trimStart()).filter((v) => v !== '') : [];
}

/** Levels of the model above the given one, highest first. */
export function levelsAbove(levels: readonly QueryLevel[], level: QueryLevel): readonly QueryLevel[] {
  return levels.slice(0, levels.indexOf(level));
}

/** The first level above `level` whose unique key is not one single value without wildcards. */
export function missingAbove(
  keys: readonly QueryKey[],
  levels: readonly QueryLevel[],
  level: QueryLevel,
): QueryLevel | undefined {
  return levelsAbove(levels, level).find((above) => {
    const values = valuesOf(keys, UNIQUE_KEYS[above]);
    return values.length !== 1 || /[*?]/.test(values[0]!);
  });
}

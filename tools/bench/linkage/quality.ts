import type { LinkedPair, PersonRecord } from '@archipelago/identity';

export interface Quality {
  links: number;
  wrong: number;
  precision: number;
  recall: number;
}

export const pairKey = (left: string, right: string): string => `${left}\n${right}`;

export function truthOf(pairs: readonly (readonly [string, string, ...unknown[]])[]): Set<string> {
  return new Set(pairs.map(([left, right]) => pairKey(left, right)));
}

/** Precision 1 for no links at all. */
export function quality(found: ReadonlySet<string>, truth: ReadonlySet<string>): Quality {
  let right = 0;
  for (const pair of found) if (truth.has(pair)) right++;
  return {
    links: found.size,
    wrong: found.size - right,
    precision: found.size === 0 ? 1 : right / found.size,
    recall: truth.size === 0 ? 1 : right / truth.size,
  };
}

export function keysOf(
  pairs: readonly LinkedPair[],
  left: readonly PersonRecord[],
  right: readonly PersonRecord[],
): Set<string> {
  return new Set(pairs.map((pair) => pairKey(left[pair.left]!.key, right[pair.right]!.key)));
}

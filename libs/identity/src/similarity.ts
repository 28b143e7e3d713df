/** String similarity: Jaro-Winkler (Winkler 1990) and optimal string alignment (Damerau 1964, restricted form). */

const MAX = 64;
const usedA = new Uint8Array(MAX);
const usedB = new Uint8Array(MAX);

/** 0 to 1; the texts are cut at 64 UTF-16 units. Common prefix up to 4 weighs 0.1 a letter. */
export function jaroWinkler(first: string, second: string): number {
  if (first === second) return 1;
  const a = first.length > MAX ? first.slice(0, MAX) : first;
  const b = second.length > MAX ? second.slice(0, MAX) : second;
  const n = a.length;
  const m = b.length;
  if (n === 0 || m === 0) return 0;
  const reach = Math.max(0, (Math.max(n, m) >> 1) - 1);
  usedA.fill(0, 0, n);
  usedB.fill(0, 0, m);
  let matches = 0;
  for (let i = 0; i < n; i++) {
    const c = a.charCodeAt(i);
    const end = Math.min(m, i + reach + 1);
    for (let j = Math.max(0, i - reach); j < end; j++) {
      if (usedB[j] === 0 && b.charCodeAt(j) === c) {
        usedA[i] = usedB[j] = 1;
        matches++;
        break;
      }
    }
  }
  if (matches === 0) return 0;
  let moved = 0;
  for (let i = 0, j = 0; i < n; i++) {
    if (usedA[i] === 0) continue;
    while (usedB[j] === 0) j++;
    if (a.charCodeAt(i) !== b.charCodeAt(j)) moved++;
    j++;
  }
  const jaro = (matches / n + matches / m + (matches - moved / 2) / matches) / 3;
  let prefix = 0;
  while (prefix < 4 && prefix < n && prefix < m && a.charCodeAt(prefix) === b.charCodeAt(prefix)) prefix++;
  return jaro + prefix * 0.1 * (1 - jaro);
}

let rows = [new Uint8Array(MAX + 1), new Uint8Array(MAX + 1), new Uint8Array(MAX + 1)] as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

/**
 * Insertions, deletions, substitutions and swaps of neighbours between two texts (cut at 64 units); anything above `limit`
 * is returned as `limit + 1`.
 */
export function editDistance(first: string, second: string, limit = 255): number {
  if (first === second) return 0;
  const a = first.length > MAX ? first.slice(0, MAX) : first;
  const b = second.length > MAX ? second.slice(0, MAX) : second;
  const n = a.length;
  const m = b.length;
  if (Math.abs(n - m) > limit) return limit + 1;
  let [before, last, now] = rows;
  for (let j = 0; j <= m; j++) last[j] = j;
  for (let i = 1; i <= n; i++) {
    now[0] = i;
    let smallest = i;
    const c = a.charCodeAt(i - 1);
    for (let j = 1; j <= m; j++) {
      const d = b.charCodeAt(j - 1);
      let cost = Math.min(last[j]! + 1, now[j - 1]! + 1, last[j - 1]! + (c === d ? 0 : 1));
      if (i > 1 && j > 1 && c === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === d)
        cost = Math.min(cost, before[j - 2]! + 1);
      now[j] = cost;
      if (cost < smallest) smallest = cost;
    }
    if (smallest > limit) return limit + 1;
    [before, last, now] = [last, now, before];
  }
  rows = [before, last, now];
  return Math.min(last[m]!, limit + 1);
}

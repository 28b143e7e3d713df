/** Wildcards of C-FIND and QIDO-RS: '*' any characters, '?' exactly one (PS3.4 section C.2.2.2.4). */

export function hasWildcard(pattern: string): boolean {
  return pattern.includes('*') || pattern.includes('?');
}

/** Matches in linear time in practice (backtracks to the last star only), so hostile patterns cost nothing. */
export function matchWildcard(pattern: string, value: string): boolean {
  let p = 0;
  let v = 0;
  let star = -1;
  let mark = 0;
  while (v < value.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++;
      mark = v;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === value[v])) {
      p++;
      v++;
    } else if (star >= 0) {
      p = star + 1;
      v = ++mark;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** The pattern as SQL LIKE with backslash as the escape character. */
export function wildcardToLike(pattern: string): string {
  return pattern
    .replace(/[\\%_]/g, (character) => '\\' + character)
    .replace(/\*+/g, '%')
    .replace(/\?/g, '_');
}

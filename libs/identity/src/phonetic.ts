/**
 * A phonetic code of our own for blocking and comparison, meant for names of many languages at once: consonant classes after
 * the idea of Soundex (Russell 1918) and Postel's Cologne phonetics (1969), with the spellings that European languages use
 * for one sound brought together first. Vowels count only at the beginning, and there all alike.
 */

const SPELLINGS: [RegExp, string][] = [
  [/^(?:kn|gn|pn)/, 'n'],
  [/^wr/, 'r'],
  [/^x/, 's'],
  [/ph/g, 'f'],
  [/(?:tsch|tch|sch|sh|ch|cz|ts|tz|dz|zh|sz|cs)/g, 's'],
  [/(?:ck|q|x|c(?=[aoukrlnt]|$))/g, 'k'],
  [/c(?=[eiy])/g, 's'],
  [/gh/g, 'g'],
  [/(?:th|dt)/g, 't'],
  [/(?<=[a-z])h/g, ''],
  [/w(?=$|[^a-z])/g, ''],
];

const CLASSES: Record<string, string> = {
  b: '1', p: '1', f: '1', v: '1', w: '1', k: '2', g: '2', c: '2', j: '2', s: '3', z: '3', d: '4', t: '4', l: '5', m: '6', n: '6', r: '7',
}; // prettier-ignore

/** Up to `length` letters; '' for a text without Latin letters (then the text itself is its code, cut). */
export function phoneticCode(latin: string, length = 5): string {
  let text = latin.replace(/[^a-z]/g, '');
  if (text === '') return latin.slice(0, length);
  for (const [pattern, by] of SPELLINGS) text = text.replace(pattern, by);
  let code = /^[aeiouyh]/.test(text) ? '0' : '';
  let last = '';
  for (const letter of text) {
    const sound = CLASSES[letter] ?? '';
    if (sound !== '' && sound !== last) code += sound;
    last = sound;
    if (code.length >= length) break;
  }
  return code;
}

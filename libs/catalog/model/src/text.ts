/** Text rules shared by projection and matching: what PostgreSQL cannot hold, and how names are made comparable. */

/**
 * NUL and lone surrogates cannot be stored as UTF-8 text by PostgreSQL. NUL at the end is padding and dropped; inside it
 * becomes U+FFFD as a lone half does: two ids that differ by it stay two ids.
 */
export function sanitise(value: string): string {
  const whole = wellFormed(value);
  if (!whole.includes('\u0000')) return whole;
  let end = whole.length;
  while (end > 0 && whole.charCodeAt(end - 1) === 0) end--;
  return whole.slice(0, end).replaceAll('\u0000', '\ufffd');
}

/** With the u flag only halves without their partner are of the category Surrogate. */
const LONE_SURROGATE = /\p{Surrogate}/gu;
/** Halves of pairs too: most text has none, and is not looked at by code point. */
const ANY_SURROGATE = /[\ud800-\udfff]/;

export function wellFormed(value: string): string {
  return ANY_SURROGATE.test(value) ? value.replace(LONE_SURROGATE, '\ufffd') : value;
}

/** Letters that NFKD does not take apart, by their usual plain writing. */
const PLAIN: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ħ: 'h',
  ı: 'i',
  ŋ: 'n',
  ŧ: 't',
  ĸ: 'k',
  ſ: 's',
  ς: 'σ',
};
const PLAIN_LETTERS = new RegExp(`[${Object.keys(PLAIN).join('')}]`, 'gu');
/** Combining marks of Latin, Greek and Cyrillic; those of Japanese and the Indic scripts carry meaning and stay. */
// eslint-disable-next-line no-misleading-character-class -- the marks themselves are meant
const ACCENTS = /[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]/g;
// eslint-disable-next-line no-control-regex
const ASCII = /^[\x20-\x7e]*$/;

function foldLetters(value: string): string {
  if (ASCII.test(value)) return value.toLowerCase();
  const marksApart = value.normalize('NFKD').replace(ACCENTS, '').toLowerCase().replace(ACCENTS, '');
  return marksApart.replace(PLAIN_LETTERS, (letter) => PLAIN[letter] ?? letter).normalize('NFKC');
}

/** Case and accent folded, white space collapsed: equal for everything that a person would call the same spelling. */
export function foldText(value: string): string {
  return foldLetters(sanitise(value)).replace(/\s+/g, ' ').trim();
}

/** One component group of a person name, folded: components trimmed, empty ones at the end dropped (PS3.5 6.2.1). */
export function foldNameGroup(group: string): string {
  return foldText(group)
    .replace(/ ?\^ ?/g, '^')
    .replace(/\^+$/, '');
}

/** The three groups of a person name: alphabetic, ideographic, phonetic (PS3.5 6.2.1.1); absent ones are ''. */
export type NameGroups = [alphabetic: string, ideographic: string, phonetic: string];

export function splitName(value: string): NameGroups {
  const [alphabetic = '', ideographic = '', phonetic = ''] = value.split('=');
  return [alphabetic, ideographic, phonetic];
}

export function foldName(value: string): NameGroups {
  return splitName(value).map(foldNameGroup) as NameGroups;
}

/** Words of a folded name for fuzzy matching, each with a space before it: ' doe john'. */
export function nameWords(groups: readonly string[]): string {
  const words = groups
    .join(' ')
    .split(/[\s^,.=]+/u)
    .filter((word) => word !== '');
  return words.map((word) => ` ${word}`).join('');
}

/** How texts are made comparable: the one folding of this system. What it gives is stored in the catalog's search columns. */

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

/**
 * Text for comparison: lower case, accents dropped, compatibility forms unified (full width, half-width kana), special
 * letters in their plain writing (ß to ss, æ to ae, ς to σ), white space single and none at the ends. Marks of scripts in
 * which they carry meaning (kana, Indic scripts) stay, and so do wildcards and delimiters. A change of what this gives
 * needs a migration that derives the search columns of the catalog anew.
 */
export function foldText(text: string): string {
  return foldLetters(text).replace(/\s+/g, ' ').trim();
}

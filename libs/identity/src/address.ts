import { plain } from './text';

/** Kinds of street and their abbreviations: they tell little, and are written in many ways. */
const KINDS = new Set(
  (
    'street st str road rd avenue av ave avenida lane ln drive dr drv place pl court ct circuit cct cres crescent close cl cls way wy ' +
    'terrace tce ter boulevard blvd bvd parade pde square sq highway hwy parkway pkwy grove gr gardens gdns loop row walk ' +
    'strasse platz pl weg gasse allee ring ufer damm rue chemin ch impasse quai calle cl plaza paseo carrer via viale piazza corso largo vicolo ' +
    'rua travessa praca straat laan plein weg gracht kade gade vej vagen gatan gata ulica ul aleja al plac ulitsa'
  ).split(' '),
);
/** Words before a part of the address that is no street. */
const UNIT = new Set(
  'apt apartment unit flat suite ste room rm floor fl no nr num number wohnung whg etage app appt piso hs haus house block blk bldg'.split(
    ' ',
  ),
);

export interface PlainStreet {
  /** Words of the street's name, as written, without its kind. */
  words: string[];
  number: string;
}

/** House number (the first number with its letter) and the words of the name; everything after a second number is kept as words. */
export function parseStreet(value: string): PlainStreet | null {
  const tokens = plain(value)
    .split(' ')
    .filter((token) => token !== '');
  if (tokens.length === 0) return null;
  let number = '';
  const words: string[] = [];
  let afterNumber = false;
  for (const token of tokens) {
    const isNumber = /^\d/.test(token);
    if (isNumber) {
      if (number === '') number = token;
      else words.push(token);
    } else if (afterNumber && /^[a-z]$/.test(token)) number += token;
    else words.push(token.replace(/(?<=..)(?:strasse|str)$/, ''));
    afterNumber = isNumber && number === token;
  }
  const telling = words.filter((word) => !KINDS.has(word) && !UNIT.has(word));
  return { words: telling.length > 0 ? telling : words, number };
}

/** Words of a city's name; saint and its abbreviations alike. */
export function parseCity(value: string): string[] {
  const words = plain(value)
    .split(' ')
    .filter((word) => word !== '');
  return words.map((word) => (word === 'saint' || word === 'sankt' ? 'st' : word === 'mount' ? 'mt' : word));
}

/** Letters and digits; a leading country letter (D-12345) goes, a US extension (12345-6789) too. */
export function parseZip(value: string): string {
  const text = plain(value);
  const extended = /^(\d{5}) \d{4}$/.exec(text);
  if (extended) return extended[1]!;
  const withCountry = /^[a-z]{1,3} (\d{4,6})$/.exec(text);
  return withCountry ? withCountry[1]! : text.replace(/ /g, '');
}

/**
 * The last digits of a telephone number, without country and trunk prefix; '' for what cannot be one (fewer than five
 * digits, or one digit repeated).
 */
export function parsePhone(value: string): string {
  let digits = value.normalize('NFKC').replace(/\D/g, '');
  if (/^\s*(?:\+|00)/.test(value)) digits = digits.replace(/^00/, '');
  digits = digits.replace(/^0+/, '');
  if (digits.length < 5 || /^(\d)\1*$/.test(digits) || /^1?23456789?0?$/.test(digits)) return '';
  return digits.slice(-9);
}

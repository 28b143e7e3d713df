import { foldText } from '@archipelago/dicom-core';
import { transliterate } from './transliterate';

/** Folded, in Latin letters where possible, single spaces, only letters and digits; apostrophes vanish, other marks part. */
export function plain(value: string): string {
  // The marks are taken out before folding as well: NFKC makes some of them spaces.
  const folded = transliterate(foldText(value.replace(/['`´’ʼ‘]/g, '')));
  return folded.replace(/[^\p{L}\p{N}\p{M}]+/gu, ' ').trim();
}

/** Spellings of one name: mueller and muller, weiss and weis, oe and o; y and i; doubled letters. */
export function flatten(text: string): string {
  return text
    .replace(/([aou])e/g, '$1')
    .replace(/y/g, 'i')
    .replace(/([a-z])\1+/g, '$1');
}

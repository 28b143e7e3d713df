import { foldText as fold } from '@archipelago/dicom-core';

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

/** Folded for comparison as everywhere in Archipelago (`foldText` of dicom-core), and such that PostgreSQL can hold it. */
export function foldText(value: string): string {
  return fold(sanitise(value));
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

import type { CityRecord } from './city';

/** Chances for one record. */
export interface ErrorRates {
  /** A typing error in a field, for each of given name, family name, street, city. */
  typo: number;
  /** Given and family name exchanged. */
  swappedNames: number;
  /** Day and month exchanged. */
  swappedDate: number;
  /** One digit of the birth date wrong, or two neighbours exchanged. */
  dateDigit: number;
  /** A wrong date altogether. */
  wrongDate: number;
  wrongSex: number;
  /** A short form of the given name, or only one of several, or the initial. */
  shortGiven: number;
  /** Another given name altogether. */
  otherGiven: number;
  /** A wrong digit in postal code or telephone. */
  digit: number;
  missing: {
    given: number;
    family: number;
    dob: number;
    sex: number;
    street: number;
    city: number;
    zip: number;
    phone: number;
  };
}

export const DEFAULT_ERRORS: ErrorRates = {
  typo: 0.03,
  swappedNames: 0.01,
  swappedDate: 0.01,
  dateDigit: 0.015,
  wrongDate: 0.001,
  wrongSex: 0.003,
  shortGiven: 0.02,
  otherGiven: 0,
  digit: 0.01,
  missing: { given: 0.003, family: 0.001, dob: 0.02, sex: 0.02, street: 0.04, city: 0.02, zip: 0.03, phone: 0.3 },
};

/** Every chance multiplied (at most 0.6). */
export function scaleErrors(rates: ErrorRates, by: number): ErrorRates {
  const scaled = (value: number): number => Math.min(0.6, value * by);
  const { missing, ...others } = rates;
  const each = (object: object): Record<string, number> =>
    Object.fromEntries(Object.entries(object).map(([key, value]) => [key, scaled(value as number)]));
  return { ...each(others), missing: each(missing) } as unknown as ErrorRates;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const KEYS = ['qwertyuiop', 'asdfghjkl', 'zxcvbnm'];
const SHORT: Record<string, string> = {
  William: 'Bill', Robert: 'Bob', Elizabeth: 'Liz', Margaret: 'Peggy', Richard: 'Dick', Thomas: 'Tom', James: 'Jim', Michael: 'Mike',
  Katherine: 'Kate', Johannes: 'Hans', Wilhelm: 'Willi', Maximilian: 'Max', Katharina: 'Kathi', Elisabeth: 'Lisa', Joseph: 'Joe',
}; // prettier-ignore

function typo(text: string, random: () => number): string {
  if (text.length < 3) return text;
  const at = Math.floor(random() * text.length);
  const letter = (text[at] ?? 'a').toLowerCase();
  const row = KEYS.find((keys) => keys.includes(letter)) ?? LETTERS;
  const near = row[Math.max(0, Math.min(row.length - 1, row.indexOf(letter) + (random() < 0.5 ? 1 : -1)))]!;
  switch (Math.floor(random() * 5)) {
    case 0:
      return text.slice(0, at) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + LETTERS[Math.floor(random() * 26)]! + text.slice(at);
    case 2:
      return text.slice(0, at) + near + text.slice(at + 1);
    case 3:
      return at + 1 < text.length
        ? text.slice(0, at) + text[at + 1]! + text[at]! + text.slice(at + 2)
        : text.slice(0, -1);
    default:
      return text.slice(0, at) + text[at]! + text.slice(at);
  }
}

function wrongDigit(text: string, random: () => number): string {
  const places = [...text].map((c, i) => (/\d/.test(c) ? i : -1)).filter((i) => i >= 0);
  const at = places[Math.floor(random() * places.length)];
  if (at === undefined) return text;
  if (random() < 0.4 && /\d/.test(text[at + 1] ?? ''))
    return text.slice(0, at) + text[at + 1]! + text[at]! + text.slice(at + 2);
  return text.slice(0, at) + String(Math.floor(random() * 10)) + text.slice(at + 1);
}

function shorten(given: string, random: () => number): string {
  const [first = '', ...others] = given.split(' ');
  if (others.length > 0) return random() < 0.7 ? first : others.join(' ');
  return SHORT[first] ?? (random() < 0.3 ? `${first[0]}.` : first);
}

export function corrupt(
  record: CityRecord,
  rates: ErrorRates,
  random: () => number,
  anotherGiven: (female: boolean) => string,
): CityRecord {
  const out = { ...record };
  const chance = (p: number): boolean => random() < p;
  if (chance(rates.otherGiven)) out.given = anotherGiven(record.sex === 'F');
  if (chance(rates.shortGiven)) out.given = shorten(out.given, random);
  for (const field of ['given', 'family', 'street', 'city'] as const)
    if (chance(rates.typo)) out[field] = typo(out[field], random);
  if (chance(rates.swappedNames)) [out.given, out.family] = [out.family, out.given];
  if (chance(rates.swappedDate) && Number(out.dob.slice(8)) <= 12)
    out.dob = `${out.dob.slice(0, 4)}-${out.dob.slice(8)}-${out.dob.slice(5, 7)}`;
  if (chance(rates.dateDigit)) out.dob = wrongDigit(out.dob, random);
  if (chance(rates.wrongDate))
    out.dob = new Date(Date.UTC(1930 + Math.floor(random() * 90), 0, 1 + Math.floor(random() * 365)))
      .toISOString()
      .slice(0, 10);
  if (chance(rates.wrongSex)) out.sex = out.sex === 'F' ? 'M' : 'F';
  if (chance(rates.digit)) out.zip = wrongDigit(out.zip, random);
  if (chance(rates.digit)) out.phone = wrongDigit(out.phone, random);
  for (const [field, rate] of Object.entries(rates.missing)) if (chance(rate)) out[field as keyof CityRecord] = '';
  return out;
}

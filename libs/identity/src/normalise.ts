import { parsePersonName, type PersonNameGroup } from '@archipelago/dicom-core';
import { parseCity, parsePhone, parseStreet, parseZip } from './address';
import { parseDate, type DateOrder } from './date';
import { Sex, type Name, type NormalisedRecord, type PersonRecord } from './record';
import { plain } from './text';
import type { Vocabulary } from './vocabulary';

export interface NormaliseOptions {
  dateOrder?: DateOrder;
  /** Ids that many persons share, compared without case. They and repeated zeros are never evidence. */
  sharedIds?: readonly string[];
}

/** In the place of a name: nobody's name. */
const NO_NAME = new Set(
  'unknown unbekannt inconnu desconocido none null nan nn testpatient anonymous anonym anon baby babyboy babygirl newborn neugeborenes nobody xxx xx'.split(
    ' ',
  ),
);
const TITLES = new Set('dr prof mr mrs ms miss herr frau sir mme mlle mag dipl ing med phd md'.split(' '));
const PARTICLES = new Set(
  'van von der den de del della di da do dos das la le el al bin ibn abu zu zum zur ten ter af av'.split(' '),
);
const GENERATIONS: Record<string, number> = {
  sr: 1,
  senior: 1,
  snr: 1,
  jr: 2,
  junior: 2,
  jnr: 2,
  ii: 2,
  iii: 3,
  iv: 4,
};
const SHARED_IDS = ['unknown', 'unknow', 'none', 'n/a', 'na', 'anonymous', 'anon', 'test', '?', '-', '.'];

interface PlainName {
  words: string[];
  generation: number;
}

function nameWords(value: string): PlainName {
  let generation = 0;
  const words: string[] = [];
  const written = plain(value).split(' ');
  // "Baby boy", "Baby A": a child without a name yet.
  if (written[0] === 'baby') return { words, generation };
  for (const word of written) {
    if (word === '') continue;
    const found = GENERATIONS[word];
    if (found !== undefined) generation = found;
    else words.push(word);
  }
  const kept = words.filter((word) => !TITLES.has(word));
  const telling = kept.length > 0 ? kept : words;
  return { words: telling.every((word) => NO_NAME.has(word) || /^\d+$/.test(word)) ? [] : telling, generation };
}

/** Particles belong to the word after them: 'van der berg' is one word beside 'smith'. */
function joinParticles(words: readonly string[]): string[] {
  const out: string[] = [];
  let before = '';
  words.forEach((word, index) => {
    if (PARTICLES.has(word) && index < words.length - 1) before += word;
    else {
      out.push(before + word);
      before = '';
    }
  });
  return out;
}

function sexOf(value: string): Sex {
  const text = plain(value);
  if (/^(?:m|male|man|masculin\w*|maennlich|mannlich|homme|h|uomo|1)$/.test(text)) return Sex.Male;
  return /^(?:f|female|w|woman|weiblich|femme|feminin\w*|femenin\w*|donna|mujer|2)$/.test(text)
    ? Sex.Female
    : Sex.Unknown;
}

/** Whether the id stands for nobody: empty, of zeros or one repeated digit of four or more, or in the list. */
export function isSharedId(id: string, shared: readonly string[] = []): boolean {
  const text = id.trim().toLowerCase();
  return (
    text === '' ||
    /^0+$/.test(text) ||
    /^(.)\1{3,}$/.test(text) ||
    SHARED_IDS.includes(text) ||
    shared.some((each) => each.trim().toLowerCase() === text)
  );
}

function qualified(issuer: string, id: string, options: NormaliseOptions): string[] {
  const by = issuer.trim();
  return by === '' || isSharedId(id, options.sharedIds) ? [] : [`${by}|${id.trim()}`];
}

function toName(given: PlainName, family: PlainName, vocabulary: Vocabulary): Name {
  return { given: vocabulary.word(given.words), family: vocabulary.word(joinParticles(family.words)) };
}

/** Makes a record comparable. Never throws: what cannot be read counts as missing. */
export function normaliseRecord(
  record: PersonRecord,
  vocabulary: Vocabulary,
  options: NormaliseOptions = {},
): NormalisedRecord {
  const groups: Partial<PersonNameGroup>[] = [];
  if (record.given !== undefined || record.family !== undefined)
    groups.push({ familyName: record.family, givenName: record.given, middleName: record.middle });
  if (record.name !== undefined && record.name !== '') {
    const { alphabetic, ideographic, phonetic } = parsePersonName(record.name);
    groups.push(...[alphabetic, ideographic, phonetic].filter((group) => group.familyName || group.givenName));
  }
  let generation = nameWords(record.suffix ?? '').generation;
  const names = groups.map(({ familyName = '', givenName = '', middleName = '', suffix = '' }) => {
    const given = nameWords(`${givenName} ${middleName}`);
    // "Doe, John" in a single column.
    const comma = givenName === '' ? familyName.indexOf(',') : -1;
    const family = nameWords(comma < 0 ? familyName : familyName.slice(0, comma));
    const late = comma < 0 ? given : nameWords(familyName.slice(comma + 1));
    generation ||= late.generation || family.generation || nameWords(suffix).generation;
    return toName(late, family, vocabulary);
  });
  const street = parseStreet(record.street ?? '');
  return {
    key: record.key,
    issuer: (record.issuer ?? '').trim(),
    id: isSharedId(record.id ?? '', options.sharedIds) ? '' : record.id!.trim(),
    names: names.length > 0 ? names : [{ given: null, family: null }],
    generation,
    dob: parseDate(record.dob ?? '', options.dateOrder),
    sex: sexOf(record.sex ?? ''),
    street: street && vocabulary.street(street.words, street.number),
    city: vocabulary.word(parseCity(record.city ?? '')),
    zip: vocabulary.word([parseZip(record.zip ?? '')]),
    phone: vocabulary.word([parsePhone(record.phone ?? '')]),
    furtherIds: (record.furtherIds ?? []).flatMap(({ issuer, id }) => qualified(issuer, id, options)),
    accessions: (record.accessionNumbers ?? []).flatMap(({ issuer, number }) => qualified(issuer, number, options)),
  };
}

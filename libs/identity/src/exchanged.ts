import type { PersonRecord } from './record';
import { plain } from './text';

/** So many times more names must be found under the other header than under their own. */
const CLEARLY = 4;
/** Fewer names in common say nothing. */
const ENOUGH = 40;
/** So many records of each file are looked at. */
const SAMPLE = 50_000;

/**
 * Whether the second file has given names where the first has family names, and the other way about, as a whole: a header
 * that says so, or a source that fills its fields so. Single records with exchanged names are the comparison's business.
 */
export function namesExchanged(first: readonly PersonRecord[], second: readonly PersonRecord[]): boolean {
  const given = new Set<string>();
  const family = new Set<string>();
  for (const record of first.slice(0, SAMPLE)) {
    if (record.given) given.add(plain(record.given));
    if (record.family) family.add(plain(record.family));
  }
  let asSaid = 0;
  let exchanged = 0;
  for (const record of second.slice(0, SAMPLE)) {
    const g = plain(record.given ?? '');
    const f = plain(record.family ?? '');
    if (g === '' || f === '') continue;
    if (given.has(g)) asSaid++;
    if (family.has(f)) asSaid++;
    if (family.has(g)) exchanged++;
    if (given.has(f)) exchanged++;
  }
  return exchanged >= ENOUGH && exchanged > CLEARLY * asSaid;
}

/** The records with given and family name in each other's place. */
export function exchangeNames(records: readonly PersonRecord[]): PersonRecord[] {
  return records.map((record) => ({ ...record, given: record.family, family: record.given }));
}

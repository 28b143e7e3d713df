import type { NormalisedRecord } from './record';

/** A rule of the site: its name when the two are certainly one person, else undefined. */
export type Rule = (a: NormalisedRecord, b: NormalisedRecord) => string | undefined;

/** Names the deterministic rule by which two records are one person. */
export function sharedEvidence(
  a: NormalisedRecord,
  b: NormalisedRecord,
  further: readonly Rule[] = [],
): string | undefined {
  if (a.id !== '' && a.issuer !== '' && a.id === b.id && a.issuer === b.issuer) return 'same issuer and id';
  if (a.furtherIds.length > 0 || b.furtherIds.length > 0) {
    const ids = new Set(withOwn(a));
    if (withOwn(b).some((id) => ids.has(id))) return 'shared further id';
  }
  if (a.dob !== 0 && a.dob === b.dob && a.accessions.some((accession) => b.accessions.includes(accession)))
    return 'accession number and birth date';
  for (const rule of further) {
    const name = rule(a, b);
    if (name !== undefined) return name;
  }
  return undefined;
}

function withOwn(record: NormalisedRecord): string[] {
  const own = record.id !== '' && record.issuer !== '' ? [`${record.issuer}|${record.id}`] : [];
  return [...record.furtherIds, ...own];
}

/** What an archive is asked for a C-FIND of somebody else: never less than the question means, mostly more. */
import type { ArchiveV1, LiveFindV1, QueryKey } from '@archipelago/contracts';
import type { IdentitiesAsked } from '@archipelago/catalog-store';

/** Matching keys of one query by keyword. */
export type LiveQuery = Record<string, string[]>;

const PATIENT_ID = '00100020';
const ISSUER_OF_PATIENT_ID = '00100021';
const STUDY_UID = '0020000D';
/** Queries to one archive for one question: as many ids may a person have in it. */
export const MOST_IDS = 20;
const MOST_UIDS = 100;
const UID = /^[0-9.]{1,64}$/;
const DAYS = /^(\d{8}|\d{8}-\d{0,8}|-\d{8})$/;
/** PS3.5 6.1.2.3, table 6.2-1: no backslash, no control characters; components of a name apart, groups not. */
const TEXT = /^[^\\\p{Cc}=]{1,64}$/u;
const CODE = /^[A-Z0-9 _*?]{1,16}$/;

/** Study-level keys that archives match alike (PS3.4 C.6.2.1.2: required keys). Others are left to the catalog. */
const PASSED: Record<string, { keyword: string; fits: RegExp }> = {
  '00080020': { keyword: 'StudyDate', fits: DAYS },
  '00080050': { keyword: 'AccessionNumber', fits: TEXT },
  '00080061': { keyword: 'ModalitiesInStudy', fits: CODE },
  '00100010': { keyword: 'PatientName', fits: TEXT },
};

const valuesOf = (keys: readonly QueryKey[], tag: string): string[] =>
  (keys.find((key) => key.tag === tag)?.values ?? []).map((value) => value.trim()).filter((value) => value !== '');

/** Keys but for the patient's id. A value that says "empty", or that an archive may read otherwise, is not passed on. */
export function commonKeys({ keys, fuzzyNames }: Pick<LiveFindV1, 'keys' | 'fuzzyNames'>): LiveQuery {
  const query: LiveQuery = {};
  for (const [tag, { keyword, fits }] of Object.entries(PASSED)) {
    if (keyword === 'PatientName' && fuzzyNames === true) continue;
    const [value, ...more] = valuesOf(keys, tag);
    if (value !== undefined && more.length === 0 && value !== '*' && value !== '""' && fits.test(value))
      query[keyword] = [value];
  }
  const uids = studyUids(keys);
  if (uids.length > 0) query['StudyInstanceUID'] = uids;
  return query;
}

/** The studies that the question names; none: it names none, or more than an archive is asked for at once. */
export function studyUids(keys: readonly QueryKey[]): string[] {
  const uids = valuesOf(keys, STUDY_UID);
  return uids.length <= MOST_UIDS && uids.every((uid) => UID.test(uid)) ? uids : [];
}

/**
 * Ids by which this archive may know who is asked for; undefined: the question names nobody. Its own ids of the persons, and
 * the id as asked, where its issuer is the archive's. Ids of issuers that are no archive's are asked for everywhere: an
 * archive may say the issuer with each patient. Asking for too much shows nobody the wrong patient: what is answered
 * goes into the catalog as the archive's own, and the catalog answers.
 */
export function idsAt(
  archive: Pick<ArchiveV1, 'issuer'>,
  { keys, principal }: Pick<LiveFindV1, 'keys' | 'principal'>,
  asked: IdentitiesAsked | undefined,
  issuers: ReadonlySet<string>,
): string[] | undefined {
  if (asked === undefined) return undefined;
  const own = archive.issuer ?? '';
  const fits = (issuer: string): boolean => issuer === own || !issuers.has(issuer);
  const given = valuesOf(keys, ISSUER_OF_PATIENT_ID)[0] ?? principal.issuer ?? '';
  // an unqualified id of somebody without a home issuer means whoever has it
  const asGiven = given === '' || fits(given) ? valuesOf(keys, PATIENT_ID) : [];
  const known = asked.identities.filter(({ issuer }) => fits(issuer)).map(({ patientId }) => patientId);
  return [...new Set([...asGiven, ...known])].filter((id) => TEXT.test(id));
}

/** Queries for one archive; none: it cannot have what is asked for. */
export function queriesFor(common: LiveQuery, ids: readonly string[] | undefined): LiveQuery[] {
  if (ids === undefined) return [common];
  return ids.slice(0, MOST_IDS).map((id) => ({ ...common, PatientID: [id] }));
}

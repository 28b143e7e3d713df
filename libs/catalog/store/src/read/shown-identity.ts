import type { DicomJson, Principal } from '@archipelago/contracts';
import { SUPER_ID_ISSUER } from '@archipelago/catalog-model';
import { ISSUER_OF_PATIENT_ID, PATIENT_ID } from './person-sql';
import type { QueryRunner } from './runner';

/** One id that a person has. */
export interface Identity {
  person: string;
  patientId: string;
  issuer: string;
}

/** What a row says of whose it is. */
export interface OwnIdentity {
  person: string;
  issuer: string;
  patientId: string;
  /** The person has several identities, or not those of the row's objects. */
  linked: boolean;
}

/** Which PatientID a row shows to whom asks; null: the row's own, as it stands. */
export interface ShownIdentity {
  patientId: string;
  issuer: string;
  others: { patientId: string; issuer: string }[];
}

const OTHER_IDS = '00101002';

/** All ids of these persons, the oldest first. Ids that name nobody (empty, or shared by many) are none. */
export const IDENTITIES = `
  SELECT person, patient_id AS "patientId", issuer FROM patient
  WHERE person = ANY($1) AND NOT is_group AND scope = '' AND patient_id <> '' ORDER BY person, id`;

export async function readIdentities(runner: QueryRunner, persons: readonly string[]): Promise<Identity[]> {
  if (persons.length === 0) return [];
  return runner.read((run) => run<Identity>(IDENTITIES, [persons]));
}

/**
 * The design's rule: one PatientID for each person, the home issuer's if there is one, else the super-id. A row whose person
 * has one identity only is shown as it stands, unless its issuer is not the one that an unqualified id of the asker means:
 * there the same id may be somebody else's.
 */
export function shownIdentity(
  principal: Principal,
  own: OwnIdentity,
  identities: readonly Identity[],
): ShownIdentity | null {
  const home = principal.issuer ?? '';
  if (!own.linked && (home === '' || own.issuer === home || own.patientId === '')) return null;
  const known = own.linked
    ? identities.filter((one) => one.person === own.person)
    : [{ person: own.person, patientId: own.patientId, issuer: own.issuer }];
  const shown = known.find((one) => one.issuer === home);
  const others = known.filter((one) => one !== shown).map(({ patientId, issuer }) => ({ patientId, issuer }));
  return shown
    ? { patientId: shown.patientId, issuer: shown.issuer, others }
    : { patientId: own.person, issuer: SUPER_ID_ISSUER, others };
}

/** Puts the identity into the match, in those of the keys that were asked for. */
export function showIdentity(match: DicomJson, shown: ShownIdentity, wanted: ReadonlySet<string> | undefined): void {
  match[PATIENT_ID] = { vr: 'LO', Value: [shown.patientId] };
  if (match[ISSUER_OF_PATIENT_ID])
    match[ISSUER_OF_PATIENT_ID] = shown.issuer === '' ? { vr: 'LO' } : { vr: 'LO', Value: [shown.issuer] };
  if (!match[OTHER_IDS]) return;
  const asks = (key: string): boolean => wanted === undefined || wanted.has(key);
  const items = shown.others.map(({ patientId, issuer }): DicomJson => ({
    ...(asks(PATIENT_ID) ? { [PATIENT_ID]: { vr: 'LO', Value: [patientId] } } : {}),
    ...(asks(ISSUER_OF_PATIENT_ID) && issuer !== '' ? { [ISSUER_OF_PATIENT_ID]: { vr: 'LO', Value: [issuer] } } : {}),
  }));
  match[OTHER_IDS] = items.length > 0 ? { vr: 'SQ', Value: items } : { vr: 'SQ' };
}

import { createHash } from 'node:crypto';

/** Which patient an object belongs to: a local identity is (issuer, id); see docs/architecture/README.md. */

export interface LocalIdentity {
  issuer: string;
  patientId: string;
  /** Empty, or the StudyInstanceUID where the id names nobody (empty and shared ids form one identity per study). */
  scope: string;
}

export interface IdentityRules {
  /** Ids that many patients share, compared without case; '' is always one. */
  sharedPatientIds: readonly string[];
}

export const DEFAULT_IDENTITY_RULES: IdentityRules = {
  sharedPatientIds: [
    'UNKNOWN',
    'UNKNOW',
    'NONE',
    'N/A',
    'NA',
    'ANONYMOUS',
    'ANON',
    '?',
    '0',
    '00',
    '000',
    '0000',
    '00000',
    '000000',
  ],
};

export function isSharedPatientId(patientId: string, rules: IdentityRules): boolean {
  const id = patientId.trim().toUpperCase();
  return id === '' || rules.sharedPatientIds.some((shared) => shared.toUpperCase() === id);
}

export function localIdentity(
  issuer: string,
  patientId: string,
  studyInstanceUid: string,
  rules: IdentityRules,
): LocalIdentity {
  const id = patientId.trim();
  return { issuer: issuer.trim(), patientId: id, scope: isSharedPatientId(id, rules) ? studyInstanceUid : '' };
}

/** Crockford's base 32: without I, L, O and U, which are mistaken for others. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** What a super-id looks like; a PatientID of this shape is looked up as one, too. */
export const SUPER_ID = /^AR[0-9A-HJKMNP-TV-Z]{12}$/;
/** IssuerOfPatientID that super-ids are shown with. */
export const SUPER_ID_ISSUER = 'ARCHIPELAGO';

/**
 * The super-id of a local identity that is linked to no other: `AR` and the first 60 bits of SHA-256 over issuer, id and
 * scope, so that every identity has one at once and a rebuild gives the same. (`super_id` in the database is the same.)
 */
export function superId({ issuer, patientId, scope }: LocalIdentity): string {
  return localId('AR', [issuer, patientId, scope]);
}

/** `prefix` and the first 60 bits of SHA-256 over the parts, as 12 digits of base 32. */
export function localId(prefix: string, parts: readonly string[]): string {
  const bits = createHash('sha256').update(parts.join('\0')).digest().readBigUInt64BE(0);
  const digits = Array.from({ length: 12 }, (_, i) => DIGITS[Number((bits >> BigInt(59 - 5 * i)) & 31n)]);
  return `${prefix}${digits.join('')}`;
}

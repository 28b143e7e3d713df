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

import type { Principal } from '@archipelago/contracts';
import type { SqlBuilder } from './sql-builder';

/**
 * Which identities a PatientID of a request means (docs/architecture/README.md). Given an issuer in the request: that
 * one. Else the home issuer of the principal, and never across issuers. Where the principal has none: identities of the
 * default issuer, and an id that exactly one issuer knows (nothing can be mistaken then).
 * @param alias a row with `patient_id` and `issuer`
 * @returns a condition on the issuer, to stand beside the one on the id
 */
export function issuerCondition(
  principal: Principal,
  requestedIssuer: string | undefined,
  alias: string,
  sql: SqlBuilder,
): string | null {
  // an issuer in the request is matched as the key that it is
  if (requestedIssuer !== undefined && requestedIssuer !== '') return null;
  if (principal.issuer !== undefined && principal.issuer !== '')
    return `${alias}.issuer = ${sql.param(principal.issuer)}`;
  return `(${alias}.issuer = '' OR NOT EXISTS (SELECT 1 FROM patient other
    WHERE other.patient_id = ${alias}.patient_id AND other.issuer <> ${alias}.issuer AND other.person <> ${alias}.person AND NOT other.is_group))`;
}

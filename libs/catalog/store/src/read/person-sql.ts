import type { Principal } from '@archipelago/contracts';
import { SUPER_ID, SUPER_ID_ISSUER, type Predicate } from '@archipelago/catalog-model';
import { issuerCondition } from './patient-id';
import { predicateCondition } from './predicate-sql';
import type { SqlBuilder } from './sql-builder';

export const PATIENT_ID = '00100020';
export const ISSUER_OF_PATIENT_ID = '00100021';

/** Values of a PatientID key that are super-ids, as given. */
function superIds(predicates: readonly Predicate[]): string[] {
  return predicates.flatMap((one) =>
    one.kind === 'value' && one.attribute.key === PATIENT_ID
      ? one.tests.flatMap((test) =>
          test.test === 'text' && test.pattern.exact && SUPER_ID.test(test.pattern.prefix) ? [test.pattern.prefix] : [],
        )
      : [],
  );
}

/**
 * Whom PatientID and IssuerOfPatientID of a request mean (docs/architecture/README.md, "Which PatientID"), as a condition on
 * the `person` of a row: the persons of which any identity matches both, and those whose super-id is given. Any id of a
 * person thus finds all that is theirs. An unqualified id means one of the home issuer; never one of several issuers.
 * @param predicates those on the two keys
 */
export function personCondition(
  predicates: readonly Predicate[],
  principal: Principal,
  requestedIssuer: string | undefined,
  person: string,
  sql: SqlBuilder,
): string {
  const byId = predicates.some((one) => one.kind === 'value' && one.attribute.key === PATIENT_ID);
  const conditions = predicates.map((one) => predicateCondition(one, 'p', sql));
  const issuer = byId ? issuerCondition(principal, requestedIssuer, 'p', sql) : null;
  const given = requestedIssuer === undefined || requestedIssuer === SUPER_ID_ISSUER ? superIds(predicates) : [];
  const identities = `SELECT p.person FROM patient p WHERE ${[...conditions, ...(issuer === null ? [] : [issuer]), 'NOT p.is_group'].join(' AND ')}`;
  return given.length === 0
    ? `${person} IN (${identities})`
    : `${person} IN (${identities} UNION ALL SELECT unnest(${sql.param(given, 'text[]')}))`;
}

import type { QueryKey, SearchV1 } from '@archipelago/contracts';
import { planSearch } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import { attributeOf } from './predicate-sql';
import { ISSUER_OF_PATIENT_ID, PATIENT_ID, personCondition } from './person-sql';
import type { Identity } from './shown-identity';
import { SqlBuilder } from './sql-builder';

export interface IdentitiesAsked {
  identities: Identity[];
  /** There are more than were wanted. */
  more: boolean;
}

/**
 * All ids of the persons that the PatientID and IssuerOfPatientID of a question mean, by the rule of search and retrieval.
 * Undefined: the question does not name anybody.
 */
export async function identitiesAsked(
  client: Pick<SqlClient, 'query'>,
  request: SearchV1,
  most: number,
): Promise<IdentitiesAsked | undefined> {
  const keys = new Set([PATIENT_ID, ISSUER_OF_PATIENT_ID]);
  const named = planSearch(request).predicates.filter((one) => keys.has(attributeOf(one).key));
  if (!named.some((one) => attributeOf(one).key === PATIENT_ID)) return undefined;
  const sql = new SqlBuilder();
  const issuer = (request.keys as QueryKey[])
    .find((key) => key.tag === ISSUER_OF_PATIENT_ID)
    ?.values.find((value) => value !== '');
  const whose = personCondition(named, request.principal, issuer, 'own.person', sql);
  const { rows } = await client.query<Identity>(
    `SELECT own.person, own.patient_id AS "patientId", own.issuer FROM patient own
      WHERE NOT own.is_group AND own.scope = '' AND own.patient_id <> '' AND ${whose}
      ORDER BY own.person, own.id LIMIT ${sql.param(most + 1)}`,
    sql.values,
  );
  return { identities: rows.slice(0, most), more: rows.length > most };
}

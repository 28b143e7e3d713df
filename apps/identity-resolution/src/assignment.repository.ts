import { Injectable } from '@nestjs/common';
import type { SqlClient } from '@archipelago/platform-storage';
import { identityKey, identityOf } from './identity-key';

export interface KnownPatient {
  patient: string;
  key: string;
  /** Its own super-id, without any link. */
  own: string;
}

export interface Changed {
  patientIds: string[];
  studyIds: string[];
}

/** `identity_assignment` and `identity_study_assignment`: derived from the assertions, read by ingest. */
@Injectable()
export class AssignmentRepository {
  /** Rows of the catalog for these identities, those known for longest first. */
  async patients(client: SqlClient, identities: readonly string[]): Promise<KnownPatient[]> {
    const refs = identities.map(identityOf);
    const { rows } = await client.query<{ id: string; issuer: string; patientId: string; scope: string; own: string }>(
      `SELECT p.id::text, p.issuer, p.patient_id AS "patientId", p.scope, super_id(p.issuer, p.patient_id, p.scope) AS own
       FROM unnest($1::text[], $2::text[], $3::text[]) k(issuer, id, scope)
       JOIN patient p ON p.issuer = k.issuer AND p.patient_id = k.id AND p.scope = k.scope AND NOT p.is_group
       ORDER BY p.id`,
      [refs.map((r) => r.issuer), refs.map((r) => r.patientId), refs.map((r) => r.scope)],
    );
    return rows.map(({ id, own, ...ref }) => ({ patient: id, own, key: identityKey(ref) }));
  }

  async revision(client: SqlClient): Promise<number> {
    const { rows } = await client.query<{ n: number }>("SELECT nextval('identity_revision')::int AS n");
    return rows[0]!.n;
  }

  /** The person of each patient; null: its own. Returns those for which that is news. */
  async assign(client: SqlClient, persons: ReadonlyMap<string, string | null>, revision: number): Promise<string[]> {
    const linked = [...persons].filter((entry): entry is [string, string] => entry[1] !== null);
    const alone = [...persons].filter(([, person]) => person === null).map(([patient]) => patient);
    const set = await client.query<{ patient: string }>(
      `INSERT INTO identity_assignment (patient, person, revision)
       SELECT k.patient, k.person, $3 FROM unnest($1::bigint[], $2::text[]) k(patient, person) ORDER BY k.patient
       ON CONFLICT (patient) DO UPDATE SET person = excluded.person, revision = excluded.revision
         WHERE identity_assignment.person <> excluded.person RETURNING patient::text`,
      [linked.map(([patient]) => patient), linked.map(([, person]) => person), revision],
    );
    const freed = await client.query<{ patient: string }>(
      'DELETE FROM identity_assignment WHERE patient = ANY($1::bigint[]) RETURNING patient::text',
      [alone],
    );
    return [...set.rows, ...freed.rows].map((row) => row.patient);
  }

  /** One study of a patient belongs to another person; null takes that back. Returns the studies for which that is news. */
  async assignStudy(
    client: SqlClient,
    patients: readonly string[],
    studyInstanceUid: string,
    person: string | null,
    revision: number,
  ): Promise<string[]> {
    const where = 'study_instance_uid = $1 AND patient = ANY($2::bigint[]) AND NOT is_group';
    const { rows } =
      person === null
        ? await client.query<{ study: string }>(
            `DELETE FROM identity_study_assignment WHERE study IN (SELECT id FROM study WHERE ${where}) RETURNING study::text`,
            [studyInstanceUid, patients],
          )
        : await client.query<{ study: string }>(
            `INSERT INTO identity_study_assignment (study, person, revision) SELECT id, $3, $4 FROM study WHERE ${where}
             ON CONFLICT (study) DO UPDATE SET person = excluded.person, revision = excluded.revision
               WHERE identity_study_assignment.person <> excluded.person RETURNING study::text`,
            [studyInstanceUid, patients, person, revision],
          );
    return rows.map((row) => row.study);
  }
}

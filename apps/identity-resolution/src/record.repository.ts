import { Injectable } from '@nestjs/common';
import type { IdentityRef } from '@archipelago/contracts';
import type { PersonRecord } from '@archipelago/identity';
import { withoutOverlay, type KeptAttributes, type RowOverlay } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import { identityKey, identityOf } from './identity-key';

interface PatientRow {
  issuer: string;
  patientId: string;
  scope: string;
  attributes: KeptAttributes;
  overlay: RowOverlay | null;
  studies: string[];
}

/** Studies of a record; they tell of copies in two archives, and a few are enough for that. */
const MOST_STUDIES = 100;
const MOST_CANDIDATES = 300;

/** What is compared: the demographics of each local identity, with the keys under which it is found. */
@Injectable()
export class RecordRepository {
  /** The local identity behind a row of the catalog; undefined when it has gone, or is a row made for a group. */
  async ofPatient(client: SqlClient, patientId: string): Promise<PersonRecord | undefined> {
    const { rows } = await client.query<PatientRow>(
      `SELECT issuer, patient_id AS "patientId", scope, attributes, overlay,
              ARRAY(SELECT study_instance_uid FROM study WHERE patient = p.id AND NOT is_group ORDER BY id LIMIT $2) AS studies
       FROM patient p WHERE id = $1 AND NOT is_group`,
      [patientId, MOST_STUDIES],
    );
    return rows[0] && recordOf(rows[0]);
  }

  async keep(client: SqlClient, record: PersonRecord, keys: readonly string[]): Promise<void> {
    const { issuer, patientId, scope } = identityOf(record.key);
    await client.query(
      `INSERT INTO identity_record (r_issuer, r_id, r_scope, record, keys) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (r_issuer, r_id, r_scope) DO UPDATE SET record = excluded.record, keys = excluded.keys, seen_at = clock_timestamp()`,
      [issuer, patientId, scope, JSON.stringify(record), keys],
    );
  }

  /** Those who share a key, the most keys first. */
  async candidates(client: SqlClient, record: PersonRecord, keys: readonly string[]): Promise<PersonRecord[]> {
    const { issuer, patientId, scope } = identityOf(record.key);
    const { rows } = await client.query<{ record: PersonRecord }>(
      `SELECT record FROM identity_record
       WHERE keys && $1 AND (r_issuer, r_id, r_scope) <> ($2, $3, $4)
       ORDER BY (SELECT count(*) FROM unnest(keys) k WHERE k = ANY($1)) DESC, r_issuer, r_id, r_scope LIMIT $5`,
      [keys, issuer, patientId, scope, MOST_CANDIDATES],
    );
    return rows.map((row) => row.record);
  }

  async count(client: SqlClient): Promise<number> {
    const { rows } = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM identity_record');
    return rows[0]?.n ?? 0;
  }

  async all(client: SqlClient, most: number): Promise<PersonRecord[]> {
    const { rows } = await client.query<{ record: PersonRecord }>(
      'SELECT record FROM identity_record ORDER BY r_issuer, r_id, r_scope LIMIT $1',
      [most],
    );
    return rows.map((row) => row.record);
  }

  /** Keys anew for all, after a model was learnt: what is a word may have changed. */
  async rekey(client: SqlClient, records: readonly { key: string; keys: readonly string[] }[]): Promise<void> {
    const refs: IdentityRef[] = records.map((record) => identityOf(record.key));
    await client.query(
      `UPDATE identity_record r SET keys = ARRAY(SELECT jsonb_array_elements_text(k.keys))
       FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[]) k(issuer, id, scope, keys)
       WHERE (r.r_issuer, r.r_id, r.r_scope) = (k.issuer, k.id, k.scope)`,
      [
        refs.map((r) => r.issuer),
        refs.map((r) => r.patientId),
        refs.map((r) => r.scope),
        records.map((r) => JSON.stringify(r.keys)),
      ],
    );
  }
}

function text(attributes: PatientRow['attributes'], tag: string): string | undefined {
  const value = attributes[tag]?.Value?.[0];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** DICOM JSON model of a PN (PS3.18 F.2.2) as the value it was: groups between `=`. */
function personName(attributes: PatientRow['attributes']): string | undefined {
  const value = attributes['00100010']?.Value?.[0];
  if (typeof value !== 'object' || value === null) return undefined;
  const { Alphabetic = '', Ideographic = '', Phonetic = '' } = value as Record<string, string>;
  return [Alphabetic, Ideographic, Phonetic].join('=').replace(/=+$/, '') || undefined;
}

function furtherIds(attributes: PatientRow['attributes']): { issuer: string; id: string }[] {
  const items = (attributes['00101002']?.Value ?? []) as PatientRow['attributes'][];
  return items.flatMap((item) => {
    const [id, issuer] = [text(item, '00100020'), text(item, '00100021')];
    return id !== undefined && issuer !== undefined ? [{ issuer, id }] : [];
  });
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as T;
}

/**
 * The same StudyInstanceUID under two identities, with one birth date, is a copy of one study: it stands with the accession
 * numbers, under an issuer of its own. Accession numbers themselves are not compared: two hospitals number alike.
 */
function recordOf({ issuer, patientId, scope, attributes: shown, overlay, studies }: PatientRow): PersonRecord {
  // rules may depend on who a person is: what they show is no evidence of it
  const attributes = withoutOverlay(shown, overlay);
  return defined<PersonRecord>({
    key: identityKey({ issuer, patientId, scope }),
    // an id that names nobody is no evidence
    issuer: scope === '' ? issuer : undefined,
    id: scope === '' ? patientId : undefined,
    name: personName(attributes),
    dob: text(attributes, '00100030'),
    sex: text(attributes, '00100040'),
    street: text(attributes, '00101040'),
    phone: text(attributes, '00102154'),
    furtherIds: furtherIds(attributes),
    accessionNumbers: studies.map((number) => ({ issuer: 'study', number })),
  });
}

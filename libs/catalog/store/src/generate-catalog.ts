import type { SqlClient } from '@archipelago/platform-storage';
import { regroup } from './write/regroup';

export interface GenerateOptions {
  studies: number;
  /** Same seed, same catalog. */
  seed: number;
  /** First number (default 0): several runs can add to one catalog. */
  from?: number;
  /**
   * Number of archives that the studies are spread over, each with its own numbering of patients; nothing is held then.
   * Every tenth study is in two of them, and every other person's identities are linked. Default 0: all is held.
   */
  archives?: number;
}

const FAMILIES = [
  'Smith',
  'Müller',
  'Garcia',
  'Nguyen',
  'Kowalski',
  'Rossi',
  'Dubois',
  'Jansen',
  'Novak',
  'Silva',
  'Yilmaz',
  'Kim',
  'Ivanov',
  'Hansen',
  'Costa',
  'Wagner',
];
const GIVEN = [
  'Anna',
  'John',
  'Maria',
  'Peter',
  'Elena',
  'Luca',
  'Sofia',
  'Karl',
  'Ines',
  'Tom',
  'Lea',
  'Max',
  'Nora',
  'Paul',
  'Rita',
  'Ugo',
];
const BATCH = 50_000;
const PERSONS_AT_ONCE = 1000;

/** Pseudo-random non-negative integer of a study number and a purpose. */
const RANDOM = (purpose: number): string => `(hashint8extended(n, $3 + ${purpose}) & 9223372036854775807)`;

const BASE = `
  SELECT n, 'G' || (n / 3) || CASE WHEN $6::int > 0 THEN 'A' || (n + $7::int) % $6 ELSE '' END AS patient_id,
    CASE WHEN $6 > 0 THEN 'ISSUER' || (n + $7) % $6 ELSE '' END AS issuer,
    (($4::text[])[1 + (n / 3 * 7919 + $3) % 16]) || lpad(((n / 3) % 4000)::text, 4, '0') || '^' || (($5::text[])[1 + (n / 3 * 104729 + $3) % 16]) AS name,
    19300101 + ((n / 3 + $3) % 80) * 10000 AS birth,
    (2006 + ${RANDOM(1)} % 20) * 10000 + (1 + ${RANDOM(2)} % 12) * 100 + 1 + ${RANDOM(3)} % 28 AS day,
    (${RANDOM(4)} % 86400) * 1000000 AS hour,
    (ARRAY['CT','MR','CR','DX','US','US','CR','MG','NM','PT'])[1 + ${RANDOM(5)} % 10] AS modality
  FROM generate_series($1::bigint, $2::bigint) n WHERE $7 = 0 OR n % 10 = 0`;

const FOLDED = `lower(translate(name, 'üÜ', 'uU'))`;
const UID = (n: string): string => `'1.2.826.0.1.3680043.10.999.' || $3::bigint || '.' || ${n}`;
const element = (vr: string, value: string): string =>
  `jsonb_build_object('vr', '${vr}', 'Value', jsonb_build_array(${value}))`;

const PATIENTS = `
  INSERT INTO patient (patient_id, issuer, scope, person, name_alphabetic, name_words, birth_date, sex, attributes, studies, series, instances)
  SELECT patient_id, issuer, '', super_id(issuer, patient_id, ''), ${FOLDED}, ' ' || replace(${FOLDED}, '^', ' '), birth, 'F',
    jsonb_build_object('00100010', ${element('PN', "jsonb_build_object('Alphabetic', name)")} || jsonb_build_object('f', jsonb_build_array(${FOLDED}, '', '')),
      '00100020', ${element('LO', 'patient_id')}, '00100030', ${element('DA', 'birth::text')}, '00100040', ${element('CS', "'F'")}),
    count(*), count(*), count(*)
  FROM (${BASE}) b GROUP BY patient_id, issuer, name, birth
  ON CONFLICT (patient_id, issuer, scope) DO UPDATE
    SET studies = patient.studies + excluded.studies, series = patient.series + excluded.series, instances = patient.instances + excluded.instances`;

const STUDIES = `
  INSERT INTO study (patient, study_instance_uid, patient_id, issuer, person, name_alphabetic, name_words, birth_date, sex, study_date, study_time, sort_date,
    sort_time, accession_number, modalities, sop_classes, attributes, series, instances, bytes, revision, said, basis)
  SELECT p.id, ${UID('n')}, b.patient_id, b.issuer, p.person, p.name_alphabetic, p.name_words, b.birth, 'F', day, hour, day, hour, 'ACC' || n, ARRAY[modality],
    ARRAY['1.2.840.10008.5.1.4.1.1.7'], p.attributes || jsonb_build_object(
      '0020000D', ${element('UI', UID('n'))}, '00080020', ${element('DA', 'day::text')},
      '00080030', ${element('TM', "to_char((hour / 1000000) * interval '1 second', 'HH24MISS')")}, '00080050', ${element('SH', "'ACC' || n")},
      '00081030', ${element('LO', "modality || ' study ' || n % 50")}, '00200010', ${element('SH', "'S' || n")}), 1, 1, 524288, 1,
    CASE WHEN $6 > 0 THEN '{"series": 1, "instances": 1}'::jsonb END, CASE WHEN $6 > 0 THEN 'archive' ELSE 'held' END
  FROM (${BASE}) b JOIN patient p ON p.patient_id = b.patient_id AND p.issuer = b.issuer AND p.scope = ''
  ON CONFLICT DO NOTHING`;

const SERIES = `
  INSERT INTO series (study, series_instance_uid, modality, series_number, sort_number, sop_classes, attributes, instances, bytes, revision)
  SELECT s.id, s.study_instance_uid || '.1', s.modalities[1], 1, 1, s.sop_classes, jsonb_build_object(
      '0020000E', ${element('UI', "s.study_instance_uid || '.1'")}, '00080060', ${element('CS', 's.modalities[1]')}, '00200011', ${element('IS', '1')}), 1, 524288, 1
  FROM generate_series($1::bigint, $2::bigint) n JOIN study s ON s.study_instance_uid = ${UID('n')} ON CONFLICT DO NOTHING`;

const INSTANCES = `
  INSERT INTO instance (sop_instance_uid, study, series, sop_class_uid, instance_number, sort_number, wire_digest, header_digest, is_answer, source,
    origin, transfer_syntax_uid, bytes, received_at, held, attributes)
  SELECT x.series_instance_uid || '.1', x.study, x.id, x.sop_classes[1], 1, 1, sha256(x.series_instance_uid::bytea), sha256(x.series_instance_uid::bytea),
    true, (SELECT id FROM source WHERE name = 'generated'), 'migrated', '1.2.840.10008.1.2.1', 524288, now(), s.basis = 'held', jsonb_build_object(
      '00080018', ${element('UI', "x.series_instance_uid || '.1'")}, '00080016', ${element('UI', 'x.sop_classes[1]')}, '00200013', ${element('IS', '1')})
  FROM generate_series($1::bigint, $2::bigint) n JOIN study s ON s.study_instance_uid = ${UID('n')} JOIN series x ON x.study = s.id
  ON CONFLICT DO NOTHING`;

/**
 * Fills an empty catalog with studies of one series and one instance each, for benchmarks: about three studies a patient,
 * 16 families times 4,000 in names, dates over 20 years. No packs: the instances have no copy. Sums equal a recount (but
 * of what archives have, of which there are no source rows).
 */
export async function generateCatalog(client: SqlClient, options: GenerateOptions): Promise<void> {
  await client.query("INSERT INTO source (name) VALUES ('generated') ON CONFLICT DO NOTHING");
  const archives = options.archives ?? 0;
  const first = options.from ?? 0;
  const end = first + options.studies;
  for (let from = first; from < end; from += BATCH) {
    const range = [from, Math.min(from + BATCH, end) - 1, options.seed];
    for (const shift of archives > 0 ? [0, 1] : [0]) {
      await client.query(PATIENTS, [...range, FAMILIES, GIVEN, archives, shift]);
      await client.query(STUDIES, [...range, FAMILIES, GIVEN, archives, shift]);
    }
    await client.query(SERIES, range);
    await client.query(INSTANCES, range);
  }
  await client.query('ANALYZE patient, study, series, instance');
  if (archives > 1) await linkPersons(client);
}

/** Every other person's identities get one super-id, and what follows from it: as identity-resolution and ingest do. */
async function linkPersons(client: SqlClient): Promise<void> {
  const { rows } = await client.query<{ person: string }>(
    `WITH linked AS (
       SELECT id, 'ARX' || lpad(substr(split_part(patient_id, 'A', 1), 2), 11, '0') AS person FROM patient
       WHERE NOT is_group AND NOT EXISTS (SELECT 1 FROM identity_assignment a WHERE a.patient = patient.id) AND substr(split_part(patient_id, 'A', 1), 2)::bigint % 2 = 0),
     assigned AS (INSERT INTO identity_assignment (patient, person, revision) SELECT id, person, 1 FROM linked ON CONFLICT DO NOTHING),
     patients AS (UPDATE patient p SET person = l.person FROM linked l WHERE p.id = l.id),
     studies AS (UPDATE study s SET person = l.person FROM linked l WHERE s.patient = l.id)
     SELECT DISTINCT person FROM linked ORDER BY 1`,
  );
  const persons = rows.map((row) => row.person);
  for (let i = 0; i < persons.length; i += PERSONS_AT_ONCE)
    await regroup(client, { persons: persons.slice(i, i + PERSONS_AT_ONCE) });
  await client.query('ANALYZE patient, study, series');
}

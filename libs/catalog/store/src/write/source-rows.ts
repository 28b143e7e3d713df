import { attributesDigest, type KeptAttributes } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import type { BatchEntry } from './batch';

/** Ids of the sources by name; missing ones are made. */
export async function sourceIds(client: SqlClient, names: readonly string[]): Promise<Map<string, number>> {
  const wanted = [...new Set(names)].sort();
  const read = async (): Promise<Map<string, number>> => {
    const { rows } = await client.query<{ id: number; name: string }>(
      'SELECT id, name FROM source WHERE name = ANY($1)',
      [wanted],
    );
    return new Map(rows.map((row) => [row.name, row.id]));
  };
  const known = await read();
  if (known.size === wanted.length) return known;
  await client.query('INSERT INTO source (name) SELECT n FROM unnest($1::text[]) n ORDER BY n ON CONFLICT DO NOTHING', [
    wanted,
  ]);
  return read();
}

/** Every entry of the packs, with the kept instance that it is a copy of. `packs`: their row ids, by number in the batch. */
export async function insertPackEntries(
  client: SqlClient,
  packs: readonly string[],
  entries: readonly Pick<BatchEntry, 'entry' | 'sourceId' | 'pack'>[],
  sameAs: (string | null)[],
): Promise<void> {
  const e = entries.map((one) => one.entry);
  await client.query(
    `INSERT INTO pack_entry (pack, ordinal, source, origin, sop_instance_uid, sop_class_uid, transfer_syntax_uid, wire_digest,
       header_digest, same_as, dataset_offset, dataset_length, header_offset, header_length, header_raw_length, received_at,
       calling_ae_title, called_ae_title, harvest)
     SELECT k.pack, k.ordinal, k.source, k.origin, k.uid, k.class, k.syntax, decode(k.wire, 'hex'), decode(k.header, 'hex'),
       decode(k.same_as, 'hex'), k.d_offset, k.d_length, k.h_offset, k.h_length, k.h_raw, k.received::timestamptz, k.calling, k.called, k.harvest
     FROM unnest($1::bigint[], $2::int[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                 $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::int[], $15::int[], $16::text[], $17::text[],
                 $18::text[], $19::text[])
       k(pack, ordinal, source, origin, uid, class, syntax, wire, header, same_as, d_offset, d_length, h_offset, h_length, h_raw,
         received, calling, called, harvest)`,
    [
      entries.map((one) => packs[one.pack]),
      e.map((x) => x.ordinal),
      entries.map((one) => one.sourceId),
      e.map((x) => x.origin),
      e.map((x) => x.sopInstanceUid),
      e.map((x) => x.sopClassUid),
      e.map((x) => x.transferSyntaxUid),
      e.map((x) => x.wireDigest),
      e.map((x) => x.headerDigest),
      sameAs,
      e.map((x) => x.datasetOffset),
      e.map((x) => x.datasetLength),
      e.map((x) => x.headerOffset),
      e.map((x) => x.headerLength),
      e.map((x) => x.headerRawLength),
      e.map((x) => x.receivedAt),
      e.map((x) => x.callingAeTitle),
      e.map((x) => x.calledAeTitle),
      e.map((x) => x.harvest ?? null),
    ],
  );
}

interface Said {
  one: BatchEntry;
  uid: string;
  parent: string;
  digest: string;
  attributes: KeptAttributes;
}

function distinct(said: Said[]): Said[] {
  const seen = new Map<string, Said>();
  for (const one of said) {
    const key = `${one.uid}|${one.one.sourceId}|${one.digest}`;
    if (!seen.has(key)) seen.set(key, one);
  }
  return [...seen.values()].sort((a, b) =>
    a.uid === b.uid ? a.one.position - b.one.position : a.uid < b.uid ? -1 : 1,
  );
}

/** What one table of versions is called and keyed by. */
interface VersionTable {
  name: string;
  uid: string;
  /** Further columns, with their expressions over k. */
  columns: string;
  values: string;
  /** Columns that say "the same version". */
  same: string;
}

const STUDY: VersionTable = {
  name: 'source_study',
  uid: 'study_instance_uid',
  columns: 'tag_digest, attributes',
  same: 'tag_digest',
  values: "decode(k.digest, 'hex'), k.attributes::jsonb",
};
const SERIES: VersionTable = {
  name: 'source_series',
  uid: 'series_instance_uid',
  columns: 'study_instance_uid, tag_digest, attributes',
  same: 'tag_digest',
  values: "k.parent, decode(k.digest, 'hex'), k.attributes::jsonb",
};

async function insertLevel(
  client: SqlClient,
  table: VersionTable,
  packs: readonly string[],
  state: string,
  rows: Said[],
): Promise<void> {
  if (rows.length === 0) return;
  // version: those that were there before, and the rank among the new ones of the same source and UID
  await client.query(
    `INSERT INTO ${table.name} (${table.uid}, ${table.columns}, source, version, depth, state, as_of, patient_id, issuer, pack, ordinal)
     SELECT k.uid, ${table.values}, k.source,
       coalesce((SELECT max(version) FROM ${table.name} o WHERE o.${table.uid} = k.uid AND o.source = k.source), 0)
         + row_number() OVER (PARTITION BY k.uid, k.source ORDER BY k.n),
       'full', $10, k.as_of::timestamptz, k.patient_id, k.issuer, k.pack, k.ordinal
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[], $9::text[], $11::int[]) WITH ORDINALITY
       k(pack, uid, parent, digest, attributes, source, as_of, patient_id, issuer, ordinal, n)
     WHERE NOT EXISTS (SELECT 1 FROM ${table.name} o WHERE o.${table.uid} = k.uid AND o.source = k.source
                         AND o.${table.same} = decode(k.digest, 'hex') AND o.state = $10)
     ON CONFLICT (${table.uid}, source, ${table.same}) DO UPDATE SET as_of = excluded.as_of, state = excluded.state`,
    [
      rows.map((r) => packs[r.one.pack]),
      rows.map((r) => r.uid),
      rows.map((r) => r.parent),
      rows.map((r) => r.digest),
      rows.map((r) => JSON.stringify(r.attributes)),
      rows.map((r) => r.one.sourceId),
      rows.map((r) => r.one.entry.receivedAt),
      rows.map((r) => r.one.projection.patient?.identity.patientId ?? ''),
      rows.map((r) => r.one.projection.patient?.identity.issuer ?? ''),
      state,
      rows.map((r) => r.one.entry.ordinal),
    ],
  );
}

/** Entries of which each says something that those before it do not: the projection shares equal levels. */
function speaking(
  entries: readonly BatchEntry[],
  levels: (one: BatchEntry) => (object | string | null)[],
): BatchEntry[] {
  const numbers = new Map<object | string | null, number>();
  const numberOf = (part: object | string | null): number => {
    const number = numbers.get(part) ?? numbers.size;
    if (number === numbers.size) numbers.set(part, number);
    return number;
  };
  const first = new Map<string, BatchEntry>();
  for (const one of entries) {
    const key = `${one.sourceId} ${levels(one).map(numberOf).join(' ')}`;
    if (!first.has(key)) first.set(key, one);
  }
  return [...first.values()];
}

function studySaid(one: BatchEntry): Said[] {
  const { patient, study } = one.projection;
  if (!patient || !study) return [];
  const attributes = { ...patient.attributes, ...study.attributes };
  const digest = attributesDigest(attributes, patient.identity.issuer).toString('hex');
  return [{ one, uid: study.studyInstanceUid, parent: '', digest, attributes }];
}

function seriesSaid(one: BatchEntry): Said[] {
  const { study, series } = one.projection;
  if (!study || !series) return [];
  const digest = attributesDigest(series.attributes, study.studyInstanceUid).toString('hex');
  return [
    { one, uid: series.seriesInstanceUid, parent: study.studyInstanceUid, digest, attributes: series.attributes },
  ];
}

/**
 * Instances: the version counts what a source said under one UID. A UID that is new to the catalog has version 1; for
 * the few others the versions before are looked up.
 */
async function insertInstances(
  client: SqlClient,
  packs: readonly string[],
  state: string,
  entries: readonly BatchEntry[],
): Promise<void> {
  if (entries.length === 0) return;
  const first = new Map<string, BatchEntry>();
  for (const one of entries) {
    const key = `${one.entry.sopInstanceUid}|${one.sourceId}|${one.entry.wireDigest}`;
    if (!first.has(key)) first.set(key, one);
  }
  const rows = [...first.values()].sort((a, b) => instanceOrder(a, b));
  await client.query(
    `INSERT INTO source_instance (sop_instance_uid, series_instance_uid, study_instance_uid, sop_class_uid, tag_digest, wire_digest,
       source, version, depth, state, as_of, patient_id, issuer, pack, ordinal)
     SELECT k.uid, k.series, k.study, k.class, decode(k.header, 'hex'), decode(k.wire, 'hex'), k.source,
       coalesce((SELECT max(version) FROM source_instance o WHERE o.sop_instance_uid = k.uid AND o.source = k.source), 0)
         + row_number() OVER (PARTITION BY k.uid, k.source ORDER BY k.n),
       'full', $2, k.as_of::timestamptz, k.patient_id, k.issuer, k.pack, k.ordinal
     FROM unnest($1::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int[], $10::text[],
                 $11::text[], $12::text[], $13::int[]) WITH ORDINALITY k(pack, uid, series, study, class, header, wire, source, as_of, patient_id, issuer, ordinal, n)
     WHERE NOT EXISTS (SELECT 1 FROM source_instance o WHERE o.sop_instance_uid = k.uid AND o.source = k.source
                         AND o.wire_digest = decode(k.wire, 'hex') AND o.state = $2)
     ON CONFLICT (sop_instance_uid, source, wire_digest) DO UPDATE SET as_of = excluded.as_of, state = excluded.state`,
    [
      rows.map((one) => packs[one.pack]),
      state,
      rows.map((one) => one.entry.sopInstanceUid),
      rows.map((one) => one.projection.series?.seriesInstanceUid ?? ''),
      rows.map((one) => one.projection.study?.studyInstanceUid ?? ''),
      rows.map((one) => one.entry.sopClassUid),
      rows.map((one) => one.entry.headerDigest),
      rows.map((one) => one.entry.wireDigest),
      rows.map((one) => one.sourceId),
      rows.map((one) => one.entry.receivedAt),
      rows.map((one) => one.projection.patient?.identity.patientId ?? ''),
      rows.map((one) => one.projection.patient?.identity.issuer ?? ''),
      rows.map((one) => one.entry.ordinal),
    ],
  );
}

/** By UID and source; versions of one are counted in the order in which they came. */
function instanceOrder(a: BatchEntry, b: BatchEntry): number {
  const [left, right] = [a.entry.sopInstanceUid, b.entry.sopInstanceUid];
  if (left !== right) return left < right ? -1 : 1;
  return a.sourceId - b.sourceId || a.position - b.position;
}

/** What the sources said, version by version; called while the studies' locks are held, after the verdicts. */
export async function insertSourceRows(
  client: SqlClient,
  packs: readonly string[],
  state: 'present' | 'deleted',
  entries: readonly BatchEntry[],
): Promise<void> {
  const studies = speaking(entries, ({ projection }) => [projection.patient, projection.study]);
  await insertLevel(client, STUDY, packs, state, distinct(studies.flatMap(studySaid)));
  const series = speaking(entries, ({ projection }) => [projection.study?.studyInstanceUid ?? null, projection.series]);
  await insertLevel(client, SERIES, packs, state, distinct(series.flatMap(seriesSaid)));
  await insertInstances(client, packs, state, entries);
}

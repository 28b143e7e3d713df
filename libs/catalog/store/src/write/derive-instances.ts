/** Instances that only archives have: rows with `held = false`, each until its bytes come. */
import { attributesDigest } from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import type { Plan, PlannedInstance } from './derive-plan';
import type { Locked } from './levels';

interface KnownRow {
  uid: string;
  series: string;
  digest: string;
}
interface Wanted {
  one: PlannedInstance;
  series: string;
  study: string;
  /** Of all that is shown of it, hex. */
  digest: string;
}

async function readShown(client: SqlClient, series: readonly string[]): Promise<KnownRow[]> {
  if (series.length === 0) return [];
  const { rows } = await client.query<KnownRow>(
    `SELECT sop_instance_uid AS uid, series::text, encode(wire_digest, 'hex') AS digest FROM instance WHERE series = ANY($1) AND NOT held`,
    [series],
  );
  return rows;
}

async function readHeld(client: SqlClient, uids: readonly string[]): Promise<Set<string>> {
  if (uids.length === 0) return new Set();
  const { rows } = await client.query<{ uid: string }>(
    'SELECT sop_instance_uid AS uid FROM instance WHERE sop_instance_uid = ANY($1) AND held',
    [uids],
  );
  return new Set(rows.map((row) => row.uid));
}

const KEYS = `unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::int[], $6::text[], $7::int[], $8::text[], $9::timestamptz[], $10::text[])
  WITH ORDINALITY k(uid, study, series, class, number, digest, source, syntax, as_of, attributes, n)`;

const INSERT = `
  INSERT INTO instance (sop_instance_uid, study, series, sop_class_uid, instance_number, sort_number, wire_digest, header_digest, is_answer,
    source, origin, transfer_syntax_uid, bytes, received_at, attributes, held)
  SELECT k.uid, k.study, k.series, k.class, k.number, coalesce(k.number, 2147483647), decode(k.digest, 'hex'), decode(k.digest, 'hex'), true,
    k.source, 'fetched', k.syntax, 0, k.as_of, k.attributes::jsonb, false
  FROM ${KEYS} ORDER BY k.n ON CONFLICT DO NOTHING RETURNING sop_instance_uid AS uid`;

const UPDATE = `
  UPDATE instance t SET study = k.study, series = k.series, sop_class_uid = k.class, instance_number = k.number,
    sort_number = coalesce(k.number, 2147483647), wire_digest = decode(k.digest, 'hex'), header_digest = decode(k.digest, 'hex'),
    source = k.source, transfer_syntax_uid = k.syntax, received_at = k.as_of, attributes = k.attributes::jsonb, overlay = NULL
  FROM ${KEYS} WHERE t.sop_instance_uid = k.uid AND NOT t.held`;

function number({ attributes }: PlannedInstance): number | null {
  const value = attributes['00200013']?.Value?.[0];
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 0x7fffffff ? value : null;
}

function arrays(rows: readonly Wanted[]): unknown[] {
  const sorted = [...rows].sort((a, b) => (a.one.uid < b.one.uid ? -1 : 1));
  return [
    sorted.map((row) => row.one.uid),
    sorted.map((row) => row.study),
    sorted.map((row) => row.series),
    sorted.map((row) => row.one.sopClassUid),
    sorted.map((row) => number(row.one)),
    sorted.map((row) => row.digest),
    sorted.map((row) => row.one.source),
    sorted.map((row) => row.one.transferSyntaxUid),
    sorted.map((row) => row.one.asOf),
    sorted.map((row) => JSON.stringify(row.one.attributes)),
  ];
}

function wantedOf(plan: Plan, locked: Locked): Wanted[] {
  return [...plan.instances.values()].flatMap((one) => {
    const series = locked.series.get(one.series);
    const study = locked.studies.get(plan.series.get(one.series)?.above ?? '');
    if (!series || !study) return [];
    const digest = attributesDigest('shown', one.attributes, one.transferSyntaxUid).toString('hex');
    return [{ one, series: series.id, study: study.id, digest }];
  });
}

/** Writes, changes and removes the rows of what is not held; returns the series and studies that gained, changed or lost some. */
export async function placeAnswered(
  client: SqlClient,
  locked: Locked,
  plan: Plan,
): Promise<{ series: Set<string>; studies: Set<string> }> {
  const wanted = wantedOf(plan, locked);
  const known = await readShown(
    client,
    [...locked.series.values()].map((row) => row.id),
  );
  if (wanted.length === 0 && known.length === 0) return { series: new Set(), studies: new Set() };
  const held = await readHeld(
    client,
    wanted.map((row) => row.one.uid),
  );
  const before = new Map(known.map((row) => [row.uid, row]));
  const now = wanted.filter((row) => !held.has(row.one.uid));
  const staying = new Set(now.map((row) => row.one.uid));
  const gone = known.filter((row) => !staying.has(row.uid));
  if (gone.length > 0)
    await client.query('DELETE FROM instance WHERE sop_instance_uid = ANY($1) AND NOT held', [
      gone.map((row) => row.uid),
    ]);
  const differs = (row: Wanted): boolean => {
    const had = before.get(row.one.uid);
    return had !== undefined && (had.digest !== row.digest || had.series !== row.series);
  };
  const changed = now.filter(differs);
  if (changed.length > 0) await client.query(UPDATE, arrays(changed));
  const fresh = now.filter((row) => !before.has(row.one.uid));
  const inserted = fresh.length === 0 ? [] : (await client.query<{ uid: string }>(INSERT, arrays(fresh))).rows;
  const placed = new Set(inserted.map((row) => row.uid));
  const touched = [...changed, ...fresh.filter((row) => placed.has(row.one.uid))];
  const left = [...gone, ...changed.flatMap((row) => before.get(row.one.uid) ?? [])].map((row) => row.series);
  return {
    series: new Set([...touched.map((row) => row.series), ...left]),
    studies: new Set(touched.map((row) => row.study)),
  };
}

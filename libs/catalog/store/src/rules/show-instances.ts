import type { SqlClient } from '@archipelago/platform-storage';
import type { OverlaidRow } from './apply-rules';

function number({ attributes }: OverlaidRow): number | null {
  const value = attributes['00200013']?.Value?.[0];
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 0x7fffffff ? value : null;
}

/** Writes effective values of instances and the columns that follow from them. @returns ids of the studies they are in */
export async function showInstanceOverlays(client: SqlClient, rows: readonly OverlaidRow[]): Promise<string[]> {
  if (rows.length === 0) return [];
  const sorted = [...rows].sort((a, b) => (a.id < b.id ? -1 : 1));
  const { rows: written } = await client.query<{ study: string | null }>(
    `UPDATE instance t SET attributes = k.attributes::jsonb, overlay = k.overlay::jsonb, instance_number = k.number,
       sort_number = coalesce(k.number, 2147483647)
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[]) k(uid, wire, attributes, overlay, number)
     WHERE t.sop_instance_uid = k.uid AND t.wire_digest = decode(k.wire, 'hex') RETURNING t.study::text`,
    [
      sorted.map((row) => row.id.split(' ')[0]),
      sorted.map((row) => row.id.split(' ')[1]),
      sorted.map((row) => JSON.stringify(row.attributes)),
      sorted.map((row) => (row.overlay === null ? null : JSON.stringify(row.overlay))),
      sorted.map(number),
    ],
  );
  return [...new Set(written.flatMap((row) => row.study ?? []))];
}

import {
  foldName,
  nameWords,
  parseDate,
  parseTime,
  type KeptAttributes,
  type KeptElement,
} from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import type { BatchEntry, Keyed } from './batch';
import type { Locked, LockedRow } from './levels';
import type { Verdict } from './instances';

type Level = 'patient' | 'study' | 'series';

/** Attributes of `base`, and of `more` where base has none or an empty one. Tells whether anything changed. */
export function fillIn(base: KeptAttributes, more: KeptAttributes): { merged: KeptAttributes; changed: boolean } {
  let merged = base;
  for (const [key, element] of Object.entries(more)) {
    const had = base[key];
    if (had !== undefined && (had.Value !== undefined || element.Value === undefined)) continue;
    if (merged === base) merged = { ...base };
    merged[key] = element;
  }
  return { merged, changed: merged !== base };
}

function said(one: BatchEntry, level: Level): KeptAttributes[] {
  const { patient, study, series } = one.projection;
  if (level === 'patient') return [patient?.attributes ?? {}];
  // a study shows its patient's values as its own objects have them
  if (level === 'study') return [patient?.attributes ?? {}, study?.attributes ?? {}];
  return [series?.attributes ?? {}];
}

function text(element: KeptElement | undefined): string {
  const value = element?.Value?.[0];
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

function integer(element: KeptElement | undefined): number | null {
  const value = element?.Value?.[0];
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 0x7fffffff ? value : null;
}

function nameColumns(kept: KeptAttributes): string[] {
  const [alphabetic = '', ideographic = '', phonetic = ''] = (kept['00100010']?.f ?? foldName('')).slice(0, 3);
  return [alphabetic, ideographic, phonetic, nameWords([alphabetic, ideographic, phonetic])];
}

const NAME_SET =
  'name_alphabetic = k.a, name_ideographic = k.i, name_phonetic = k.p, name_words = k.w, birth_date = k.birth, sex = k.sex';

type Row = [id: string, attributes: KeptAttributes];

function personArrays(rows: Row[]): unknown[][] {
  const names = rows.map(([, kept]) => nameColumns(kept));
  return [
    rows.map(([id]) => id),
    rows.map(([, kept]) => JSON.stringify(kept)),
    names.map((n) => n[0]),
    names.map((n) => n[1]),
    names.map((n) => n[2]),
    names.map((n) => n[3]),
    rows.map(([, kept]) => parseDate(text(kept['00100030']))),
    rows.map(([, kept]) => text(kept['00100040'])),
  ];
}

async function updatePatients(client: SqlClient, rows: Row[]): Promise<void> {
  await client.query(
    `UPDATE patient t SET attributes = k.kept::jsonb, ${NAME_SET}
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[])
       k(id, kept, a, i, p, w, birth, sex) WHERE t.id = k.id`,
    personArrays(rows),
  );
}

async function updateStudies(client: SqlClient, rows: Row[]): Promise<void> {
  await client.query(
    `UPDATE study t SET attributes = k.kept::jsonb, ${NAME_SET}, study_date = k.day, study_time = k.hour,
       sort_date = coalesce(k.day, 0), sort_time = coalesce(k.hour, 0), accession_number = k.accession
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[],
                 $9::int[], $10::bigint[], $11::text[])
       k(id, kept, a, i, p, w, birth, sex, day, hour, accession) WHERE t.id = k.id`,
    [
      ...personArrays(rows),
      rows.map(([, kept]) => parseDate(text(kept['00080020']))),
      rows.map(([, kept]) => parseTime(text(kept['00080030']))),
      rows.map(([, kept]) => text(kept['00080050'])),
    ],
  );
}

async function updateSeries(client: SqlClient, rows: Row[]): Promise<void> {
  const numbers = rows.map(([, kept]) => integer(kept['00200011']));
  await client.query(
    `UPDATE series t SET attributes = k.kept::jsonb, modality = k.modality, series_number = k.number,
       sort_number = coalesce(k.number, 2147483647)
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::int[]) k(id, kept, modality, number) WHERE t.id = k.id`,
    [
      rows.map(([id]) => id),
      rows.map(([, kept]) => JSON.stringify(kept)),
      rows.map(([, kept]) => text(kept['00080060'])),
      numbers,
    ],
  );
}

const UPDATES = { patient: updatePatients, study: updateStudies, series: updateSeries };

/** The attributes of one row after this batch, or null when nothing changes. */
function mergeRow(
  level: Level,
  row: LockedRow,
  entries: BatchEntry[],
  verdicts: Map<BatchEntry, Verdict>,
): KeptAttributes | null {
  const counts = entries.filter((one) => verdicts.get(one)?.outcome === 'answer');
  const speaking = counts.length > 0 ? counts : row.inserted ? entries : [];
  let incoming: KeptAttributes = {};
  // instances of one series share what they say of it: each is looked at once
  for (const attributes of new Set(speaking.flatMap((one) => said(one, level))))
    incoming = fillIn(incoming, attributes).merged;
  // a patient shows what was said last; a study and a series what was said first, unless its source restated it
  const restated = speaking.some((one) => verdicts.get(one)?.replaced !== undefined);
  if (level !== 'patient' && !restated) {
    const { merged, changed } = fillIn(row.attributes, incoming);
    return changed ? merged : null;
  }
  const { merged } = fillIn(incoming, row.attributes);
  return speaking.length > 0 && !sameKept(merged, row.attributes) ? merged : null;
}

/** PostgreSQL gives the keys of JSONB back in its own order. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, canonical(inner)]),
  );
}
function sameKept(a: KeptAttributes, b: KeptAttributes): boolean {
  return JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));
}

/** Brings what the new instances say into the rows that they hang below. */
export async function mergeAttributes(
  client: SqlClient,
  keyed: Keyed,
  locked: Locked,
  verdicts: readonly Verdict[],
): Promise<void> {
  const byEntry = new Map(verdicts.map((verdict) => [verdict.one, verdict]));
  const levels = [
    ['patient', keyed.patients, locked.patients],
    ['study', keyed.studies, locked.studies],
    ['series', keyed.series, locked.series],
  ] as const;
  for (const [level, groups, rows] of levels) {
    const changed: Row[] = [];
    for (const [key, entries] of groups) {
      const row = rows.get(key);
      const merged = row ? mergeRow(level, row, entries, byEntry) : null;
      if (row && merged) changed.push([row.id, merged]);
    }
    if (changed.length > 0) await UPDATES[level](client, changed);
  }
}

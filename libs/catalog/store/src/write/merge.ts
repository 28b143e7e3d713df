import {
  foldName,
  nameWords,
  parseDate,
  parseTime,
  type KeptAttributes,
  type KeptElement,
} from '@archipelago/catalog-model';
import type { SqlClient } from '@archipelago/platform-storage';
import { byPack, type BatchEntry, type Keyed } from './batch';
import { fillIn, layeredRow, layersOf, sameKept, type LayeredRow } from './layers';
import type { Locked, LockedRow } from './levels';
import type { Verdict } from './instances';

export type Level = 'patient' | 'study' | 'series';

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

export type ChangedRow = [id: string, row: LayeredRow];

const LAYERS_SET =
  // without an overlay given: what was said is another thing now, and rules look at it anew (applyRules)
  'overlay = k.overlay::jsonb, attributes = k.kept::jsonb, basis = k.basis, held_attributes = k.held::jsonb, archive_attributes = k.archive::jsonb';

const json = (kept: KeptAttributes | null): string | null => (kept === null ? null : JSON.stringify(kept));

function layerArrays(rows: ChangedRow[]): unknown[][] {
  return [
    rows.map(([id]) => id),
    rows.map(([, row]) => JSON.stringify(row.attributes)),
    rows.map(([, row]) => row.basis),
    rows.map(([, row]) => json(row.held)),
    rows.map(([, row]) => json(row.archive)),
    rows.map(([, row]) => (row.overlay ? JSON.stringify(row.overlay) : null)),
  ];
}

function personArrays(rows: ChangedRow[]): unknown[][] {
  const kept = rows.map(([, row]) => row.attributes);
  const names = kept.map(nameColumns);
  return [
    ...layerArrays(rows),
    names.map((n) => n[0]),
    names.map((n) => n[1]),
    names.map((n) => n[2]),
    names.map((n) => n[3]),
    kept.map((one) => parseDate(text(one['00100030']))),
    kept.map((one) => text(one['00100040'])),
  ];
}

async function updatePatients(client: SqlClient, rows: ChangedRow[]): Promise<void> {
  await client.query(
    `UPDATE patient t SET ${LAYERS_SET}, ${NAME_SET}
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                 $10::text[], $11::int[], $12::text[])
       k(id, kept, basis, held, archive, overlay, a, i, p, w, birth, sex) WHERE t.id = k.id`,
    personArrays(rows),
  );
}

/** What archives claim, by id of the row; not given: what the rows have stays. */
type Said = ReadonlyMap<string, object | null> | undefined;

const saidArrays = (rows: ChangedRow[], said: Said): unknown[] => [
  said !== undefined,
  rows.map(([id]) => {
    const claims = said?.get(id) ?? null;
    return claims === null ? null : JSON.stringify(claims);
  }),
];

async function updateStudies(client: SqlClient, rows: ChangedRow[], said: Said): Promise<void> {
  const kept = rows.map(([, row]) => row.attributes);
  await client.query(
    `UPDATE study t SET ${LAYERS_SET}, ${NAME_SET}, study_date = k.day, study_time = k.hour,
       sort_date = coalesce(k.day, 0), sort_time = coalesce(k.hour, 0), accession_number = k.accession,
       said = CASE WHEN $16 THEN k.said::jsonb ELSE t.said END
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                 $10::text[], $11::int[], $12::text[], $13::int[], $14::bigint[], $15::text[], $17::text[])
       k(id, kept, basis, held, archive, overlay, a, i, p, w, birth, sex, day, hour, accession, said) WHERE t.id = k.id`,
    [
      ...personArrays(rows),
      kept.map((one) => parseDate(text(one['00080020']))),
      kept.map((one) => parseTime(text(one['00080030']))),
      kept.map((one) => text(one['00080050'])),
      ...saidArrays(rows, said),
    ],
  );
}

async function updateSeries(client: SqlClient, rows: ChangedRow[], said: Said): Promise<void> {
  const kept = rows.map(([, row]) => row.attributes);
  await client.query(
    `UPDATE series t SET ${LAYERS_SET}, modality = k.modality, series_number = k.number,
       sort_number = coalesce(k.number, 2147483647), said = CASE WHEN $9 THEN k.said::jsonb ELSE t.said END
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $10::text[])
       k(id, kept, basis, held, archive, overlay, modality, number, said) WHERE t.id = k.id`,
    [
      ...layerArrays(rows),
      kept.map((one) => text(one['00080060'])),
      kept.map((one) => integer(one['00200011'])),
      ...saidArrays(rows, said),
    ],
  );
}

const UPDATES = { patient: updatePatients, study: updateStudies, series: updateSeries };

/** Writes attributes, and the columns that follow from them; of studies and series also what archives claim, where given. */
export async function updateLayers(client: SqlClient, level: Level, rows: ChangedRow[], said?: Said): Promise<void> {
  if (rows.length > 0) await UPDATES[level](client, rows, said);
}

/** What held objects say of one row after one pack, or null when nothing changes. */
function mergePack(
  level: Level,
  row: LayeredRow & { inserted: boolean },
  entries: BatchEntry[],
  verdicts: Map<BatchEntry, Verdict>,
): KeptAttributes | null {
  const counts = entries.filter((one) => verdicts.get(one)?.outcome === 'answer');
  const speaking = counts.length > 0 ? counts : row.inserted ? entries : [];
  let incoming: KeptAttributes = {};
  // instances of one series share what they say of it: each is looked at once
  for (const attributes of new Set(speaking.flatMap((one) => said(one, level))))
    incoming = fillIn(incoming, attributes).merged;
  const before = layersOf(row).held ?? {};
  // a patient shows what was said last; a study and a series what was said first, unless its source restated it
  const restated = speaking.some((one) => verdicts.get(one)?.replaced !== undefined);
  if (level !== 'patient' && !restated) {
    const { merged, changed } = fillIn(before, incoming);
    return changed ? merged : null;
  }
  const { merged } = fillIn(incoming, before);
  return speaking.length > 0 && !sameKept(merged, before) ? merged : null;
}

/** What held objects say of one row after the batch, or null when nothing changes: its packs, one after the other. */
function mergeRow(
  level: Level,
  row: LockedRow,
  entries: BatchEntry[],
  verdicts: Map<BatchEntry, Verdict>,
): KeptAttributes | null {
  const { archive } = layersOf(row);
  let now: LayeredRow & { inserted: boolean } = row;
  let held: KeptAttributes | null = null;
  for (const [pack, group] of byPack(entries)) {
    if (level === 'patient') row.before.set(pack, now);
    const merged = mergePack(level, now, group, verdicts);
    if (merged) held = merged;
    now = { ...now, ...(merged ? layeredRow({ held: merged, archive }) : {}), inserted: false };
  }
  return held;
}

/** Brings what the new instances say into the rows that they hang below; returns the ids of those that changed. */
export async function mergeAttributes(
  client: SqlClient,
  keyed: Keyed,
  locked: Locked,
  verdicts: readonly Verdict[],
): Promise<{ patients: string[]; studies: string[] }> {
  const ids: Record<Level, string[]> = { patient: [], study: [], series: [] };
  const byEntry = new Map(verdicts.map((verdict) => [verdict.one, verdict]));
  const levels = [
    ['patient', keyed.patients, locked.patients],
    ['study', keyed.studies, locked.studies],
    ['series', keyed.series, locked.series],
  ] as const;
  for (const [level, groups, rows] of levels) {
    const changed: ChangedRow[] = [];
    for (const [key, entries] of groups) {
      const row = rows.get(key);
      const held = row ? mergeRow(level, row, entries, byEntry) : null;
      if (row && held) changed.push([row.id, layeredRow({ held, archive: layersOf(row).archive })]);
    }
    await updateLayers(client, level, changed);
    ids[level] = changed.map(([id]) => id);
  }
  return { patients: ids.patient, studies: ids.study };
}

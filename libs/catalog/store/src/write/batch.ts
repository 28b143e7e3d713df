import { createHash } from 'node:crypto';
import type { LocalIdentity, Projection } from '@archipelago/catalog-model';
import type { PackEntry } from '@archipelago/pack';
import type { StoredCopy } from './index-pack.types';
import type { DeriveOptions } from './ranks';

/** One entry of a pack on its way into the presentation. */
export interface BatchEntry {
  entry: PackEntry;
  sourceId: number;
  projection: Projection;
  /** Where it lies, for comparing pixels. */
  place: StoredCopy;
  /** Which pack of the batch it is in; packs have their effect in this order. */
  pack: number;
  /** Its place in the batch: what comes first is judged first. */
  position: number;
  /** Keys of its patient, study and series; null for an object without a patient. */
  keys: { patient: string; study: string; series: string } | null;
}

export function batchEntry(one: Omit<BatchEntry, 'keys'>): BatchEntry {
  return { ...one, keys: keysOf(one.projection) };
}

/** The entries of each pack, in the order of the packs. */
export function byPack(entries: readonly BatchEntry[]): [pack: number, entries: BatchEntry[]][] {
  const groups = new Map<number, BatchEntry[]>();
  for (const one of entries) {
    const group = groups.get(one.pack);
    if (group) group.push(one);
    else groups.set(one.pack, [one]);
  }
  return [...groups].sort(([a], [b]) => a - b);
}

/** What one pack brings, or several; the same shape when a pack is replayed for the rebuild. */
export interface Batch {
  entries: BatchEntry[];
  comparePixels(incoming: StoredCopy, stored: StoredCopy): Promise<boolean>;
  options?: DeriveOptions;
}

/** Patients, studies and series of a batch by key, with the entries that hang below each. */
export interface Keyed {
  patients: Map<string, BatchEntry[]>;
  studies: Map<string, BatchEntry[]>;
  series: Map<string, BatchEntry[]>;
}

/** Separates parts of a key; values never hold NUL (sanitised). */
const SEPARATOR = '\u0000';

function keysOf(projection: Projection): BatchEntry['keys'] {
  const { patient: person, study: of, series: within } = projection;
  if (!person) return null;
  const patient = keyOfPatient(person.identity);
  const study = keyBelow(of?.studyInstanceUid ?? '', patient);
  return { patient, study, series: keyBelow(within?.seriesInstanceUid ?? '', study) };
}

export function keyOfPatient({ patientId, issuer, scope }: LocalIdentity): string {
  return [patientId, issuer, scope].join(SEPARATOR);
}
/** Key of a study below its patient's, or of a series below its study's. */
export function keyBelow(uid: string, above: string): string {
  return `${uid}${SEPARATOR}${above}`;
}

export function patientKey(one: BatchEntry): string | null {
  return one.keys?.patient ?? null;
}
export function studyKey(one: BatchEntry): string | null {
  return one.keys?.study ?? null;
}
export function seriesKey(one: BatchEntry): string | null {
  return one.keys?.series ?? null;
}

function collect(into: Map<string, BatchEntry[]>, key: string | null, one: BatchEntry): void {
  if (key === null) return;
  const list = into.get(key);
  if (list) list.push(one);
  else into.set(key, [one]);
}

/** Maps in key order: rows are inserted and locked in that order everywhere. */
export function keyBatch(entries: readonly BatchEntry[]): Keyed {
  const keyed: Keyed = { patients: new Map(), studies: new Map(), series: new Map() };
  for (const one of entries) {
    collect(keyed.patients, patientKey(one), one);
    collect(keyed.studies, studyKey(one), one);
    collect(keyed.series, seriesKey(one), one);
  }
  return { patients: sortByKey(keyed.patients), studies: sortByKey(keyed.studies), series: sortByKey(keyed.series) };
}

/** What names the rows of patients, studies and series, by key and in key order. */
export interface LevelKeys {
  patients: Map<string, LocalIdentity>;
  /** `above` is the key of the patient. */
  studies: Map<string, { uid: string; above: string }>;
  /** `above` is the key of the study. */
  series: Map<string, { uid: string; above: string }>;
}

export function levelKeys(keyed: Keyed): LevelKeys {
  const keys: LevelKeys = { patients: new Map(), studies: new Map(), series: new Map() };
  for (const [key, [one]] of keyed.patients)
    if (one?.projection.patient) keys.patients.set(key, one.projection.patient.identity);
  for (const [key, [one]] of keyed.studies)
    if (one?.keys)
      keys.studies.set(key, { uid: one.projection.study?.studyInstanceUid ?? '', above: one.keys.patient });
  for (const [key, [one]] of keyed.series)
    if (one?.keys) keys.series.set(key, { uid: one.projection.series?.seriesInstanceUid ?? '', above: one.keys.study });
  return keys;
}

export function sortByKey<T>(map: Map<string, T>): Map<string, T> {
  return new Map([...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** A lock bucket of a study: few enough to fit the lock table, many enough that studies seldom wait for each other. */
export const STUDY_LOCK_BUCKETS = 512;
export function studyLockBucket(studyInstanceUid: string): number {
  return createHash('sha256').update(studyInstanceUid).digest().readUInt32BE(0) % STUDY_LOCK_BUCKETS;
}

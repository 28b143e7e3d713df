import { createHash } from 'node:crypto';
import type { QueryAttribute } from './attributes';
import { AttributeSet, DEFAULT_ATTRIBUTES } from './attributes';
import type { HeaderView } from './header-view';
import { foldName, nameWords, splitName, wellFormed } from './text';
import { parseDate, parseTime } from './temporal';
import { filing } from './filing';
import { isPatientless } from './patientless';
import { SharedLevels } from './shared-levels';
import { DEFAULT_IDENTITY_RULES, localIdentity, type IdentityRules, type LocalIdentity } from './patient-identity';

/**
 * An attribute as kept in JSONB: DICOM JSON (PS3.18 F), and for a name in `f` its folded groups in the order alphabetic,
 * ideographic, phonetic, for each value; the reader takes `f` away.
 */
export interface KeptElement {
  vr: string;
  Value?: unknown[];
  f?: string[];
}
export type KeptAttributes = Record<string, KeptElement>;

/** Longest value kept for queries, in UTF-16 units; longer text is not a query attribute. */
const LONGEST_VALUE = 1024;
const MOST_VALUES = 64;
const MOST_ITEMS = 16;

export interface ProjectedPatient {
  identity: LocalIdentity;
  attributes: KeptAttributes;
  /** Folded groups of the first PatientName. */
  name: [string, string, string];
  nameWords: string;
  birthDate: number | null;
  sex: string;
}
export interface ProjectedStudy {
  studyInstanceUid: string;
  attributes: KeptAttributes;
  date: number | null;
  time: number | null;
  accessionNumber: string;
}
export interface ProjectedSeries {
  seriesInstanceUid: string;
  attributes: KeptAttributes;
  modality: string;
  number: number | null;
}
export interface ProjectedInstance {
  sopInstanceUid: string;
  sopClassUid: string;
  number: number | null;
  attributes: KeptAttributes;
}
/** What one header says, level by level; `patient`, `study` and `series` are null for an object without a patient. */
export interface Projection {
  /** False when the header names no study or no series, and the catalog filed the object under UIDs of its own. */
  filedAsGiven: boolean;
  patient: ProjectedPatient | null;
  study: ProjectedStudy | null;
  series: ProjectedSeries | null;
  instance: ProjectedInstance;
}

/** What the pack says of the entry: the identity under which it was received. */
export interface EntryIdentity {
  sopInstanceUid: string;
  sopClassUid: string;
}

export interface ProjectionOptions {
  attributes?: AttributeSet;
  identity?: IdentityRules;
  /** Issuer of ids that the header does not qualify: the source's. */
  defaultIssuer?: string;
  /** Of the batch, made with the same attributes: what its headers have in common is projected once. */
  levels?: SharedLevels;
}

const T = {
  PatientName: 0x00100010,
  PatientID: 0x00100020,
  Issuer: 0x00100021,
  BirthDate: 0x00100030,
  Sex: 0x00100040,
  StudyInstanceUID: 0x0020000d,
  StudyDate: 0x00080020,
  StudyTime: 0x00080030,
  AccessionNumber: 0x00080050,
  SeriesInstanceUID: 0x0020000e,
  Modality: 0x00080060,
  SeriesNumber: 0x00200011,
  InstanceNumber: 0x00200013,
  SOPInstanceUID: 0x00080018,
  SOPClassUID: 0x00080016,
} as const;

const NUMBER_VRS = new Set(['IS', 'DS', 'US', 'SS', 'UL', 'SL', 'FL', 'FD', 'SV', 'UV']);

function nameValue(value: string): Record<string, string> {
  const [alphabetic, ideographic, phonetic] = splitName(value);
  return {
    ...(alphabetic ? { Alphabetic: alphabetic } : {}),
    ...(ideographic ? { Ideographic: ideographic } : {}),
    ...(phonetic ? { Phonetic: phonetic } : {}),
  };
}

function jsonValue(vr: string, value: string): unknown {
  if (value === '') return null;
  if (vr === 'PN') return nameValue(value);
  if (!NUMBER_VRS.has(vr)) return value;
  const number = Number(value);
  // a number that is none, or that a double would change, stays text: it is shown as it came
  return Number.isFinite(number) && Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : value;
}

function keptValue(attribute: QueryAttribute, values: string[]): KeptElement {
  const bounded = values.slice(0, MOST_VALUES).map((value) => wellFormed(value.slice(0, LONGEST_VALUE)));
  if (bounded.every((value) => value === '')) return { vr: attribute.vr };
  const element: KeptElement = { vr: attribute.vr, Value: bounded.map((value) => jsonValue(attribute.vr, value)) };
  if (attribute.vr === 'PN') element.f = bounded.flatMap(foldName);
  return element;
}

/** The listed attributes that the header has (present and empty ones too), as they are kept. */
export function keep(view: HeaderView, attributes: readonly QueryAttribute[]): KeptAttributes {
  const kept: KeptAttributes = {};
  for (const attribute of attributes) {
    if (attribute.items) {
      const { items: inner } = attribute;
      const items = view.items(attribute.tag);
      if (!items) continue;
      const value = items.slice(0, MOST_ITEMS).map((item) => keep(item, inner));
      kept[attribute.key] = value.length > 0 ? { vr: 'SQ', Value: value } : { vr: 'SQ' };
    } else {
      const values = view.strings(attribute.tag);
      if (values) kept[attribute.key] = keptValue(attribute, values);
    }
  }
  return kept;
}

export function first(view: HeaderView, tag: number): string {
  return wellFormed((view.strings(tag)?.[0] ?? '').trim().slice(0, LONGEST_VALUE));
}

/** Integer of an IS value that fits PostgreSQL's integer, else null. */
export function integer(text: string): number | null {
  const value = Number(text);
  return text !== '' && Number.isInteger(value) && Math.abs(value) <= 0x7fffffff ? value : null;
}

export function projectPatient(
  view: HeaderView,
  studyUid: string,
  options: Required<ProjectionOptions>,
): ProjectedPatient {
  const name = foldName(first(view, T.PatientName));
  const issuer = first(view, T.Issuer) || options.defaultIssuer;
  return {
    identity: localIdentity(issuer, first(view, T.PatientID), studyUid, options.identity),
    attributes: keep(view, options.attributes.ofLevel('PATIENT')),
    name,
    nameWords: nameWords(name),
    birthDate: parseDate(first(view, T.BirthDate)),
    sex: first(view, T.Sex),
  };
}

export function projectStudy(view: HeaderView, studyInstanceUid: string, attributes: AttributeSet): ProjectedStudy {
  return {
    studyInstanceUid,
    attributes: { ...keep(view, attributes.ofLevel('STUDY')), '0020000D': identityElement('UI', studyInstanceUid) },
    date: parseDate(first(view, T.StudyDate)),
    time: parseTime(first(view, T.StudyTime)),
    accessionNumber: first(view, T.AccessionNumber),
  };
}

export function projectSeries(view: HeaderView, seriesInstanceUid: string, attributes: AttributeSet): ProjectedSeries {
  return {
    seriesInstanceUid,
    attributes: { ...keep(view, attributes.ofLevel('SERIES')), '0020000E': identityElement('UI', seriesInstanceUid) },
    modality: first(view, T.Modality),
    number: integer(first(view, T.SeriesNumber)),
  };
}

export function identityElement(vr: string, value: string): KeptElement {
  return value === '' ? { vr } : { vr, Value: [value] };
}

export function withDefaults(options: ProjectionOptions): Required<ProjectionOptions> {
  const attributes = options.attributes ?? DEFAULT_ATTRIBUTES;
  return {
    attributes,
    identity: options.identity ?? DEFAULT_IDENTITY_RULES,
    defaultIssuer: options.defaultIssuer ?? '',
    levels: options.levels ?? new SharedLevels(attributes),
  };
}

/**
 * What one header says about patient, study, series and instance. The identity of the instance is the entry's: it is
 * what the object was stored and acknowledged under, and what it is retrieved by.
 */
export function projectInstance(entry: EntryIdentity, view: HeaderView, options: ProjectionOptions = {}): Projection {
  const full = withDefaults(options);
  const { levels } = full;
  const apart = isPatientless(entry.sopClassUid);
  const attributes = keep(view, apart ? full.attributes.patientless : full.attributes.ofLevel('IMAGE'));
  attributes['00080018'] = identityElement('UI', entry.sopInstanceUid);
  attributes['00080016'] = identityElement('UI', entry.sopClassUid);
  const number = integer(first(view, T.InstanceNumber));
  const instance = { sopInstanceUid: entry.sopInstanceUid, sopClassUid: entry.sopClassUid, number, attributes };
  if (apart) return { patient: null, study: null, series: null, instance, filedAsGiven: true };
  const filed = filing(first(view, T.StudyInstanceUID), first(view, T.SeriesInstanceUID), entry);
  return {
    patient: levels.share('PATIENT', view, [filed.studyInstanceUid, full.defaultIssuer], () =>
      projectPatient(view, filed.studyInstanceUid, full),
    ),
    study: levels.share('STUDY', view, [filed.studyInstanceUid], () =>
      projectStudy(view, filed.studyInstanceUid, full.attributes),
    ),
    series: levels.share('SERIES', view, [filed.seriesInstanceUid], () =>
      projectSeries(view, filed.seriesInstanceUid, full.attributes),
    ),
    instance,
    filedAsGiven: filed.given,
  };
}

/** SHA-256 of what a source said at one level, for its source row: equal values, equal digest. */
export function attributesDigest(...parts: unknown[]): Buffer {
  return createHash('sha256').update(JSON.stringify(parts)).digest();
}

/** What an archive answered about a study, series or instance (docs/adr/0019): a C-FIND identifier, or a header. */
import type { HeaderView } from './header-view';
import {
  first,
  identityElement,
  integer,
  keep,
  projectInstance,
  projectPatient,
  projectSeries,
  projectStudy,
  withDefaults,
  type EntryIdentity,
  type KeptAttributes,
  type ProjectedInstance,
  type ProjectedPatient,
  type ProjectedSeries,
  type ProjectedStudy,
  type ProjectionOptions,
} from './projection';
import { isPatientless } from './patientless';

/** Which query was answered; `full`: a header without bulk values. */
export type AnswerDepth = 'study' | 'series' | 'image' | 'full';
export const ANSWER_DEPTHS: readonly AnswerDepth[] = ['study', 'series', 'image', 'full'];

/** `null` where the answer is not about that level. */
export interface AnswerProjection {
  depth: AnswerDepth;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  patient: ProjectedPatient | null;
  /** With the counts and lists that the archive claims, by their tags. */
  study: ProjectedStudy | null;
  series: ProjectedSeries | null;
  instance: ProjectedInstance | null;
}

/** Claims that an answer may hold (PS3.4 C.3.4): computed by the archive, never read from an object. */
export const CLAIMED = {
  studySeries: '00201206',
  studyInstances: '00201208',
  seriesInstances: '00201209',
  modalities: '00080061',
  classes: '00080062',
  syntax: '00083002',
} as const;

const TAGS = { study: 0x0020000d, series: 0x0020000e, sopClass: 0x00080016, number: 0x00200013 };
/** Query/retrieve SOP classes; an answer's entry names the query's where the archive did not name the object's. */
const QUERY_CLASSES = '1.2.840.10008.5.1.4.1.2.';
const MOST_CLAIMED = 64;

function claim(view: HeaderView, tag: string): KeptAttributes {
  const count = integer(first(view, Number.parseInt(tag, 16)));
  return count === null || count < 0 ? {} : { [tag]: { vr: 'IS', Value: [count] } };
}

function claimList(view: HeaderView, tag: string, vr: string): KeptAttributes {
  const values = (view.strings(Number.parseInt(tag, 16)) ?? []).map((value) => value.trim().slice(0, 64));
  const given = [...new Set(values.filter((value) => value !== ''))].sort().slice(0, MOST_CLAIMED);
  return given.length === 0 ? {} : { [tag]: { vr, Value: given } };
}

/** A count that an archive claimed, from what is kept of its answer. */
export function claimedCount(kept: KeptAttributes, tag: string): number | undefined {
  const value = kept[tag]?.Value?.[0];
  return typeof value === 'number' ? value : undefined;
}
export function claimedList(kept: KeptAttributes, tag: string): string[] {
  return (kept[tag]?.Value ?? []).filter((value): value is string => typeof value === 'string');
}

/** Without the claims: what is shown of an answer. */
export function withoutClaims(kept: KeptAttributes): KeptAttributes {
  const claims = new Set<string>(Object.values(CLAIMED));
  return Object.fromEntries(Object.entries(kept).filter(([key]) => !claims.has(key)));
}

function imageAnswer(entry: EntryIdentity, view: HeaderView, options: Required<ProjectionOptions>): ProjectedInstance {
  const said = first(view, TAGS.sopClass);
  const sopClassUid = said !== '' ? said : entry.sopClassUid.startsWith(QUERY_CLASSES) ? '' : entry.sopClassUid;
  return {
    sopInstanceUid: entry.sopInstanceUid,
    sopClassUid,
    number: integer(first(view, TAGS.number)),
    attributes: {
      ...keep(view, options.attributes.ofLevel('IMAGE')),
      '00080018': identityElement('UI', entry.sopInstanceUid),
      '00080016': identityElement('UI', sopClassUid),
      ...claimList(view, CLAIMED.syntax, 'UI'),
    },
  };
}

/**
 * What one answer says. The entry's UID is that of the level asked; those of the levels above were put into the answer
 * by the edge, for the archive need not return them.
 * @returns null when it cannot be filed: no study, or no series, is named where one is needed, or the class has no patient
 */
export function projectAnswer(
  depth: AnswerDepth,
  entry: EntryIdentity,
  view: HeaderView,
  given: ProjectionOptions = {},
): AnswerProjection | null {
  const options = withDefaults(given);
  if (depth === 'full') return fullAnswer(entry, view, options);
  const studyInstanceUid = depth === 'study' ? entry.sopInstanceUid : first(view, TAGS.study);
  const seriesInstanceUid =
    depth === 'series' ? entry.sopInstanceUid : depth === 'image' ? first(view, TAGS.series) : '';
  if (studyInstanceUid === '' || (depth !== 'study' && seriesInstanceUid === '')) return null;
  const none = { depth, studyInstanceUid, seriesInstanceUid, patient: null, study: null, series: null, instance: null };
  if (depth === 'image') return { ...none, instance: imageAnswer(entry, view, options) };
  if (depth === 'series') {
    const series = projectSeries(view, seriesInstanceUid, options.attributes);
    return {
      ...none,
      series: { ...series, attributes: { ...series.attributes, ...claim(view, CLAIMED.seriesInstances) } },
    };
  }
  const study = projectStudy(view, studyInstanceUid, options.attributes);
  const claims = {
    ...claim(view, CLAIMED.studySeries),
    ...claim(view, CLAIMED.studyInstances),
    ...claimList(view, CLAIMED.modalities, 'CS'),
    ...claimList(view, CLAIMED.classes, 'UI'),
  };
  return {
    ...none,
    patient: projectPatient(view, studyInstanceUid, options),
    study: { ...study, attributes: { ...study.attributes, ...claims } },
  };
}

function fullAnswer(
  entry: EntryIdentity,
  view: HeaderView,
  options: Required<ProjectionOptions>,
): AnswerProjection | null {
  const sopClassUid = first(view, TAGS.sopClass) || entry.sopClassUid;
  if (isPatientless(sopClassUid)) return null;
  const { patient, study, series, instance } = projectInstance({ ...entry, sopClassUid }, view, options);
  if (!patient || !study || !series) return null;
  const { studyInstanceUid } = study;
  const { seriesInstanceUid } = series;
  return { depth: 'full', studyInstanceUid, seriesInstanceUid, patient, study, series, instance };
}

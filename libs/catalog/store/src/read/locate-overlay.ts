/** What is to be shown of located objects in place of what they hold (docs/adr/0022): by rules, and whose they are. */
import type { KeptAttributes, KeptElement, RowOverlay } from '@archipelago/catalog-model';
import type { DicomJson, OverlayV1, Principal } from '@archipelago/contracts';
import { ISSUER_OF_PATIENT_ID, PATIENT_ID } from './person-sql';
import { plainElement } from './result';
import type { Run } from './runner';
import { IDENTITIES, shownIdentity, type Identity, type OwnIdentity } from './shown-identity';

/** IssuerOfPatientIDQualifiersSequence: of another authority's id than is shown it says nothing. */
const QUALIFIERS = '00100024';

type Set = RowOverlay['set'] | null;

interface StudyRow extends OwnIdentity {
  id: string;
  uid: string;
  set: Set;
  labels: string[];
  kept: KeptAttributes;
}

const STUDIES = `
  SELECT s.id::text, s.study_instance_uid AS uid, s.person, s.issuer, s.patient_id AS "patientId", s.linked, s.overlay -> 'set' AS set, s.labels, s.attributes AS kept
  FROM study s WHERE s.id = ANY($1::bigint[]) AND NOT s.is_group`;

/** An instance as it was located, with what its own study and series have, not those that show them. */
export interface LocatedRow {
  studyId: string | null;
  ofSeries: Set;
  set: Set;
}

/** Reads once what the studies of a page have. */
export async function readOverlays(
  run: Run,
  principal: Principal,
  rows: readonly LocatedRow[],
): Promise<(row: LocatedRow) => OverlayV1 | undefined> {
  const ofStudy = await studyOverlays(run, principal, [...new Set(rows.flatMap((row) => row.studyId ?? []))]);
  return (row) => merge([...(ofStudy.get(row.studyId ?? '')?.parts ?? []), row.ofSeries, row.set]);
}

/** By UID, of studies whose instances are not known: what is shown, and the labels of all rows of the UID. */
export async function shallowOverlays(
  run: Run,
  principal: Principal,
  studyUids: readonly string[],
): Promise<Map<string, { overlay?: OverlayV1; labels: string[]; kept: KeptAttributes }>> {
  if (studyUids.length === 0) return new Map();
  const rows = await run<{ id: string }>(
    'SELECT id::text FROM study WHERE study_instance_uid = ANY($1) AND NOT is_group ORDER BY id DESC',
    [[...new Set(studyUids)]],
  );
  const overlays = await studyOverlays(
    run,
    principal,
    rows.map((row) => row.id),
  );
  const byUid = new Map<string, { overlay?: OverlayV1; labels: string[]; kept: KeptAttributes }>();
  for (const { uid, parts, labels, kept } of overlays.values()) {
    const overlay = merge(parts) ?? byUid.get(uid)?.overlay;
    byUid.set(uid, { ...(overlay ? { overlay } : {}), labels: [...(byUid.get(uid)?.labels ?? []), ...labels], kept });
  }
  return byUid;
}

async function studyOverlays(
  run: Run,
  principal: Principal,
  ids: readonly string[],
): Promise<Map<string, { uid: string; parts: Set[]; labels: string[]; kept: KeptAttributes }>> {
  if (ids.length === 0) return new Map();
  const rows = await run<StudyRow>(STUDIES, [ids]);
  const persons = [...new Set(rows.filter((row) => row.linked).map((row) => row.person))];
  const identities = persons.length === 0 ? [] : await run<Identity>(IDENTITIES, [persons]);
  return new Map(
    rows.map((row) => [
      row.id,
      { uid: row.uid, parts: [row.set, identitySet(principal, row, identities)], labels: row.labels, kept: row.kept },
    ]),
  );
}

/** The same PatientID as a query of the peer shows; nothing where that is the one that is stored. */
function identitySet(principal: Principal, own: OwnIdentity, identities: readonly Identity[]): Set {
  const shown = shownIdentity(principal, own, identities);
  if (!shown || (shown.patientId === own.patientId && shown.issuer === own.issuer)) return null;
  return {
    [PATIENT_ID]: { vr: 'LO', Value: [shown.patientId] },
    [ISSUER_OF_PATIENT_ID]: shown.issuer === '' ? null : { vr: 'LO', Value: [shown.issuer] },
    [QUALIFIERS]: null,
  };
}

function merge(parts: readonly Set[]): OverlayV1 | undefined {
  const all = Object.assign({}, ...parts) as Record<string, KeptElement | null>;
  const set: DicomJson = {};
  const removed: string[] = [];
  for (const [key, element] of Object.entries(all)) {
    if (element === null) removed.push(key);
    else set[key] = plainElement(element, null);
  }
  if (Object.keys(all).length === 0) return undefined;
  return { set, ...(removed.length > 0 ? { removed } : {}) };
}

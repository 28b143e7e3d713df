/**
 * Query/retrieve SOP classes that the edge serves, with the information model behind each (PS3.4 annexes C, U, X, BB,
 * GG, HH, II, JJ). One table for negotiation, dispatch and the conformance statement.
 */
import type { QueryLevel } from '@archipelago/contracts';

export type QueryOperation = 'find' | 'move' | 'get';
export type InformationModel = 'patient-root' | 'study-root' | 'patient-study-only' | 'patientless';

export interface QueryClass {
  uid: string;
  name: string;
  operation: QueryOperation;
  model: InformationModel;
  /** Levels of the model, highest first; empty in the patientless models, which have one level and no level key. */
  levels: readonly QueryLevel[];
  /** Patientless models: the storage SOP classes whose objects the model is about. */
  sopClasses: readonly string[];
}

const PATIENT_ROOT: readonly QueryLevel[] = ['PATIENT', 'STUDY', 'SERIES', 'IMAGE'];
const STUDY_ROOT: readonly QueryLevel[] = ['STUDY', 'SERIES', 'IMAGE'];
/** PS3.4 (2004) C.6.3, retired since: still used by old workstations. */
const PATIENT_STUDY_ONLY: readonly QueryLevel[] = ['PATIENT', 'STUDY'];

interface Family {
  name: string;
  model: InformationModel;
  levels: readonly QueryLevel[];
  sopClasses: readonly string[];
  find: string;
  move: string;
  get: string;
}

const QR = '1.2.840.10008.5.1.4.1.2';
const NONE: readonly QueryLevel[] = [];

const FAMILIES: readonly Family[] = [
  family('Patient Root', 'patient-root', PATIENT_ROOT, [], `${QR}.1.1`, `${QR}.1.2`, `${QR}.1.3`),
  family('Study Root', 'study-root', STUDY_ROOT, [], `${QR}.2.1`, `${QR}.2.2`, `${QR}.2.3`),
  family('Patient/Study Only', 'patient-study-only', PATIENT_STUDY_ONLY, [], `${QR}.3.1`, `${QR}.3.2`, `${QR}.3.3`),
  // CT and XA Defined Procedure Protocol Storage
  patientless('Defined Procedure Protocol', '1.2.840.10008.5.1.4.20', 1, [
    '1.2.840.10008.5.1.4.1.1.200.1',
    '1.2.840.10008.5.1.4.1.1.200.7',
  ]),
  patientless('Hanging Protocol', '1.2.840.10008.5.1.4.38', 2, ['1.2.840.10008.5.1.4.38.1']),
  patientless('Color Palette', '1.2.840.10008.5.1.4.39', 2, ['1.2.840.10008.5.1.4.39.1']),
  patientless('Generic Implant Template', '1.2.840.10008.5.1.4.43', 2, ['1.2.840.10008.5.1.4.43.1']),
  patientless('Implant Assembly Template', '1.2.840.10008.5.1.4.44', 2, ['1.2.840.10008.5.1.4.44.1']),
  patientless('Implant Template Group', '1.2.840.10008.5.1.4.45', 2, ['1.2.840.10008.5.1.4.45.1']),
  patientless('Protocol Approval', '1.2.840.10008.5.1.4.1.1.200', 4, ['1.2.840.10008.5.1.4.1.1.200.3']),
  patientless('Inventory', '1.2.840.10008.5.1.4.1.1.201', 2, ['1.2.840.10008.5.1.4.1.1.201.1']),
];

function family(
  name: string,
  model: InformationModel,
  levels: readonly QueryLevel[],
  sopClasses: readonly string[],
  find: string,
  move: string,
  get: string,
): Family {
  return { name, model, levels, sopClasses, find, move, get };
}

/** FIND, MOVE and GET of the patientless models have neighbouring UIDs. */
function patientless(name: string, stem: string, first: number, sopClasses: readonly string[]): Family {
  return family(name, 'patientless', NONE, sopClasses, `${stem}.${first}`, `${stem}.${first + 1}`, `${stem}.${first + 2}`);
}

export const QUERY_CLASSES: readonly QueryClass[] = FAMILIES.flatMap((f) =>
  (['find', 'move', 'get'] as const).map((operation) => ({
    uid: f[operation],
    name: `${f.name} - ${operation.toUpperCase()}`,
    operation,
    model: f.model,
    levels: f.levels,
    sopClasses: f.sopClasses,
  })),
);

const BY_UID = new Map(QUERY_CLASSES.map((c) => [c.uid, c]));

export function queryClass(uid: string): QueryClass | undefined {
  return BY_UID.get(uid);
}

/** Storage SOP classes of objects that belong to no patient: no Study or Series Instance UID is asked of them. */
export const PATIENTLESS_STORAGE: ReadonlySet<string> = new Set(
  QUERY_CLASSES.filter((c) => c.model === 'patientless').flatMap((c) => c.sopClasses),
);

/**
 * Query/retrieve SOP classes that the edge serves (PS3.4 annexes C, U, X, BB, GG and others), from the registry of
 * `libs/dicom/core`, with the levels of each model. One table for negotiation, dispatch and the conformance statement.
 * Not served: Composite Instance Root and Composite Instance Retrieve Without Bulk Data (PS3.4 Y and Z).
 */
import type { QueryLevel } from '@archipelago/contracts';
import { type QueryRetrieveModel, queryRetrieveSopClasses, storageSopClasses } from '@archipelago/dicom-core';

export type QueryOperation = 'FIND' | 'MOVE' | 'GET';

export interface QueryClass {
  uid: string;
  name: string;
  operation: QueryOperation;
  model: QueryRetrieveModel;
  retired: boolean;
  /** Levels of the model, highest first; empty in the patientless models, which have one level and no level key. */
  levels: readonly QueryLevel[];
  /** Patientless models: the storage SOP classes whose objects the model is about. */
  sopClasses: readonly string[];
}

/** PS3.4 C.6.1, C.6.2 and (2004) C.6.3. */
const LEVELS: Partial<Record<QueryRetrieveModel, readonly QueryLevel[]>> = {
  'patient-root': ['PATIENT', 'STUDY', 'SERIES', 'IMAGE'],
  'study-root': ['STUDY', 'SERIES', 'IMAGE'],
  'patient-study-only': ['PATIENT', 'STUDY'],
};
const NOT_SERVED: ReadonlySet<QueryRetrieveModel> = new Set([
  'composite-instance-root',
  'composite-instance-without-bulk',
]);

export const QUERY_CLASSES: readonly QueryClass[] = queryRetrieveSopClasses()
  .filter((c) => !NOT_SERVED.has(c.model))
  .map(({ uid, name, operation, model, retired, storageClasses }) => ({
    uid,
    name,
    operation,
    model,
    retired,
    levels: LEVELS[model] ?? [],
    sopClasses: storageClasses,
  }));

const BY_UID = new Map(QUERY_CLASSES.map((c) => [c.uid, c]));

export function queryClass(uid: string): QueryClass | undefined {
  return BY_UID.get(uid);
}

/** Storage SOP classes of objects that belong to no patient: no Study or Series Instance UID is asked of them. */
export const PATIENTLESS_STORAGE: ReadonlySet<string> = new Set(
  storageSopClasses()
    .filter((c) => c.patientless)
    .map((c) => c.uid),
);

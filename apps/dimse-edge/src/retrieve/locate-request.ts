/** From a retrieve Identifier to the catalog's question (PS3.4 C.4.2.2.1, C.4.3.2.1; patientless: X.6.2, U.6.2). */
import type { LocateV1, Principal, QueryKey, QueryLevel } from '@archipelago/contracts';
import type { QueryClass } from '../association/query-classes';
import { judgeUid } from '../store/store-checks';
import { type IdentifierOutcome, mismatch, type QueryIdentifier } from '../query/identifier';
import { searchModel } from '../query/search-request';
import { UNIQUE_KEYS, valuesOf } from '../query/unique-keys';

export type LocateOutcome = { ok: true; locate: LocateV1 } | Extract<IdentifierOutcome, { ok: false }>;

/** Most UIDs in one request, so that the question fits one message. */
const MOST_UIDS = 8000;

/**
 * The unique key of the level must be there; keys of the levels above narrow the answer where they are given and may be
 * left out (relational retrieval is always on: instance UIDs name one thing only, so nothing wrong can be sent).
 * Wildcards and empty values never mean "all": a retrieval of everything is not asked for by leaving something out.
 */
export function locateRequest(identifier: QueryIdentifier, model: QueryClass, principal: Principal): LocateOutcome {
  const level: QueryLevel = identifier.level ?? 'IMAGE';
  const keys = identifier.keys;
  const wanted = valuesOf(keys, UNIQUE_KEYS[level]);
  if (wanted.length === 0) return mismatch(`${level} unique key missing`, [tagOf(level)]);
  const bad = firstUnusable(keys);
  if (bad) return mismatch(`unique key of ${bad} not usable`, [tagOf(bad)]);
  if (level === 'PATIENT' && wanted.length > 1) return mismatch('more than one PatientID', [tagOf('PATIENT')]);
  return {
    ok: true,
    locate: {
      principal,
      model: searchModel(model),
      level,
      ...list('patientIds', valuesOf(keys, UNIQUE_KEYS.PATIENT)),
      ...issuer(keys),
      ...list('studyInstanceUids', valuesOf(keys, UNIQUE_KEYS.STUDY)),
      ...list('seriesInstanceUids', valuesOf(keys, UNIQUE_KEYS.SERIES)),
      ...list('sopInstanceUids', valuesOf(keys, UNIQUE_KEYS.IMAGE)),
      ...(model.sopClasses.length > 0 ? { sopClasses: [...model.sopClasses] } : {}),
    },
  };
}

function firstUnusable(keys: readonly QueryKey[]): QueryLevel | undefined {
  if (valuesOf(keys, UNIQUE_KEYS.PATIENT).some((v) => /[*?]/.test(v))) return 'PATIENT';
  return (['STUDY', 'SERIES', 'IMAGE'] as const).find((level) => {
    const uids = valuesOf(keys, UNIQUE_KEYS[level]);
    return uids.length > MOST_UIDS || uids.some((uid) => judgeUid(uid) === 'invalid');
  });
}

function list<K extends string>(name: K, values: string[]): { [key in K]?: string[] } {
  return values.length > 0 ? ({ [name]: values } as { [key in K]: string[] }) : {};
}

function issuer(keys: readonly QueryKey[]): { issuerOfPatientId?: string } {
  const value = valuesOf(keys, '00100021')[0];
  return value === undefined ? {} : { issuerOfPatientId: value };
}

function tagOf(level: QueryLevel): number {
  return parseInt(UNIQUE_KEYS[level], 16);
}

/** From an Identifier to the catalog's question. */
import type { Principal, QueryLevel, SearchV1 } from '@archipelago/contracts';
import type { FindOptions } from '../association/extended-negotiation';
import type { QueryClass } from '../association/query-classes';
import { type IdentifierOutcome, mismatch, type QueryIdentifier } from './identifier';
import { missingAbove, UNIQUE_KEYS } from './unique-keys';

export type SearchOutcome = { ok: true; search: SearchV1 } | Extract<IdentifierOutcome, { ok: false }>;

/** Retired Patient/Study Only asks the same questions as Patient Root, and only those of its two levels. */
export function searchModel(model: QueryClass): SearchV1['model'] {
  if (model.levels.length === 0) return 'patientless';
  return model.model === 'study-root' ? 'study-root' : 'patient-root';
}

/** Location of what was found, not attributes to look for; the AE title is the edge's own. */
const LOCATION_KEYS: ReadonlySet<string> = new Set(['00080054', '00080056']);
/** InstanceAvailability: in every response (PS3.4 C.4.1.1.3.2), so asked for always. */
const AVAILABILITY = { tag: '00080056', vr: 'CS', values: [] };

export function searchRequest(
  identifier: QueryIdentifier,
  model: QueryClass,
  options: FindOptions,
  principal: Principal,
): SearchOutcome {
  const level: QueryLevel = identifier.level ?? 'IMAGE';
  if (model.levels.length > 0 && !options.relational) {
    const missing = missingAbove(identifier.keys, model.levels, level);
    if (missing) return mismatch(`single ${missing} unique key missing`, [parseInt(UNIQUE_KEYS[missing], 16)]);
  }
  return {
    ok: true,
    search: {
      principal,
      model: searchModel(model),
      ...(model.sopClasses.length > 0 ? { sopClasses: [...model.sopClasses] } : {}),
      level,
      keys: [...identifier.keys.filter((k) => !LOCATION_KEYS.has(k.tag)), AVAILABILITY],
      relational: options.relational,
      combinedDateTime: options.combinedDateTime,
      fuzzyNames: options.fuzzyNames,
      ...(identifier.timezone !== undefined ? { timezone: identifier.timezone } : {}),
    },
  };
}

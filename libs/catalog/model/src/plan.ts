import type { QueryKey, SearchV1 } from '@archipelago/contracts';
import { AttributeSet, DEFAULT_ATTRIBUTES, levelRank, type CatalogLevel, type QueryAttribute } from './attributes';
import { asksNothing, keyMatching } from './matching';
import type { Predicate } from './predicate';
import { combineDateTime, MICROSECONDS_PER_DAY } from './temporal';

export interface SearchPlan {
  model: SearchV1['model'];
  level: CatalogLevel;
  /** All must hold. Those of a deeper level than the query's mean: some entity below fulfils all of that level's. */
  predicates: Predicate[];
  /** Attributes to return, each of the query's level or above. */
  returns: QueryAttribute[];
  /** Keys (8 hex digits) that are not kept, or cannot be matched as asked: they are left out, and the answer says so. */
  unsupported: string[];
  /** Keys with a value that their VR does not allow: the search must fail, for leaving them out would widen it. */
  malformed: string[];
}

/** Of the request itself, answered by the service that speaks the protocol (PS3.4 C.4.1.1.3). */
const CONTROL_KEYS = new Set([
  '00080005',
  '00080052',
  '00080053',
  '00080054',
  '00080056',
  '00080201',
  '00880130',
  '00880140',
]);

/** Date and time attributes that combine (PS3.4 C.2.2.2.5.4), by tag. */
const COMBINABLE: Record<string, string> = {
  '00080020': '00080030',
  '00080021': '00080031',
  '00080022': '00080032',
  '00080023': '00080033',
  '00080012': '00080013',
  '00100030': '00100032',
  '00400244': '00400245',
  '00400250': '00400251',
};

interface Draft {
  predicates: Predicate[];
  returns: QueryAttribute[];
  unsupported: string[];
  malformed: string[];
}

function planKey(draft: Draft, key: QueryKey, search: SearchV1, attributes: AttributeSet): void {
  if (CONTROL_KEYS.has(key.tag) || key.tag.endsWith('0000')) return;
  const attribute = attributes.get(key.tag);
  if (!attribute) return void draft.unsupported.push(key.tag);
  const below = search.model !== 'patientless' && levelRank(attribute.level) > levelRank(search.level);
  if (below && !(search.relational === true && !asksNothing(key))) return void draft.unsupported.push(key.tag);
  const matching = keyMatching(attribute, key, search.fuzzyNames === true);
  if (matching === 'unsupported') draft.unsupported.push(key.tag);
  else if (matching === 'malformed') draft.malformed.push(key.tag);
  else if (matching !== 'universal') draft.predicates.push(matching);
  if (!below) draft.returns.push(attribute);
}

/** The one range of a predicate, if that is all it is. */
function singleRange(predicate: Predicate | undefined): { from?: number; to?: number } | null {
  if (predicate?.kind !== 'value' || predicate.tests.length !== 1) return null;
  const test = predicate.tests[0];
  return test?.test === 'range' ? test : null;
}

function combine(predicates: Predicate[]): Predicate[] {
  const byTag = new Map(predicates.map((one) => [one.kind === 'combined' ? '' : one.attribute.key, one]));
  const gone = new Set<Predicate>();
  const combined: Predicate[] = [];
  for (const [dateTag, timeTag] of Object.entries(COMBINABLE)) {
    const [date, time] = [byTag.get(dateTag), byTag.get(timeTag)];
    const [dates, times] = [singleRange(date), singleRange(time)];
    if (!dates || !times || date?.kind !== 'value' || time?.kind !== 'value') continue;
    gone.add(date).add(time);
    combined.push({
      kind: 'combined',
      date: date.attribute,
      time: time.attribute,
      ...(dates.from === undefined ? {} : { from: combineDateTime(dates.from, times.from ?? 0) }),
      ...(dates.to === undefined ? {} : { to: combineDateTime(dates.to, times.to ?? MICROSECONDS_PER_DAY - 1) }),
    });
  }
  return [...predicates.filter((one) => !gone.has(one)), ...combined];
}

/**
 * Plans one search. Hierarchical queries (PS3.4 C.4.1.2.2.1) may be less strict than the standard asks: a missing
 * unique key above the level widens the search instead of failing it, as most archives have it. Keys below the level
 * are matched only when relational queries were negotiated (C.4.1.2.2.2).
 */
export function planSearch(search: SearchV1, attributes: AttributeSet = DEFAULT_ATTRIBUTES): SearchPlan {
  const draft: Draft = { predicates: [], returns: [], unsupported: [], malformed: [] };
  for (const key of search.keys as QueryKey[]) planKey(draft, key, search, attributes);
  const predicates = search.combinedDateTime === true ? combine(draft.predicates) : draft.predicates;
  return {
    model: search.model,
    level: search.level,
    predicates,
    returns: draft.returns,
    unsupported: [...new Set(draft.unsupported)],
    malformed: [...new Set(draft.malformed)],
  };
}

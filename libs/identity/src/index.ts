export {
  Sex,
  type DateNumber,
  type Name,
  type NormalisedRecord,
  type PersonRecord,
  type Street,
  type Word,
} from './record';
export { detectDateOrder, parseDate, type DateOrder } from './date';
export { isSharedId, normaliseRecord, type NormaliseOptions } from './normalise';
export { Vocabulary } from './vocabulary';
export { editDistance, jaroWinkler } from './similarity';
export { phoneticCode } from './phonetic';
export { transliterate } from './transliterate';
export { DEFAULT_NICKNAMES } from './nicknames';
export { blockingKeys } from './blocking';
export { sharedEvidence, type Rule } from './rules';
export { Model, type ModelJson } from './model';
export { Matcher, score, type CandidateScore, type MatcherOptions, type Score } from './matcher';
export type { Evidence, FieldEvidence } from './evidence';
export { DEFAULT_THRESHOLDS, type Outcome, type Thresholds } from './decide';
export { linkFiles, type LinkedPair, type LinkOptions, type LinkResult } from './link';
export { deduplicate, type DeduplicateResult } from './deduplicate';

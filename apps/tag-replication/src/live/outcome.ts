/** How an archive's answers to a live query are told of. */
import type { AnswerPart, LiveOutcome } from '@archipelago/contracts';

const NOT_ASKED = new Set(['archive-open', 'archive-busy', 'archive-paused', 'busy', 'bus-no-responders', 'bus-away']);
const SILENT = new Set(['archive-timeout', 'bus-timeout', 'edge-gone', 'job-lost']);

/** From a code of the edge, or of the way to it. */
export function failureOutcome(code: string | undefined): LiveOutcome {
  if (code !== undefined && NOT_ASKED.has(code)) return 'not asked';
  return code !== undefined && SILENT.has(code) ? 'no answer' : 'unreachable';
}

/** The first part that did not end well decides; fewer parts than queries are queries that were not come to. */
export function partsOutcome(parts: readonly AnswerPart[], queries: number): LiveOutcome {
  const bad = parts.find((part) => part.end !== 'complete');
  if (!bad) return parts.length < queries ? 'no answer' : 'answered';
  if (bad.end === 'limit') return 'capped';
  if (bad.end === 'deadline') return 'no answer';
  if (bad.end === 'status' || bad.code === 'find-not-accepted' || bad.code === 'archive-refused') return 'refused';
  return failureOutcome(bad.code);
}

/** Whether an archive gives all of its answers to one query: found by asking, nothing is written. */
import type { AnswerPart, StudyScopeV1 } from '@archipelago/contracts';
import { addDays, FIRST_DAY } from './scope';

export const LIMIT = 2_000;

/**
 * Asks for everything, up to more than we ever want at once; when fewer came, for the two halves of it: together they
 * must be as many.
 */
export async function probeCap(
  ask: (scope: StudyScopeV1) => Promise<AnswerPart>,
): Promise<{ cap: number | null; proven: number; maxSeen: number }> {
  const all = await ask({ from: FIRST_DAY });
  const n = all.items.length;
  const maxSeen = all.answers;
  if (all.end === 'limit') return { cap: null, proven: LIMIT, maxSeen };
  // it says itself that there are more (PS3.4 C.4.1.1.4 has no such status; archives use A700, B0xx and others)
  if (all.end === 'status' && n > 0) return { cap: n, proven: 0, maxSeen };
  if (all.end !== 'complete') return { cap: null, proven: 0, maxSeen: 0 };
  if (n < 10) return { cap: null, proven: n, maxSeen };
  const dates = all.items.map((item) => item.date as string).sort();
  const cut = dates[Math.floor(n / 2)] as string;
  const first = dates[0] as string;
  const oneDay = cut === first;
  const scopes: StudyScopeV1[] = oneDay
    ? [{ from: FIRST_DAY, to: addDays(first, -1) }, { from: first, to: first }, { from: addDays(first, 1) }]
    : [{ from: FIRST_DAY, to: addDays(cut, -1) }, { from: cut }];
  let sum = 0;
  for (const scope of scopes) {
    const part = await ask(scope);
    if (part.end !== 'complete' && part.end !== 'limit') return { cap: null, proven: 0, maxSeen };
    sum += part.items.length;
  }
  if (sum > n) return { cap: n, proven: 0, maxSeen };
  // all on one day could be cut off in the same place both times
  return { cap: null, proven: oneDay ? 0 : n, maxSeen };
}

import type { AnswerPart, ArchiveTaskReply, ArchiveTaskResult } from '@archipelago/contracts';

/** Items in one reply: with the longest UIDs well below the bus's largest message. */
export const PAGE_ITEMS = 2_000;

/**
 * The items of a result from `after` on, in their parts (a part without items counts as one). A part that does not fit
 * comes in pieces, which all say the same of the whole part but for their items.
 */
export function pageOf(
  result: ArchiveTaskResult,
  after: number,
  most = PAGE_ITEMS,
): Pick<ArchiveTaskReply, 'result' | 'next'> {
  const parts: AnswerPart[] = [];
  let start = 0;
  let taken = 0;
  let next: number | undefined;
  for (const part of result.parts) {
    const size = Math.max(1, part.items.length);
    const from = Math.max(0, after - start);
    start += size;
    if (from >= size) continue;
    if (taken >= most) {
      next = after + taken;
      break;
    }
    const items = part.items.slice(from, from + most - taken);
    taken += Math.max(1, items.length);
    parts.push({ ...part, items });
    if (from + items.length < part.items.length) {
      next = after + taken;
      break;
    }
  }
  return { result: { ...result, parts }, next };
}

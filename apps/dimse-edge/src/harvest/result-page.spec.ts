import type { AnswerPart } from '@archipelago/contracts';
import { pageOf } from './result-page';

const part = (study: string, items: number): AnswerPart => ({
  study,
  end: 'complete',
  answers: items,
  leftOut: {},
  items: Array.from({ length: items }, (_, i) => ({ uid: `${study}.${i}`, digest: '0123456789ab' })),
});

test.each([[[3, 0, 2]], [[2, 0]], [[0, 0, 0]], [[5]], [[0, 2, 2, 0, 7]], [[]]])(
  'pages of parts with %j items are together what there is, each item and each part once',
  (sizes) => {
    const parts = sizes.map((n, i) => part(`1.${i + 1}`, n));
    const seen: AnswerPart[] = [];
    for (let after = 0, pages = 0; ; pages++) {
      expect(pages).toBeLessThan(20);
      const { result, next } = pageOf({ parts, packs: [], bytes: 0 }, after, 2);
      for (const piece of result?.parts ?? []) {
        const last = seen.at(-1);
        if (last?.study === piece.study) last?.items.push(...piece.items);
        else seen.push({ ...piece, items: [...piece.items] });
      }
      if (next === undefined) break;
      expect(next).toBeGreaterThan(after);
      after = next;
    }
    expect(seen).toEqual(parts);
  },
);

import type { AnswerPart, StudyScopeV1 } from '@archipelago/contracts';
import { LIMIT, probeCap } from './cap-probe';

/** An archive with studies on these days, in this order, that gives `cap` answers. */
function archive(days: string[], cap = Infinity, end: AnswerPart['end'] = 'complete') {
  return (scope: StudyScopeV1): Promise<AnswerPart> => {
    const all = days.filter((day) => day >= (scope.from ?? '') && day <= (scope.to ?? '99999999'));
    const given = all.slice(0, Math.min(cap, LIMIT));
    const items = given.map((date, i) => ({ uid: `1.${i}`, digest: '0123456789ab', date }));
    const cut = all.length > cap ? end : all.length >= LIMIT ? 'limit' : 'complete';
    return Promise.resolve({ end: cut, answers: items.length, leftOut: {}, items });
  };
}

const days = (n: number, of = 200): string[] =>
  Array.from(
    { length: n },
    (_, i) => `20${String(10 + (i % 16))}01${String(1 + (i % Math.min(28, of))).padStart(2, '0')}`,
  );

test.each([
  ['no cap, few studies', archive(days(300)), { cap: null, proven: 300 }],
  ['no cap, more than we take', archive(days(5_000)), { cap: null, proven: LIMIT }],
  ['a silent cap', archive(days(3_000), 137), { cap: 137, proven: 0 }],
  ['a silent cap, newest first', archive(days(3_000).sort().reverse(), 500), { cap: 500, proven: 0 }],
  [
    'a silent cap, the first day has more',
    archive([...Array<string>(400).fill('20260101'), ...days(900)], 137),
    { cap: 137, proven: 0 },
  ],
  ['all on one day: nothing is proven', archive(Array<string>(300).fill('20260101'), 137), { cap: null, proven: 0 }],
  ['a cap that is said', archive(days(3_000), 400, 'status'), { cap: 400, proven: 0 }],
  ['hardly any studies', archive(days(4)), { cap: null, proven: 4 }],
  ['none', archive([]), { cap: null, proven: 0 }],
])('%s', async (_, ask, expected) => {
  expect(await probeCap(ask)).toMatchObject(expected);
});

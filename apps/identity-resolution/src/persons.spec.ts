import { connected, forbids, holding, type Assertion } from './persons';

let n = 0;
function assertion(kind: Assertion['kind'], a: string, b: string | null, over: Partial<Assertion> = {}): Assertion {
  n += 1;
  return {
    id: String(n),
    kind,
    a,
    b,
    study: null,
    retracts: null,
    source: 'person',
    madeAt: new Date(n * 1000),
    ...over,
  };
}

it('what is taken back held until then', () => {
  const link = assertion('link', 'A', 'B');
  const back = assertion('retract', 'A', 'B', { retracts: link.id });
  expect(holding([link, back])).toEqual([]);
  expect(holding([link, back], link.madeAt)).toEqual([link]);
  expect(holding([link, back], new Date(0))).toEqual([]);
});

it('links connect over others, and an unlink of one lets the rest fall apart', () => {
  const [ab, bc] = [assertion('link', 'A', 'B'), assertion('link', 'C', 'B')];
  expect(connected([ab, bc], ['A']).sort()).toEqual(['A', 'B', 'C']);
  expect(connected([ab], ['C'])).toEqual(['C']);
  expect(connected([], ['A'])).toEqual(['A']);
});

it('nobody is linked with one from whom another of his is kept apart', () => {
  const held = [assertion('apart', 'A', 'D')];
  expect(forbids(held, ['A', 'B'], ['C', 'D'])).toBe(true);
  expect(forbids(held, ['C', 'D'], ['A', 'B'])).toBe(true);
  expect(forbids(held, ['A'], ['B', 'C'])).toBe(false);
});

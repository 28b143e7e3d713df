import { parseBudgets } from './cache';

describe('--bytes', () => {
  it('takes bytes, units and shares of the footprint', () => {
    expect(parseBudgets('5000000, 20G,1.5TiB,5%,1e9,3GB', 2000)).toEqual([5e6, 20e9, 1.5 * 2 ** 40, 100, 1e9, 3e9]);
  });

  it.each(['', 'x', '-5', '5X', '1,,2', 'i'])('refuses %j', (text) => {
    expect(() => parseBudgets(text, 1)).toThrow('--bytes');
  });
});

import { median, percentile } from './statistics';

describe('statistics', () => {
  it('takes the middle of an odd and the mean of the two middles of an even count, in any order', () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it('interpolates percentiles and reaches both ends', () => {
    const values = Array.from({ length: 101 }, (_, i) => i);
    expect(percentile(values, 95)).toBe(95);
    expect(percentile(values, 0)).toBe(0);
    expect(percentile([1, 2], 99)).toBeCloseTo(1.99);
  });
});

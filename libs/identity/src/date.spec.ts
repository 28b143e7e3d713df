import { compareDates, DobLevel } from './compare';
import { generator } from './corpus';
import { detectDateOrder, isPossible, parseDate } from './date';

describe('parseDate', () => {
  it.each([
    ['19800131', 19800131],
    ['1980-01-31', 19800131],
    ['1980/1/31', 19800131],
    ['31.01.1980', 19800131],
    ['31.1.80', 19800131],
    ['1/31/1980', 19800131],
    ['31 Jan 1980', 19800131],
    ['January 31, 1980', 19800131],
    ['31. März 1980', 19800331],
    ['31JAN1980', 19800131],
    ['1980-01-31T00:00:00Z', 19800131],
    ['1980-01-31 10:22', 19800131],
    ['31011980', 19800131],
    ['19800131.0', 19800131],
    ['1980-31-01', 19800131],
    ['5.6.05', 20050605],
    ['5.6.35', 19350605],
    ['1980', 19800000],
    ['1980-05', 19800500],
    ['05/1980', 19800500],
    ['', 0],
    ['unknown', 0],
    ['00000000', 0],
    ['99/99/9999', 0],
    ['1980-13-45', 0],
  ])('%s', (text, expected) => expect(parseDate(text, 'day-month', 2026)).toBe(expected));

  it('takes the order of the file where a date leaves both open', () => {
    expect(parseDate('03/04/1980', 'day-month')).toBe(19800403);
    expect(parseDate('03/04/1980', 'month-day')).toBe(19800304);
    expect(parseDate('31/04/1980', 'month-day')).toBe(19800431);
    expect(isPossible(19800431)).toBe(false);
  });

  it('never throws and gives packed dates only', () => {
    const random = generator(2);
    const letters = '0123456789./- TJan';
    for (let i = 0; i < 5000; i++) {
      const text = Array.from(
        { length: Math.floor(random() * 13) },
        () => letters[Math.floor(random() * letters.length)],
      ).join('');
      const date = parseDate(text);
      expect(date === 0 || (date >= 18500000 && date <= 20991231)).toBe(true);
    }
  });
});

describe('detectDateOrder', () => {
  it('goes by the dates that leave no choice', () => {
    expect(detectDateOrder(['03/04/1980', '13/04/1980'])).toBe('day-month');
    expect(detectDateOrder(['03/04/1980', '04/13/1980'])).toBe('month-day');
    expect(detectDateOrder(['1980-01-31'])).toBe('day-month');
    expect(detectDateOrder([])).toBe('day-month');
  });
});

describe('compareDates', () => {
  it.each([
    [19800412, 19801204, DobLevel.Swapped],
    [19800412, 19810412, DobLevel.Typo],
    [19800412, 19080412, DobLevel.Typo],
    [19800412, 19800421, DobLevel.Typo],
    [19800412, 19800427, DobLevel.TwoParts],
    [19800412, 19930412, DobLevel.DayMonth],
    [19800412, 19800927, DobLevel.YearOnly],
    [19800412, 19850927, DobLevel.Near],
    [19800412, 20100927, DobLevel.Generation],
    [19800412, 19800400, DobLevel.Compatible],
    [19800412, 19800000, DobLevel.Compatible],
    [19800412, 19800500, DobLevel.Near],
  ])('%d and %d', (a, b, level) => {
    expect(compareDates(a, b)).toBe(level);
    expect(compareDates(b, a)).toBe(level);
  });
});

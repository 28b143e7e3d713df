import type { DateNumber } from './record';

/** Which number comes first in 03/04/1980 where nothing else tells. */
export type DateOrder = 'day-month' | 'month-day';

const MONTHS: Record<string, number> = {
  jan: 1, feb: 2, mar: 3, apr: 4, may: 5, jun: 6, jul: 7, aug: 8, sep: 9, oct: 10, nov: 11, dec: 12,
  mae: 3, mrz: 3, mai: 5, okt: 10, dez: 12, fev: 2, avr: 4, jui: 6, aou: 8, ene: 1, abr: 4, ago: 8, dic: 12, mag: 5, giu: 6, lug: 7, set: 9, ott: 10, gen: 1,
}; // prettier-ignore

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function pack(year: number, month: number, day: number): DateNumber {
  if (year < 1850 || year > 2099) return 0;
  if (month === 0) return year * 10000;
  // Impossible days stay (31 April): they are typing errors of a real date, and comparable.
  if (month > 12 || day > 31) return 0;
  return year * 10000 + month * 100 + day;
}

/** Two digits: the last hundred years. */
function century(text: string, thisYear: number): number {
  const year = Number(text);
  if (text.length > 2) return year;
  return year + 2000 > thisYear ? year + 1900 : year + 2000;
}

function split(text: string): string[] {
  return text.split(/[^\p{L}\p{N}]+/u).filter((part) => part !== '');
}

/** 0 where the text is no date. The clock is only used for two-digit years. */
export function parseDate(
  value: string,
  order: DateOrder = 'day-month',
  thisYear = new Date().getFullYear(),
): DateNumber {
  let text = value.trim();
  if (text === '') return 0;
  const time = /^(\d{4}.\d{1,2}.\d{1,2}|\d{8})[T ]\d/.exec(text);
  if (time) text = time[1]!;
  if (/^\d{8}(?:\.\d+)?$/.test(text)) {
    const date = compact(text.slice(0, 8), order);
    if (date !== 0) return date;
  }
  const parts = split(text);
  if (parts.length === 1) {
    const only = parts[0]!;
    if (/^\d{4}$/.test(only)) return pack(Number(only), 0, 0);
    if (/^\d{6}$/.test(only)) return pack(Number(only.slice(0, 4)), Number(only.slice(4)), 0);
    const glued = /^(\d{1,2})(\p{L}+)(\d{2,4})$/u.exec(only);
    return glued ? parseDate(`${glued[1]} ${glued[2]} ${glued[3]}`, order, thisYear) : 0;
  }
  const named = parts.findIndex((part) => /^\p{L}/u.test(part) && monthOf(part) !== 0);
  const numbers = parts.flatMap((part) => /^\d+/.exec(part) ?? []);
  if (named >= 0) {
    const month = monthOf(parts[named]!);
    if (numbers.length < 2) return numbers.length === 1 ? pack(century(numbers[0]!, thisYear), month, 0) : 0;
    const [a, b] = numbers as [string, string];
    return a.length === 4 ? pack(Number(a), month, Number(b)) : pack(century(b, thisYear), month, Number(a));
  }
  if (numbers.length === 2) {
    const [a, b] = numbers as [string, string];
    return a.length === 4 ? pack(Number(a), Number(b), 0) : b.length === 4 ? pack(Number(b), Number(a), 0) : 0;
  }
  if (numbers.length < 3) return 0;
  const [a, b, c] = numbers as [string, string, string];
  if (a.length >= 3) return orient(Number(a), Number(b), Number(c));
  return resolve(Number(a), Number(b), century(c, thisYear), order);
}

/** year, month, day, or year, day, month where only that is possible. */
function orient(year: number, month: number, day: number): DateNumber {
  return month > 12 && day <= 12 ? pack(year, day, month) : pack(year, month, day);
}

function resolve(a: number, b: number, year: number, order: DateOrder): DateNumber {
  const monthFirst = order === 'month-day' ? a <= 12 : b > 12 && a <= 12;
  return monthFirst ? pack(year, a, b) : pack(year, b, a);
}

/** yyyymmdd, else ddmmyyyy or mmddyyyy. */
function compact(digits: string, order: DateOrder): DateNumber {
  const date = orient(Number(digits.slice(0, 4)), Number(digits.slice(4, 6)), Number(digits.slice(6)));
  if (date !== 0) return date;
  return resolve(Number(digits.slice(0, 2)), Number(digits.slice(2, 4)), Number(digits.slice(4)), order);
}

function monthOf(word: string): number {
  return (
    MONTHS[
      word
        .toLowerCase()
        .normalize('NFD')
        .replace(/[\u0300-\u036f]/g, '')
        .slice(0, 3)
    ] ?? 0
  );
}

/** How a file writes its dates, by a vote of those that leave no choice (a first or second number above 12). */
export function detectDateOrder(values: Iterable<string>): DateOrder {
  let dayFirst = 0;
  let monthFirst = 0;
  let slashes = 0;
  let seen = 0;
  for (const value of values) {
    const match =
      /^\s*(\d{1,2})([^\d])(\d{1,2})\2\d{2,4}/.exec(value) ?? /^\s*(\d{2})()(\d{2})(?:18|19|20)\d\d\s*$/.exec(value);
    if (!match) continue;
    seen++;
    if (match[2] === '/') slashes++;
    const [a, b] = [Number(match[1]), Number(match[3])];
    if (a > 12 && b <= 12) dayFirst++;
    if (b > 12 && a <= 12) monthFirst++;
    if (seen >= 100_000) break;
  }
  if (dayFirst === monthFirst) return slashes > seen / 2 && seen > 0 && dayFirst === 0 ? 'month-day' : 'day-month';
  return monthFirst > dayFirst ? 'month-day' : 'day-month';
}

export const yearOf = (date: DateNumber): number => Math.floor(date / 10000);
export const monthIn = (date: DateNumber): number => Math.floor(date / 100) % 100;
export const dayIn = (date: DateNumber): number => date % 100;

/** Whether the calendar has such a day. */
export function isPossible(date: DateNumber): boolean {
  const month = monthIn(date);
  return month >= 1 && month <= 12 && dayIn(date) >= 1 && dayIn(date) <= DAYS[month - 1]!;
}

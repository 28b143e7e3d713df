/**
 * Dates and times as numbers that sort: a date as YYYYMMDD, a time as microseconds since midnight (PS3.5 6.2 DA, TM,
 * DT). Text that is no date or time is null: it is shown as it came but neither matches nor sorts.
 */

export const MICROSECONDS_PER_DAY = 86_400_000_000;
/** A date and a time in one sortable bigint: date * 10^11 + microseconds. */
export const DATE_FACTOR = 100_000_000_000n;

const DATE = /^(\d{4})(\d{2})(\d{2})$/;
/** ACR-NEMA 300 wrote dates with dots; readers shall take them (PS3.5 6.2, DA). */
const OLD_DATE = /^(\d{4})\.(\d{2})\.(\d{2})$/;
const TIME = /^(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?$/;

/** @returns YYYYMMDD, or null when the text is no date of the calendar's shape */
export function parseDate(text: string): number | null {
  const found = DATE.exec(text.trim()) ?? OLD_DATE.exec(text.trim());
  if (!found) return null;
  const [year, month, day] = [Number(found[1]), Number(found[2]), Number(found[3])];
  if (month < 1 || month > 12 || day < 1 || day > 31) return null;
  return year * 10_000 + month * 100 + day;
}

/** First and last microsecond that a time of the given precision means: "10" is 10:00:00 to 10:59:59.999999. */
export interface TimeSpan {
  from: number;
  to: number;
}

export function parseTimeSpan(text: string): TimeSpan | null {
  const found = TIME.exec(text.trim());
  if (!found) return null;
  const [hours, minutes, seconds] = [Number(found[1]), Number(found[2] ?? 0), Number(found[3] ?? 0)];
  // 60 is a leap second (PS3.5 6.2, TM)
  if (hours > 23 || minutes > 59 || seconds > 60) return null;
  const fraction = found[4] ?? '';
  const from = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + Number(fraction.padEnd(6, '0'));
  return { from, to: from + timePrecision(found) - 1 };
}

function timePrecision(found: RegExpExecArray): number {
  if (found[4] !== undefined) return 10 ** (6 - found[4].length);
  if (found[3] !== undefined) return 1_000_000;
  return found[2] !== undefined ? 60_000_000 : 3_600_000_000;
}

/** @returns microseconds since midnight, or null */
export function parseTime(text: string): number | null {
  return parseTimeSpan(text)?.from ?? null;
}

/** A DT value as the span [from, to] of 17+6 digit strings YYYYMMDDHHMMSSFFFFFF, offset dropped; null when malformed. */
export function parseDateTimeSpan(text: string): { from: string; to: string } | null {
  const bare = text.trim().replace(/[+-]\d{4}$/, '');
  const found = /^(\d{4}(?:\d{2}){0,5})(?:\.(\d{1,6}))?$/.exec(bare);
  if (!found || found[1] === undefined) return null;
  const digits = found[1] + (found[2] ?? '');
  if (found[2] !== undefined && found[1].length !== 14) return null;
  const low = '00000101000000000000';
  const high = '99991231235959999999';
  return { from: digits + low.slice(digits.length), to: digits + high.slice(digits.length) };
}

export function combineDateTime(date: number, time: number): bigint {
  return BigInt(date) * DATE_FACTOR + BigInt(time);
}

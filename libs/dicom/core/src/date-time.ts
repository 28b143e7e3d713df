/** DA, TM and DT values and ranges (PS3.5 section 6.2, PS3.4 section C.2.2.2.5). */

/** Inclusive bounds; undefined is open. */
export interface Range {
  from?: string;
  to?: string;
}

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isDate(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1 || day > DAYS[month - 1]) return false;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month !== 2 || day < 29 || leap;
}

/** YYYYMMDD of a DA value, the ACR-NEMA form YYYY.MM.DD (and the ISO form with dashes) included; else undefined. */
export function parseDate(value: string): string | undefined {
  const match = /^(\d{4})([.-]?)(\d{2})\2(\d{2})$/.exec(value.trim());
  if (!match) return undefined;
  const [, year, , month, day] = match;
  return isDate(Number(year), Number(month), Number(day)) ? year + month + day : undefined;
}

interface TimeParts {
  hour: string;
  minute?: string;
  second?: string;
  fraction: string;
}

function timeParts(value: string): TimeParts | undefined {
  const text = value.trim();
  const match =
    /^(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?$/.exec(text) ??
    /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?$/.exec(text);
  if (!match) return undefined;
  const [, hour, minute, second, fraction = ''] = match;
  if (Number(hour) > 23 || Number(minute ?? 0) > 59 || Number(second ?? 0) > 60) return undefined;
  return { hour, minute, second, fraction };
}

/**
 * HHMMSS.FFFFFF of a TM value: what is left out is the earliest (or with `latest` the latest) time it can mean. The
 * legacy form HH:MM:SS is read; the leap second 60 counts as 59.999999.
 */
export function parseTime(value: string, latest = false): string | undefined {
  const parts = timeParts(value);
  if (!parts) return undefined;
  const fill = latest ? '59' : '00';
  const pad = latest ? '9' : '0';
  if (parts.second === '60') return `${parts.hour}${parts.minute}59.999999`;
  const fraction = parts.fraction.padEnd(6, pad);
  return `${parts.hour}${parts.minute ?? fill}${parts.second ?? fill}.${fraction}`;
}

/**
 * A DT value as YYYYMMDDHHMMSS.FFFFFF, filled up to its earliest (or with `latest` latest) meaning. With an offset
 * (&ZZXX) it is in UTC; `offset` is what it is taken to have without one (TimezoneOffsetFromUTC), none: local as it is.
 */
export function parseDateTime(value: string, latest = false, offset?: string): string | undefined {
  const match = /^(\d{4})(\d{2})?(\d{2})?(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?$/.exec(value.trim());
  if (!match) return undefined;
  const [, year, month, day, time, zone = offset] = match;
  const fullMonth = month ?? (latest ? '12' : '01');
  const fullDay = day ?? (latest ? lastDay(Number(year), Number(fullMonth)) : '01');
  if (!isDate(Number(year), Number(fullMonth), Number(fullDay))) return undefined;
  const fullTime = time === undefined ? (latest ? '235959.999999' : '000000.000000') : parseTime(time, latest);
  if (fullTime === undefined) return undefined;
  const local = year + fullMonth + fullDay + fullTime;
  return zone === undefined ? local : toUtc(local, zone);
}

function lastDay(year: number, month: number): string {
  return String(isDate(year, month, 31) ? 31 : isDate(year, month, 30) ? 30 : isDate(year, month, 29) ? 29 : 28);
}

function toUtc(local: string, zone: string): string | undefined {
  const match = /^([+-])(\d{2})(\d{2})$/.exec(zone);
  if (!match || Number(match[2]) > 14 || Number(match[3]) > 59) return undefined;
  const minutes = (Number(match[2]) * 60 + Number(match[3])) * (match[1] === '-' ? -1 : 1);
  const [year, month, day, hour, minute, second] = [0, 4, 6, 8, 10, 12].map((at) =>
    Number(local.slice(at, at === 0 ? 4 : at + 2)),
  );
  const utc = new Date(0);
  utc.setUTCFullYear(year, month - 1, day);
  utc.setUTCHours(hour, minute - minutes, second, 0);
  if (utc.getUTCFullYear() < 0 || utc.getUTCFullYear() > 9999) return undefined;
  return utc.toISOString().slice(0, 19).replace(/[-:T]/g, '').padStart(14, '0') + local.slice(14);
}

/** True for a range in a query identifier: a dash that is not the offset of a DT. */
function splitRange(value: string, isDateTime: boolean): [string, string] | undefined {
  const text = value.trim();
  if (text.startsWith('-')) return ['', text.slice(1)];
  if (!isDateTime) {
    const dash = text.indexOf('-');
    return dash < 0 ? undefined : [text.slice(0, dash), text.slice(dash + 1)];
  }
  // A dash followed by exactly four digits and then the end or another dash may be an offset (PS3.4 C.2.2.2.5.3).
  const withOffset = /^([0-9.]+[+-]\d{4})-(.*)$/.exec(text);
  if (withOffset) return [withOffset[1], withOffset[2]];
  if (text.endsWith('-')) return [text.slice(0, -1), ''];
  const dash = text.indexOf('-');
  if (dash < 0) return undefined;
  const rest = text.slice(dash + 1);
  if (/^\d{4}$/.test(rest) && Number(rest.slice(0, 2)) <= 14 && Number(rest.slice(2)) <= 59) return undefined;
  return [text.slice(0, dash), rest];
}

function range(
  value: string,
  isDateTime: boolean,
  read: (part: string, latest: boolean) => string | undefined,
): Range | undefined {
  const parts = splitRange(value, isDateTime);
  const [low, high] = parts ?? [value, value];
  if (low.trim() === '' && high.trim() === '') return undefined;
  const result: Range = {};
  if (low.trim() !== '') {
    result.from = read(low, false);
    if (result.from === undefined) return undefined;
  }
  if (high.trim() !== '') {
    result.to = read(high, true);
    if (result.to === undefined) return undefined;
  }
  return result;
}

/** A DA matching key: one date, or a range with '-', open at either end. Undefined when it is not one. */
export function parseDateRange(value: string): Range | undefined {
  const iso = parseDate(value);
  return iso === undefined ? range(value, false, (part) => parseDate(part)) : { from: iso, to: iso };
}

/** A TM matching key; partial times mean the whole hour or minute. */
export function parseTimeRange(value: string): Range | undefined {
  return range(value, false, (part, latest) => parseTime(part, latest));
}

/** A DT matching key; '20240101-0500' is one instant with an offset where the end looks like an offset of at most 14 h. */
export function parseDateTimeRange(value: string, offset?: string): Range | undefined {
  return range(value, true, (part, latest) => parseDateTime(part, latest, offset));
}

/**
 * How the studies of an archive are asked for in parts, and how a part is divided whose answer may have been cut off.
 * Pure: no archive, no database.
 */
import type { AnswerItem, StudyScopeV1 } from '@archipelago/contracts';

const DAY_MS = 86_400_000;
export const FIRST_DAY = '19000101';
/** Beginnings longer than this are taken for the whole of a value. */
const LONGEST_PREFIX = 24;
const CHARACTERS = [...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.^ /+:#()'];
/** Values of Modality seen most (PS3.3 C.7.3.1.1.1). */
const MODALITIES = [
  ...[
    'CR',
    'CT',
    'DX',
    'ES',
    'IO',
    'MG',
    'MR',
    'NM',
    'OT',
    'PT',
    'PX',
    'RF',
    'RG',
    'SC',
    'SR',
    'US',
    'XA',
    'XC',
    'ECG',
  ],
  ...[
    'GM',
    'IVUS',
    'OP',
    'OPT',
    'OCT',
    'RTDOSE',
    'RTIMAGE',
    'RTPLAN',
    'RTSTRUCT',
    'SEG',
    'SM',
    'KO',
    'PR',
    'DOC',
    'BMD',
    'EPS',
    'HD',
    'REG',
  ],
];

export function toDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10).replaceAll('-', '');
}

export function dayMs(day: string): number {
  return Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6, 8)}T00:00:00Z`);
}

export function addDays(day: string, days: number): string {
  return toDay(dayMs(day) + days * DAY_MS);
}

/** What is known of how many answers the archive gives to one query. */
export interface CapKnowledge {
  /** It was seen to give no more. */
  cap: number | null;
  /** So many came once and were checked to be all. */
  proven: number;
  /** Most answers of a query so far. */
  maxSeen: number;
}

/** A round number is what people choose for a limit. */
export function isRound(n: number): boolean {
  return n >= 50 && (n % 50 === 0 || (n & (n - 1)) === 0);
}

/** Whether a complete answer of `n` may in truth have been cut off by the archive. */
export function maybeCapped(n: number, { cap, proven, maxSeen }: CapKnowledge): boolean {
  if (cap !== null && n >= cap) return true;
  if (n <= proven) return false;
  return isRound(n) || (n >= 10 && n === maxSeen);
}

/**
 * The part in smaller parts, newest first; together they cover it but for studies that lack the value that it is divided
 * by, which is why a value that answers lack is not divided by. Undefined: nothing is left to divide by.
 */
export function splitScope(
  scope: StudyScopeV1,
  items: readonly AnswerItem[],
  today: string,
): StudyScopeV1[] | undefined {
  const dated = scope.undated !== true;
  if (dated && scope.exact !== true && scope.patientId === undefined && scope.patientName === undefined) {
    const byDate = splitByDate(scope, items, today);
    if (byDate) return byDate;
    const byTime = splitByTime(scope, items);
    if (byTime) return byTime;
  }
  return splitByPatient(scope, items);
}

function splitByDate(scope: StudyScopeV1, items: readonly AnswerItem[], today: string): StudyScopeV1[] | undefined {
  const { from, to } = scope;
  if (from === undefined && to === undefined)
    return [{ from: addDays(today, 1) }, { from: FIRST_DAY, to: today }, { to: '18991231' }];
  if (from === undefined) {
    if (to! > FIRST_DAY) return [{ from: FIRST_DAY, to }, { to: '18991231' }];
    return undefined;
  }
  if (to === undefined) {
    const tomorrow = addDays(today, 1);
    if (from < tomorrow) return [{ from: tomorrow }, { from, to: today }];
    // the future has few days with mistakes in them: its first 50 years, and the rest
    const far = addDays(from, 18_262);
    return from < '90000101' ? [{ from: addDays(far, 1) }, { from, to: far }] : undefined;
  }
  if (from === to) return undefined;
  const dates = items.flatMap((item) => (item.date === undefined ? [] : [item.date])).sort();
  const middle = toDay(dayMs(from) + Math.floor((dayMs(to) - dayMs(from)) / DAY_MS / 2) * DAY_MS);
  const median = dates[Math.floor(dates.length / 2)] ?? middle;
  // the first day of the newer part
  const cut = median > from && median <= to ? median : addDays(middle, 1);
  return [
    { from: cut, to },
    { from, to: addDays(cut, -1) },
  ];
}

function splitByTime(scope: StudyScopeV1, items: readonly AnswerItem[]): StudyScopeV1[] | undefined {
  if (scope.from === undefined || scope.from !== scope.to) return undefined;
  // a study without a time would be in none of the parts
  if (items.some((item) => item.time === undefined)) return undefined;
  const from = seconds(scope.timeFrom ?? '000000');
  const to = seconds(scope.timeTo ?? '235959');
  if (from >= to) return undefined;
  const times = items.map((item) => seconds(item.time as string)).sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  const day = { from: scope.from, to: scope.to };
  const part = (a: number, b: number): StudyScopeV1 => ({ ...day, timeFrom: clock(a), timeTo: clock(b) });
  // many at the same second: that second alone
  if (times.every((each) => each === median) && median >= from && median <= to) {
    return [
      ...(median < to ? [part(median + 1, to)] : []),
      part(median, median),
      ...(median > from ? [part(from, median - 1)] : []),
    ];
  }
  const cut = median > from && median <= to ? median : Math.floor((from + to) / 2) + 1;
  return [part(cut, to), part(from, cut - 1)];
}

function splitByPatient(scope: StudyScopeV1, items: readonly AnswerItem[]): StudyScopeV1[] | undefined {
  const { patientId, patientName, exact, modality } = scope;
  if (modality !== undefined) return undefined;
  const lacksId = items.some((item) => item.patientId === undefined);
  const lacksName = items.some((item) => item.patientName === undefined);
  if (patientName === undefined && exact !== true && !(patientId === undefined && lacksId)) {
    const parts = prefixes(
      patientId ?? '',
      items.map((item) => item.patientId),
    );
    if (parts) return parts.map((part) => ({ ...scope, patientId: part.text, ...(part.exact ? { exact: true } : {}) }));
  }
  if (!(exact === true && patientName !== undefined) && !(patientName === undefined && lacksName)) {
    const parts = prefixes(
      patientName ?? '',
      items.map((item) => item.patientName),
    );
    const { exact: _whole, ...base } = scope;
    if (parts)
      return parts.map((part) => ({ ...base, patientName: part.text, ...(part.exact ? { exact: true } : {}) }));
  }
  const found = items.flatMap((item) => (item.modality === undefined ? [] : [item.modality]));
  return [...new Set([...found, ...MODALITIES])].map((each) => ({ ...scope, modality: each }));
}

/** Next characters of a beginning: those seen, and those that are usual. Undefined: it is long enough to be a value. */
function prefixes(
  prefix: string,
  values: readonly (string | undefined)[],
): { text: string; exact?: boolean }[] | undefined {
  if (prefix.length >= LONGEST_PREFIX) return undefined;
  const seen = values.flatMap((value) =>
    value !== undefined && value.length > prefix.length ? [value[prefix.length] as string] : [],
  );
  const characters = [...new Set([...seen, ...CHARACTERS])].filter((c) => !'*?\\'.includes(c) && c >= ' ');
  return [
    ...(prefix === '' ? [] : [{ text: prefix, exact: true }]),
    ...characters.filter((c) => prefix !== '' || c !== ' ').map((c) => ({ text: prefix + c })),
  ];
}

function seconds(time: string): number {
  return Number(time.slice(0, 2)) * 3600 + Number(time.slice(2, 4)) * 60 + Number(time.slice(4, 6));
}

function clock(value: number): string {
  const two = (n: number): string => String(n).padStart(2, '0');
  return two(Math.floor(value / 3600)) + two(Math.floor(value / 60) % 60) + two(value % 60);
}

/** The next window of a load that goes back in time, and where it goes on. */
export function nextWindow(frontier: string, days: number): { scope: StudyScopeV1; frontier: string } | undefined {
  if (frontier < FIRST_DAY) return undefined;
  const from = addDays(frontier, 1 - days);
  if (from <= FIRST_DAY) return { scope: { from: FIRST_DAY, to: frontier }, frontier: '00000000' };
  return { scope: { from, to: frontier }, frontier: addDays(from, -1) };
}

/** Days of the next windows: so that their answers stay well below what the archive gives. */
export function nextDays(days: number, answers: number, wanted: number): number {
  if (answers > wanted) return Math.max(1, Math.floor(days / 2));
  if (answers < wanted / 4) return Math.min(36_500, days * 2);
  return days;
}

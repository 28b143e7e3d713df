import type { AnswerItem, StudyScopeV1 } from '@archipelago/contracts';
import { isRound, maybeCapped, nextDays, nextWindow, splitScope } from './scope';

const TODAY = '20261126';
let n = 0;
const item = (more: Partial<AnswerItem>): AnswerItem => ({ uid: `1.${++n}`, digest: '0123456789ab', ...more });

/** Whether a study is in a scope, as an archive would match it. */
function inside(scope: StudyScopeV1, s: AnswerItem): boolean {
  const begins = (value: string | undefined, key: string | undefined, last: boolean): boolean =>
    key === undefined || (last && scope.exact !== true ? (value ?? '').startsWith(key) : value === key);
  if (scope.undated === true && s.date !== undefined) return false;
  if ((scope.from ?? scope.to) !== undefined) {
    if (s.date === undefined || s.date < (scope.from ?? '0') || s.date > (scope.to ?? '99999999')) return false;
  }
  if ((scope.timeFrom ?? scope.timeTo) !== undefined) {
    if (s.time === undefined || s.time < (scope.timeFrom ?? '0') || s.time > (scope.timeTo ?? '999999')) return false;
  }
  if (scope.modality !== undefined && s.modality !== scope.modality) return false;
  return (
    begins(s.patientId, scope.patientId, scope.patientName === undefined) &&
    begins(s.patientName, scope.patientName, true)
  );
}

/** Divides until each part has at most `cap` of the studies; answers with the studies that were reached. */
function reach(
  studies: AnswerItem[],
  root: StudyScopeV1,
  cap: number,
): { found: Set<string>; stuck: number; queries: number } {
  const found = new Set<string>();
  let stuck = 0;
  let queries = 0;
  const open = [root];
  for (let scope = open.pop(); scope !== undefined; scope = open.pop()) {
    if (++queries > 20_000) throw new Error('does not end');
    const s = scope;
    const all = studies.filter((each) => inside(s, each));
    const answers = all.slice(0, cap);
    if (all.length >= cap) {
      const parts = splitScope(scope, answers, TODAY);
      if (parts) {
        open.push(...parts);
        continue;
      }
      stuck++;
    }
    for (const each of answers) found.add(each.uid);
  }
  return { found, stuck, queries };
}

test('by date: every study is reached, however they lie', () => {
  const studies = Array.from({ length: 3_000 }, (_, i) =>
    item({
      date: i % 3 === 0 ? '20260101' : `20${String(10 + (i % 16))}0${1 + (i % 9)}1${i % 9}`,
      time: `${10 + (i % 12)}0${i % 10}${10 + (i % 49)}`,
      patientId: `P${i}`,
      patientName: `A^${i}`,
    }),
  );
  studies.push(
    item({ date: '18500101', time: '000000' }),
    item({ date: '20500101', time: '000000' }),
    item({ date: '99991231', time: '000000' }),
  );
  const { found, stuck } = reach(studies, {}, 100);
  expect([found.size, stuck]).toEqual([3_003, 0]);
});

test('all in one second of one day: by patient, then by name', () => {
  const studies = Array.from({ length: 900 }, (_, i) =>
    item({
      date: '20260101',
      time: '000000',
      patientId: i < 450 ? 'ANON' : `Q${i}`,
      patientName: `N${i}^X`,
      modality: 'CT',
    }),
  );
  const { found, stuck } = reach(studies, { from: '20260101', to: '20260101' }, 100);
  expect([found.size, stuck]).toEqual([900, 0]);
});

test('without a time, and without a date: those are reached too', () => {
  const studies = Array.from({ length: 600 }, (_, i) =>
    item({
      date: i % 2 === 0 ? '20260101' : undefined,
      time: i % 4 === 0 ? undefined : '101010',
      patientId: `é${i}`,
      patientName: `N^${i}`,
    }),
  );
  const day = reach(studies, { from: '20260101', to: '20260101' }, 50);
  const undated = reach(studies, { undated: true }, 50);
  expect([day.found.size, day.stuck, undated.found.size, undated.stuck]).toEqual([300, 0, 300, 0]);
});

test('what cannot be divided is said, not passed over', () => {
  const studies = Array.from({ length: 300 }, () =>
    item({ date: '20260101', time: '000000', patientId: 'ANON', patientName: 'ANON', modality: 'CT' }),
  );
  const { found, stuck } = reach(studies, {}, 100);
  expect(stuck).toBe(1);
  expect(found.size).toBe(100);
});

test('which counts are doubted', () => {
  expect([100, 128, 250, 500, 512, 1000].every(isRound)).toBe(true);
  expect([49, 99, 101, 137, 499, 513].some(isRound)).toBe(false);
  expect(maybeCapped(137, { cap: 137, proven: 0, maxSeen: 0 })).toBe(true);
  expect(maybeCapped(136, { cap: 137, proven: 0, maxSeen: 0 })).toBe(false);
  expect(maybeCapped(500, { cap: null, proven: 2000, maxSeen: 0 })).toBe(false);
  expect(maybeCapped(500, { cap: null, proven: 300, maxSeen: 0 })).toBe(true);
  // the same most answers again
  expect(maybeCapped(137, { cap: null, proven: 0, maxSeen: 137 })).toBe(true);
  expect(maybeCapped(3, { cap: null, proven: 0, maxSeen: 3 })).toBe(false);
});

test('windows go back to the first day, each day once', () => {
  let frontier = TODAY;
  let next = '20261127';
  for (let i = 0; ; i++) {
    const window = nextWindow(frontier, 7 * 2 ** Math.min(i, 12));
    if (!window) break;
    expect(window.scope.to).toBe(frontier);
    expect(nextDay(frontier)).toBe(next);
    next = window.scope.from as string;
    frontier = window.frontier;
  }
  expect(next).toBe('19000101');
});

function nextDay(day: string): string {
  const ms = Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`) + 86_400_000;
  return new Date(ms).toISOString().slice(0, 10).replaceAll('-', '');
}

test('windows grow and shrink with what they bring', () => {
  expect([nextDays(8, 2_000, 500), nextDays(8, 300, 500), nextDays(8, 10, 500), nextDays(1, 9_999, 500)]).toEqual([
    4, 8, 16, 1,
  ]);
});

import { EntryTable, HALF_LIVES } from './entry-table';

/** Number of a value's bin on a logarithmic scale of `perOctave` bins; 0 for values below 1. */
function bin(value: number, perOctave: number, bins: number): number {
  if (!(value >= 1)) return 0;
  return Math.min(bins - 1, 1 + Math.floor(perOctave * Math.log2(value)));
}

/** Sizes of the groups of feature values; crossed ones have a value for each pair of bins. */
const GROUPS = {
  age: 42,
  seconds: 54,
  short: 24,
  middle: 28,
  long: 32,
  history: 10 * 20,
  gapByAge: 22 * 22,
  gaps: 14 * 14,
  countBySeconds: 6 * 54,
  bytes: 32,
  bytesByCount: 16 * 6,
  fetch: 24,
  middleByAge: 14 * 22,
  longByAge: 16 * 22,
  sinceFirst: 6 * 40,
  novelty: 9 * 4,
  hour: 24 * 3,
} as const;

export const FEATURES = Object.keys(GROUPS).length;
export const FEATURE_VALUES = Object.values(GROUPS).reduce((sum, each) => sum + each, 0);
const [HALF_SHORT, HALF_MIDDLE, HALF_LONG] = HALF_LIVES;
const WINDOW = HALF_LONG / Math.LN2;

/**
 * Writes the numbers of the feature values of a study's state and returns the first guess of its rate of use, in uses
 * per tick: decayed count over the window that the decay leaves.
 */
export function observe(table: EntryTable, slot: number, tick: number, time: number, into: Uint16Array): number {
  const c = table.columns;
  const age = tick - c.lastTick[slot]!;
  const seconds = time - c.lastTime[slot]!;
  const count = c.count[slot]!;
  const short = c.short[slot]! * 2 ** (-age / HALF_SHORT);
  const middle = c.middle[slot]! * 2 ** (-age / HALF_MIDDLE);
  const long = c.long[slot]! * 2 ** (-age / HALF_LONG);
  const few = Math.min(5, count <= 3 ? count - 1 : count <= 6 ? 3 : count <= 15 ? 4 : 5);
  const ageBin = bin(age, 1, 22);
  const secondsBin = bin(seconds, 2, 54);
  const middleBin = bin(middle * 32, 1, 14);
  let base = 0;
  let at = 0;
  into[at++] = base + bin(age, 2, GROUPS.age);
  base += GROUPS.age;
  into[at++] = base + secondsBin;
  base += GROUPS.seconds;
  into[at++] = base + bin(short * 64, 2, GROUPS.short);
  base += GROUPS.short;
  into[at++] = base + bin(middle * 64, 2, GROUPS.middle);
  base += GROUPS.middle;
  into[at++] = base + bin(long * 64, 2, GROUPS.long);
  base += GROUPS.long;
  into[at++] = base + bin(count, 1, 10) * 20 + bin(tick - c.firstTick[slot]!, 1, 20);
  base += GROUPS.history;
  into[at++] = base + bin(c.gap1[slot]!, 1, 22) * 22 + ageBin;
  base += GROUPS.gapByAge;
  into[at++] = base + bin(c.gap1[slot]! / 2, 0.75, 14) * 14 + bin(c.gap2[slot]! / 2, 0.75, 14);
  base += GROUPS.gaps;
  into[at++] = base + few * 54 + secondsBin;
  base += GROUPS.countBySeconds;
  into[at++] = base + bin(c.bytes[slot]! / 1e6, 2, GROUPS.bytes);
  base += GROUPS.bytes;
  into[at++] = base + bin(c.bytes[slot]! / 1e6, 1, 16) * 6 + few;
  base += GROUPS.bytesByCount;
  into[at++] = base + bin(c.fetchMs[slot]! / 16, 2, GROUPS.fetch);
  base += GROUPS.fetch;
  into[at++] = base + middleBin * 22 + ageBin;
  base += GROUPS.middleByAge;
  into[at++] = base + bin(long * 32, 1, 16) * 22 + ageBin;
  base += GROUPS.longByAge;
  into[at++] = base + few * 40 + bin((time - c.firstTime[slot]!) / 60, 2, 40);
  base += GROUPS.sinceFirst;
  into[at++] = base + c.novelty[slot]! * 4 + Math.min(3, count - 1);
  base += GROUPS.novelty;
  const hour = Math.floor((((time % 86400) + 86400) % 86400) / 3600);
  into[at++] = base + hour * 3 + (seconds < 7200 ? 0 : seconds < 86400 ? 1 : 2);
  const window = WINDOW * (1 - 2 ** (-tick / HALF_LONG)) + 64;
  return (long + 0.1) / window;
}

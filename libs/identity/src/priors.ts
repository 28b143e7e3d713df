import {
  EXPECTATION_PAIRS,
  HOUSEHOLD,
  NAMESAKES,
  SAME_CLASSES,
  SIBLINGS,
  SIBLINGS_APART,
  STRANGERS,
  TWINS,
} from './parameters';

/** Pairs of one comparison and what is believed of them while the model is learnt. */
export interface Source {
  values: Uint8Array[];
  counts: Float64Array;
  pairs: number;
  scale: number;
  mostSame: number;
  /** Most of the pairs have a street each. */
  addresses: boolean;
  /** More than one pair in twenty has a birth date each. */
  dates: boolean;
  prior: Float64Array;
  /** Expected pairs of each class among those seen. */
  found: Float64Array;
}

/** Twins, or namesakes, are at most this many for each other pair of one family name in a household. */
const MOST_TWINS = 0.15;
/** What is taken where it cannot be seen. */
const UNSEEN_TWINS = 0.005;

/**
 * Pseudo-counts: a file in which no twins were seen may hold some, the more so where there are siblings. Where addresses
 * show households, and there are hardly any, what looks like twins is one person whose given name was replaced.
 */
function household({ found, scale, addresses, dates }: Source, c: number): number {
  const siblings = found[SIBLINGS]! * scale;
  const seen = found[c]! * scale;
  if (c !== TWINS && c !== NAMESAKES) return seen + 0.25;
  if (!dates) return c === TWINS ? 0.1 + UNSEEN_TWINS * siblings : 0.1 + seen;
  return (addresses ? Math.min(seen, MOST_TWINS * siblings) : seen) + 0.1 + Math.min(3, 0.01 * siblings);
}

/** Of persons who stand at two addresses, as one may be. Records of one person are one to one; of two, either may have moved. */
const LEAST_MOVED = 0.02;
const MOST_MOVED = 0.25;
const USUALLY_MOVED = 0.05;

/**
 * Relatives at two addresses look like strangers with luck, so that their number cannot be learnt; it follows from that of
 * relatives at one address and from how often persons move.
 */
export function setApart(prior: Float64Array | number[], onePair: number): void {
  const moved = prior[2]! + prior[3]!;
  const all = moved + prior[0]! + prior[1]!;
  // Where hardly anybody is there twice, a few pairs' worth of the usual share.
  const share = Math.min(
    MOST_MOVED,
    Math.max(LEAST_MOVED, (moved + USUALLY_MOVED * onePair) / Math.max(all + onePair, 1e-300)),
  );
  for (let c = SIBLINGS_APART; c < STRANGERS; c++)
    prior[c] = (prior[c - SIBLINGS_APART + SIBLINGS]! * 2 * share) / (1 - share);
}

/** How many pairs of each class there are inside a file. `single`: there is no second file. */
export function updateWithin(source: Source, single: boolean): void {
  const { found, prior, pairs, scale } = source;
  capSame(source);
  // Without birth dates nothing tells a namesake in the house from a second record of one person: between two files the
  // first is the safer belief.
  if (!source.dates && !single) {
    for (let c = 0; c < SAME_CLASSES; c++) {
      found[NAMESAKES]! += found[c]!;
      found[c] = 0;
    }
  }
  for (let c = 0; c < SAME_CLASSES; c++) prior[c] = (found[c]! + 0.02 / scale) / pairs;
  for (let c = SIBLINGS; c <= HOUSEHOLD; c++) prior[c] = household(source, c) / scale / pairs;
  setApart(prior, EXPECTATION_PAIRS / scale / pairs);
  prior[STRANGERS] = Math.max(0.5, 1 - prior.subarray(0, STRANGERS).reduce((a, b) => a + b, 0));
}

function capSame({ found, scale, mostSame }: Source): void {
  const same = found[0]! + found[1]! + found[2]! + found[3]!;
  const most = mostSame / scale;
  if (same > most) for (let c = 0; c < SAME_CLASSES; c++) found[c]! *= most / same;
}

/**
 * Members of one household that stand in different files are as many as those that stand together in each file say:
 * twins drawn with shares p and q into two files give T p^2, T q^2 and 2 T p q pairs. That tells twins from one person
 * whose given name was replaced, which pairs between the files alone cannot.
 */
export function updateCross(source: Source, [left, right]: readonly Source[]): void {
  const { found, prior, pairs, scale } = source;
  capSame(source);
  for (let c = 0; c < SAME_CLASSES; c++) prior[c] = (found[c]! + 0.02 / scale) / pairs;
  const between = (c: number): number => 2 * Math.sqrt(household(left!, c) * household(right!, c));
  const siblings = Math.max(between(SIBLINGS), found[SIBLINGS]! * scale);
  for (let c = SIBLINGS; c <= HOUSEHOLD; c++) {
    let count = between(c);
    if (c === SIBLINGS) count = siblings;
    else if (c === TWINS || c === NAMESAKES) {
      if (source.dates) count = Math.max(count, Math.min(5, 0.01 * siblings));
    } else count = Math.max(count, found[c]! * scale);
    prior[c] = count / scale / pairs;
  }
  setApart(prior, EXPECTATION_PAIRS / scale / pairs);
  prior[STRANGERS] = Math.max(0.5, 1 - prior.subarray(0, STRANGERS).reduce((a, b) => a + b, 0));
}

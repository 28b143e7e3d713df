import { IndexedHeap } from '../heap';
import { Score, Tally } from './simulate';
import { nextUses, Trace } from './trace';

/**
 * Belady's rule (Belady 1966, MIN) where objects have sizes: keeps what is used soonest; what is used last of all, the
 * accessed study itself among them, leaves until the rest fits. Optimal for equal sizes.
 */
export function belady(trace: Trace, budget: number): Score {
  const next = nextUses(trace);
  const cached = new Map<number, number>();
  const heap = new IndexedHeap();
  const tally = new Tally();
  let used = 0;
  const drop = (study: number): void => {
    used -= cached.get(study) ?? 0;
    cached.delete(study);
    heap.remove(study);
  };
  for (let i = 0; i < trace.study.length; i++) {
    const study = trace.study[i]!;
    const bytes = trace.bytes[i]!;
    tally.add(cached.has(study), bytes, trace.fetchMs[i]!);
    drop(study);
    if (next[i] === Infinity || bytes > budget) continue;
    cached.set(study, bytes);
    used += bytes;
    heap.set(study, -next[i]!);
    while (used > budget) drop(heap.peek()!);
  }
  return tally.score('Belady');
}

/** Size classes of an eighth of a power of two: within one, the choice by size is right to 9 %. */
const sizeClass = (cost: number): number => Math.round(8 * Math.log2(Math.max(1, cost)));

/**
 * Belady-size: evicts what has the largest (distance of the next use × size), the accessed study itself among the
 * candidates. The usual offline heuristic for the object hit ratio when sizes vary.
 */
export function beladySize(trace: Trace, budget: number): Score {
  const next = nextUses(trace);
  const cached = new Map<number, number>();
  const classes = new Map<number, IndexedHeap>();
  const tally = new Tally();
  let used = 0;
  const drop = (study: number): void => {
    const bytes = cached.get(study);
    if (bytes === undefined) return;
    used -= bytes;
    cached.delete(study);
    classes.get(sizeClass(bytes))!.remove(study);
  };
  for (let i = 0; i < trace.study.length; i++) {
    const study = trace.study[i]!;
    const bytes = trace.bytes[i]!;
    tally.add(cached.has(study), bytes, trace.fetchMs[i]!);
    drop(study);
    if (next[i] === Infinity || bytes > budget) continue;
    cached.set(study, bytes);
    used += bytes;
    const group = sizeClass(bytes);
    if (!classes.has(group)) classes.set(group, new IndexedHeap());
    classes.get(group)!.set(study, -next[i]!);
    while (used > budget) {
      let worst = -1;
      let victim = study;
      for (const heap of classes.values()) {
        const candidate = heap.peek();
        if (candidate === undefined) continue;
        const cost = (-heap.peekKey() - i) * Math.max(1, cached.get(candidate)!);
        if (cost > worst) [worst, victim] = [cost, candidate];
      }
      drop(victim);
    }
  }
  return tally.score('Belady-size');
}

interface Intervals {
  /** Access that would be a hit (the end of the interval), in order of rising cost of space for what the hit is worth. */
  order: Uint32Array;
  begin: Uint32Array;
}

/** From each access to the next one of the same study, cheapest (bytes × length / worth) first. */
function intervals(trace: Trace, worth: (end: number) => number): Intervals {
  const next = nextUses(trace);
  const begin = new Uint32Array(trace.study.length);
  const ends: number[] = [];
  const cost = new Float64Array(trace.study.length);
  for (let i = 0; i < next.length; i++) {
    const end = next[i]!;
    if (end === Infinity) continue;
    begin[end] = i;
    cost[end] = (Math.max(1, trace.bytes[i]!) * (end - i)) / Math.max(1e-9, worth(end));
    ends.push(end);
  }
  return { order: Uint32Array.from(ends).sort((a, b) => cost[a]! - cost[b]!), begin };
}

/**
 * Upper bound PFOO-L (Berger, Beckmann, Harchol-Balter, "Practical bounds on optimal caching with variable object
 * sizes", SIGMETRICS 2018): the budget holds only on average over the trace, so that the cheapest intervals are all
 * taken, the last one in part. No schedule, not even one that knows the future, hits more. One bound each for objects,
 * bytes and fetch time.
 */
export function upperBound(trace: Trace, budget: number): Score {
  const bound = (worth: (end: number) => number): number => {
    const { order, begin } = intervals(trace, worth);
    let space = budget * trace.study.length;
    let won = 0;
    for (const end of order) {
      const bytes = trace.bytes[begin[end]!]!;
      if (bytes > budget) continue;
      const needs = bytes * (end - begin[end]!);
      if (needs > space) {
        won += (worth(end) * space) / needs;
        break;
      }
      won += worth(end);
      space -= needs;
    }
    let all = 0;
    for (let i = 0; i < trace.study.length; i++) all += worth(i);
    return won / Math.max(1e-9, all);
  };
  return {
    policy: 'upper bound',
    objects: bound(() => 1),
    bytes: bound((end) => trace.bytes[end]!),
    fetchTime: bound((end) => trace.fetchMs[end]!),
  };
}

/** Greatest sum of overlapping intervals so far, over any stretch: range add and range maximum, O(log n). */
class Timeline {
  private readonly size: number;
  private readonly most: Float64Array;
  private readonly added: Float64Array;

  constructor(length: number) {
    this.size = 2 ** Math.ceil(Math.log2(Math.max(2, length)));
    this.most = new Float64Array(2 * this.size);
    this.added = new Float64Array(2 * this.size);
  }

  add(from: number, to: number, bytes: number, node = 1, low = 0, high = this.size): void {
    if (from <= low && high <= to) {
      this.most[node]! += bytes;
      this.added[node]! += bytes;
      return;
    }
    const middle = (low + high) >> 1;
    if (from < middle) this.add(from, to, bytes, 2 * node, low, middle);
    if (to > middle) this.add(from, to, bytes, 2 * node + 1, middle, high);
    this.most[node] = this.added[node]! + Math.max(this.most[2 * node]!, this.most[2 * node + 1]!);
  }

  max(from: number, to: number, node = 1, low = 0, high = this.size): number {
    if (from <= low && high <= to) return this.most[node]!;
    const middle = (low + high) >> 1;
    let most = 0;
    if (from < middle) most = this.max(from, to, 2 * node, low, middle);
    if (to > middle) most = Math.max(most, this.max(from, to, 2 * node + 1, middle, high));
    return most + this.added[node]!;
  }
}

/**
 * PFOO-U (same paper): a schedule that could really be kept. The cheapest intervals first, each one taken where the
 * budget still allows it all along.
 */
export function greedySchedule(trace: Trace, budget: number): Score {
  const { order, begin } = intervals(trace, () => 1);
  const timeline = new Timeline(trace.study.length);
  const hit = new Uint8Array(trace.study.length);
  for (const end of order) {
    const start = begin[end]!;
    const bytes = trace.bytes[start]!;
    if (timeline.max(start, end) + bytes > budget) continue;
    timeline.add(start, end, bytes);
    hit[end] = 1;
  }
  const tally = new Tally();
  for (let i = 0; i < hit.length; i++) tally.add(hit[i] === 1, trace.bytes[i]!, trace.fetchMs[i]!);
  return tally.score('PFOO-U');
}

import { Random } from '../random';
import { CachePolicy } from '../cache-policy';
import { Gdsf, Lfu, Lru, S3Fifo, WTinyLfu } from './baselines';
import { compare } from './compare';
import { informedZipf } from './generators';
import { belady, beladySize, greedySchedule, upperBound } from './offline';
import { simulate } from './simulate';
import { BUILT_IN } from './suite';
import { footprint, Trace, TraceBuilder } from './trace';

function traceOf(text: string, sizes: Record<string, number> = {}): Trace {
  const builder = new TraceBuilder();
  [...text].forEach((study, i) => builder.add(study, i, sizes[study] ?? 1, 10));
  return builder.build('hand-made');
}

/** The most hits that any schedule reaches, by trying all of them. */
function exhaustive(trace: Trace, budget: number): number {
  let states = new Map<number, number>([[0, 0]]);
  for (let i = 0; i < trace.study.length; i++) {
    const bit = 1 << trace.study[i]!;
    const after = new Map<number, number>();
    for (const [mask, hits] of states) {
      const all = mask | bit;
      const won = hits + (mask & bit ? 1 : 0);
      for (let kept = all; ; kept = (kept - 1) & all) {
        let bytes = 0;
        for (let s = 0; s < trace.names.length; s++) if (kept & (1 << s)) bytes += sizeOf(trace, s);
        if (bytes <= budget && (after.get(kept) ?? -1) < won) after.set(kept, won);
        if (kept === 0) break;
      }
    }
    states = after;
  }
  return Math.max(...states.values());
}

const sizeOf = (trace: Trace, study: number): number => trace.bytes[trace.study.indexOf(study)]!;

describe('offline schedules', () => {
  it('Belady, by hand: a b c with room for two', () => {
    // b is not kept for c: both c and b come once more, a comes first.
    expect(belady(traceOf('abcabc'), 2).objects).toBeCloseTo(2 / 6);
    expect(belady(traceOf('abcabcabc'), 2).objects).toBeCloseTo(4 / 9);
    expect(beladySize(traceOf('aXbcabcX', { X: 3 }), 3).objects).toBeCloseTo(3 / 8);
  });

  it('none beats the true optimum, the bound is never below it, and the best is near it', () => {
    const random = new Random(3);
    let best = 0;
    let optimum = 0;
    for (let round = 0; round < 60; round++) {
      const sizes = Object.fromEntries([...'abcdef'].map((each) => [each, 1 + random.below(round % 2 ? 6 : 1)]));
      const text = Array.from({ length: 24 }, () => 'abcdef'[Math.floor(6 * random.next() ** 1.5)]).join('');
      const trace = traceOf(text, sizes);
      const budget = 2 + random.below(8);
      const most = exhaustive(trace, budget) / text.length;
      const found = [belady, beladySize, greedySchedule].map((each) => each(trace, budget).objects);
      for (const each of found) expect(each).toBeLessThanOrEqual(most + 1e-9);
      expect(upperBound(trace, budget).objects).toBeGreaterThanOrEqual(most - 1e-9);
      // Sizes alike: Belady's rule is optimal.
      if (round % 2 === 0) expect(found[0]).toBeCloseTo(most);
      best += Math.max(...found);
      optimum += most;
    }
    expect(best / optimum).toBeGreaterThan(0.97);
    expect(best / optimum).toBeLessThanOrEqual(1);
  });
});

describe('baselines', () => {
  it('LRU and LFU evict as they should', () => {
    const lru = new Lru(2);
    const lfu = new Lfu(2);
    const evicted = [lru, lfu].map((policy) =>
      [...'aabc'].flatMap((study, time) => policy.access(study, { time, bytes: 1, fetchMs: 1 }).evict),
    );
    expect(evicted).toEqual([['a'], ['b']]);
  });

  it('all of them keep to the budget and count what they hold', () => {
    const trace = BUILT_IN[1]!.make(0.01);
    const budget = footprint(trace) / 10;
    for (const policy of [
      new Lru(budget),
      new Lfu(budget),
      new Gdsf(budget),
      new WTinyLfu(budget),
      new S3Fifo(budget),
    ]) {
      const held = new Map<string, number>();
      for (let i = 0; i < trace.study.length; i++) {
        const study = trace.names[trace.study[i]!]!;
        const bytes = trace.bytes[i]!;
        const { hit, admit, evict } = policy.access(study, { time: i, bytes, fetchMs: 1 });
        if (hit !== held.has(study)) throw new Error(`${policy.name}: a hit is what is held`);
        if (admit) held.set(study, bytes);
        for (const each of evict) held.delete(each);
        expect(policy.usedBytes).toBeCloseTo(
          [...held.values()].reduce((sum, each) => sum + each, 0),
          0,
        );
        expect(policy.usedBytes).toBeLessThanOrEqual(budget + 1);
      }
    }
  });
});

describe('quality, with wide margins', () => {
  const bySize = (name: string, share: number) => {
    const trace = BUILT_IN.find((each) => each.name === name)!.make(0.04);
    return compare(trace, footprint(trace) * share);
  };

  it.each([
    ['zipf-drift', 0.05, 0.8, 0.1],
    ['zipf-drift', 0.4, 0.93, 0.06],
    ['priors', 0.2, 0.88, 0.02],
    ['priors-scans', 0.2, 0.82, 0.05],
  ])('%s at %d of the footprint', (name, share, ofBest, overLru) => {
    const { ratios, overLru: over, online } = bySize(name, share);
    expect(ratios.best).toBeGreaterThan(ofBest);
    expect(ratios.best).toBeLessThanOrEqual(1);
    expect(ratios.bound).toBeLessThanOrEqual(ratios.best + 1e-9);
    expect(over).toBeGreaterThan(overLru);
    expect(online[0]!.objects).toBeGreaterThan(Math.max(...online.slice(1).map((each) => each.objects)) - 0.02);
  });

  it('each objective wins by its own measure', () => {
    const trace = BUILT_IN.find((each) => each.name === 'zipf-drift')!.make(0.04);
    const budgetBytes = footprint(trace) / 10;
    const [objects, bytes, time] = (['objects', 'bytes', 'fetch-time'] as const).map((objective) =>
      simulate(trace, new CachePolicy({ budgetBytes, objective })),
    );
    expect(objects!.objects).toBeGreaterThan(bytes!.objects);
    expect(bytes!.bytes).toBeGreaterThan(objects!.bytes);
    expect(time!.fetchTime).toBeGreaterThan(objects!.fetchTime);
  });

  it('nothing online beats who is told the chances by more than luck', () => {
    const options = { studies: 1000, accesses: 15_000, alpha: 0.9, drift: 0.02, seed: 12 };
    const trace = BUILT_IN[1]!.make(0.1);
    const budget = footprint(trace) / 10;
    const told = BUILT_IN[1]!.informed!(0.1, budget).objects;
    const ours = simulate(trace, new CachePolicy({ budgetBytes: budget })).objects;
    expect(ours).toBeLessThan(told + 0.01);
    expect(informedZipf(options, budget).objects).toBeLessThanOrEqual(1);
  });
});

import { CachePolicy, CachePolicyOptions } from './cache-policy';
import { Random } from './random';
import { scans, zipfDrift } from './sim/generators';
import { footprint, Trace } from './sim/trace';
import { Access, Decision } from './types';

const at = (trace: Trace, i: number): [string, Access] => [
  trace.names[trace.study[i]!]!,
  { time: trace.time[i]!, bytes: trace.bytes[i]!, fetchMs: trace.fetchMs[i]! },
];
const small = (seed = 5): Trace => zipfDrift({ studies: 400, accesses: 6000, alpha: 0.9, drift: 0.02, seed });

/** As `expect`, which is too slow for what is checked ten thousand times. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`does not hold: ${what}`);
}

/** What a caller holds who does as he is told, and the checks that all decisions must pass. */
class Holder {
  readonly held = new Map<string, number>();

  constructor(readonly policy: CachePolicy) {}

  access(study: string, access: Access): Decision {
    const had = this.held.has(study);
    const decision = this.policy.access(study, access);
    must(decision.hit === had, 'a hit is what is held');
    this.leave(decision.evict, decision.admit ? study : undefined);
    if (decision.admit) this.held.set(study, Math.ceil(Math.max(0, access.bytes || 0)));
    else this.held.delete(study);
    this.check();
    return decision;
  }

  resize(study: string, bytes: number): void {
    const had = this.held.has(study);
    const { evict } = this.policy.resize(study, bytes);
    this.leave(evict);
    if (had && !evict.includes(study)) this.held.set(study, bytes);
    this.check();
  }

  leave(evict: string[], not?: string): void {
    for (const each of evict) {
      must(each !== not, 'what is admitted is not evicted');
      must(this.held.has(each), 'what is evicted was held');
      this.held.delete(each);
    }
  }

  check(): void {
    const { policy, held } = this;
    must(policy.cachedStudies === held.size, 'number of studies');
    let sum = 0;
    for (const each of held.values()) sum += each;
    must(policy.usedBytes === sum, 'bytes are what is held');
    must(policy.usedBytes <= policy.budgetBytes, 'the budget');
  }
}

describe('CachePolicy', () => {
  const run = (policy: CachePolicy, trace: Trace, from = 0, to = trace.study.length): Decision[] =>
    Array.from({ length: to - from }, (_, i) => policy.access(...at(trace, from + i)));

  it('holds the budget, and tells of all that leaves, whatever is done', () => {
    for (const seed of [1, 2, 3]) {
      const random = new Random(seed);
      const holder = new Holder(new CachePolicy({ budgetBytes: 10_000, maxStudies: 64, seed }));
      const name = (): string => `s${Math.floor(100 * random.next() ** 2)}`;
      const sizes = [0, 1, 7.5, 300, 900, 5000, 9999, 10_000, 10_001, 1e15, Infinity, NaN, -5];
      let time = 0;
      for (let i = 0; i < 4000; i++) {
        const kind = random.next();
        const bytes = random.next() < 0.7 ? 1 + random.below(1500) : sizes[random.below(sizes.length)]!;
        if (kind < 0.85) {
          const times = [(time += random.next() * 100), time - 500, NaN];
          holder.access(name(), {
            time: times[random.next() < 0.95 ? 0 : 1 + random.below(2)]!,
            bytes,
            fetchMs: bytes,
          });
        } else if (kind < 0.92) holder.resize(name(), Number.isFinite(bytes) ? Math.ceil(Math.max(0, bytes)) : 10);
        else if (kind < 0.96) {
          const study = name();
          holder.policy.remove(study, random.next() < 0.5);
          holder.held.delete(study);
          holder.check();
        } else {
          const { evict } = holder.policy.setBudget(5000 + random.below(10_000));
          holder.leave(evict);
          holder.check();
        }
        must(holder.policy.knownStudies <= 64, 'bounded memory');
      }
      expect(holder.held.size).toBeGreaterThan(3);
    }
  });

  it('keeps what was asked for while there is room, and never what is larger than the budget', () => {
    const holder = new Holder(new CachePolicy({ budgetBytes: 100 }));
    expect(holder.access('a', { time: 0, bytes: 60, fetchMs: 1 })).toEqual({ hit: false, admit: true, evict: [] });
    expect(holder.access('b', { time: 1, bytes: 40, fetchMs: 1 })).toEqual({ hit: false, admit: true, evict: [] });
    expect(holder.access('c', { time: 2, bytes: 101, fetchMs: 1 })).toEqual({ hit: false, admit: false, evict: [] });
    expect(holder.access('a', { time: 3, bytes: 60, fetchMs: 1 }).hit).toBe(true);
    expect(holder.access('a', { time: 4, bytes: 200, fetchMs: 1 })).toEqual({ hit: true, admit: false, evict: ['a'] });
  });

  it('works with a budget of nothing, and with studies of no size', () => {
    const holder = new Holder(new CachePolicy({ budgetBytes: 0, maxStudies: 32 }));
    expect(holder.access('a', { time: 0, bytes: 1, fetchMs: 1 }).admit).toBe(false);
    for (let i = 0; i < 200; i++) expect(holder.access(`n${i}`, { time: i, bytes: 0, fetchMs: 0 }).admit).toBe(true);
    expect(holder.policy.cachedStudies).toBeLessThanOrEqual(32);
  });

  it('refuses options that make no sense', () => {
    for (const budgetBytes of [-1, NaN, Infinity]) expect(() => new CachePolicy({ budgetBytes })).toThrow(RangeError);
    for (const maxStudies of [0, 2.5, 2 ** 30]) {
      expect(() => new CachePolicy({ budgetBytes: 1, maxStudies })).toThrow(RangeError);
    }
  });

  describe('pins', () => {
    const fill = (policy: CachePolicy, from: number, count: number): Set<string> => {
      const left = new Set<string>();
      for (let i = from; i < from + count; i++) {
        for (let n = 0; n < 3; n++) {
          policy.access(`x${i % 50}`, { time: i, bytes: 10, fetchMs: 1 }).evict.forEach((each) => left.add(each));
        }
      }
      return left;
    };

    it('a pinned study stays, though nobody asks for it; unpinned it goes', () => {
      const policy = new CachePolicy({ budgetBytes: 200 });
      expect(policy.pin('p')).toBe(true);
      policy.access('p', { time: 0, bytes: 100, fetchMs: 1 });
      expect(fill(policy, 1, 500).has('p')).toBe(false);
      expect(policy.has('p')).toBe(true);
      policy.unpin('p');
      expect(fill(policy, 501, 500).has('p')).toBe(true);
    });

    it('room is made for a pinned study, and is refused beside pinned ones', () => {
      const policy = new CachePolicy({ budgetBytes: 200 });
      fill(policy, 0, 300);
      policy.pin('p');
      expect(policy.access('p', { time: 1000, bytes: 180, fetchMs: 1 }).admit).toBe(true);
      const refused = policy.access('q', { time: 1001, bytes: 50, fetchMs: 1 });
      expect(refused).toEqual({ hit: false, admit: false, evict: [] });
      policy.pin('q');
      expect(policy.access('q', { time: 1002, bytes: 50, fetchMs: 1 }).admit).toBe(false);
      expect(policy.usedBytes).toBeLessThanOrEqual(200);
    });

    it('stay under a smaller budget, are bounded in number, and survive being forgotten', () => {
      const policy = new CachePolicy({ budgetBytes: 200, maxStudies: 16 });
      policy.pin('p');
      policy.access('p', { time: 0, bytes: 100, fetchMs: 1 });
      expect(policy.setBudget(50)).toEqual({ evict: [] });
      for (let i = 0; i < 15; i++) expect(policy.pin(`q${i}`)).toBe(true);
      expect(policy.pin('one too many')).toBe(false);
      policy.remove('p', true);
      policy.setBudget(200);
      policy.access('p', { time: 1, bytes: 100, fetchMs: 1 });
      expect(fill(policy, 2, 300).has('p')).toBe(false);
    });

    it('with a table full of pinned studies a further one is served and not kept', () => {
      const policy = new CachePolicy({ budgetBytes: 1000, maxStudies: 16 });
      for (let i = 0; i < 16; i++) {
        policy.pin(`p${i}`);
        policy.access(`p${i}`, { time: i, bytes: 1, fetchMs: 1 });
      }
      const decision = policy.access('new', { time: 100, bytes: 1, fetchMs: 1 });
      expect(decision).toEqual({ hit: false, admit: false, evict: [] });
    });
  });

  it('decides alike for the same seed', () => {
    const trace = small();
    const options: CachePolicyOptions = { budgetBytes: footprint(trace) / 10, seed: 7 };
    const first = run(new CachePolicy(options), trace);
    expect(run(new CachePolicy(options), trace)).toEqual(first);
    expect(run(new CachePolicy({ ...options, seed: 8 }), trace)).not.toEqual(first);
  });

  describe('snapshot', () => {
    it.each(['objects', 'bytes', 'fetch-time'] as const)(
      'restored goes on as if nothing had been (%s)',
      (objective) => {
        const trace = small(6);
        // Fewer than there are studies, so that slots are given away and taken again.
        const policy = new CachePolicy({ budgetBytes: footprint(trace) / 8, maxStudies: 250, objective });
        policy.pin(trace.names[3]!);
        run(policy, trace, 0, 3000);
        const restored = CachePolicy.restore(JSON.parse(JSON.stringify(policy.snapshot())));
        expect(restored.usedBytes).toBe(policy.usedBytes);
        expect(restored.knownStudies).toBe(policy.knownStudies);
        expect(run(restored, trace, 3000)).toEqual(run(policy, trace, 3000));
        // As text: a difference of megabytes is not to be printed.
        expect(JSON.stringify(restored.snapshot()) === JSON.stringify(policy.snapshot())).toBe(true);
      },
    );

    it('of a policy that has seen nothing works', () => {
      const policy = CachePolicy.restore(JSON.parse(JSON.stringify(new CachePolicy({ budgetBytes: 10 }).snapshot())));
      expect(policy.access('a', { time: 0, bytes: 5, fetchMs: 1 }).admit).toBe(true);
    });

    it('is bounded', () => {
      const policy = new CachePolicy({ budgetBytes: 1e6, maxStudies: 1000 });
      for (let i = 0; i < 8000; i++) policy.access(`study-${i % 3000}`, { time: i, bytes: 5000, fetchMs: 9 });
      expect(policy.knownStudies).toBe(1000);
      expect(JSON.stringify(policy.snapshot()).length).toBeLessThan(6_000_000);
    });

    it('damaged, or of another version, is refused', () => {
      const trace = small();
      const policy = new CachePolicy({ budgetBytes: footprint(trace) / 8 });
      run(policy, trace, 0, 500);
      const good = policy.snapshot();
      const state = { ...good.state };
      for (const bad of [
        null,
        'text',
        {},
        { ...good, version: 2 },
        { ...good, names: undefined },
        { ...good, names: good.names.slice(1) },
        { ...good, cached: good.cached.slice(1) },
        { ...good, cached: [...good.cached, 1e9] },
        { ...good, columns: { ...good.columns, bytes: 'AAAA' } },
        { ...good, model: {} },
        { ...good, state: { ...state, used: state.used + 1 } },
        { ...good, state: { ...state, tick: 'soon' } },
      ]) {
        expect(() => CachePolicy.restore(bad)).toThrow(expect.objectContaining({ code: 'CACHE_SNAPSHOT' }));
      }
    });
  });

  it('a scan of studies read once does not flush what is used', () => {
    const trace = small(9);
    const policy = new CachePolicy({ budgetBytes: footprint(trace) / 10 });
    run(policy, trace, 0, 4000);
    const before = run(policy, trace, 4000, 5000).filter((each) => each.hit).length;
    const scan = scans({ scans: 1, studies: 3000, days: 1, seed: 10 });
    const now = trace.time[5000]!;
    for (let i = 0; i < scan.study.length; i++) {
      const [study, access] = at(scan, i);
      policy.access(study, { ...access, time: now });
    }
    const after = run(policy, trace, 5000).filter((each) => each.hit).length;
    expect(before).toBeGreaterThan(550);
    expect(after).toBeGreaterThan(before * 0.92);
  });
});

import { CachedHeap } from './cached-heap';
import { EntryTable, HALF_LIVES } from './entry-table';
import { FEATURE_VALUES, FEATURES, observe } from './features';
import { HazardModel } from './hazard-model';
import { KINDS, Observations } from './observations';
import { Random } from './random';
import { CachePolicySnapshot, readSnapshot, SnapshotError, writeSnapshot } from './snapshot';
import { Access, Decision, Objective, OnlinePolicy } from './types';

export interface CachePolicyOptions {
  /** Bytes that the cached studies may take together. */
  budgetBytes: number;
  /** Studies that are remembered at most, cached or not; some 150 bytes and the name each. Default 131072. */
  maxStudies?: number;
  /** What is to be saved: fetches (default), bytes, or the time that fetching takes. */
  objective?: Objective;
  /** Same seed, same accesses: same decisions. */
  seed?: number;
}

/** Cached studies whose worth is computed anew at each access, drawn by chance; at an eviction the worst are as well. */
const REFRESHED = 32;
/** The most that are looked at anew to find one victim. */
const LOOKS = 64;
/** What the first access to a study never seen adds to the clock, which counts accesses to known ones. */
const NEW_TICK = 0.25;
/** Smaller studies count as that large: what they take besides their bytes. */
const MIN_BYTES = 4096;

/**
 * Admission and eviction for a cache of studies within a budget of bytes.
 *
 * A model learns from the accesses themselves when a study will be used again (`HazardModel`). Each study is worth what
 * a tick of its presence earns per byte; what is worth least leaves, and what was fetched is kept only if it is worth
 * more than all that would have to go for it. Decides only: the caller holds the bytes, and must have removed what
 * `evict` names before it counts on the room.
 *
 * No clock and no chance from outside: time comes with the accesses, chance from the seed.
 */
export class CachePolicy implements OnlinePolicy {
  readonly name: string;
  private readonly objective: Objective;
  private readonly table: EntryTable;
  private readonly model = new HazardModel(FEATURE_VALUES);
  private readonly observations: Observations;
  private readonly random: Random;
  private readonly cached: CachedHeap;
  private readonly pins = new Set<string>();
  private readonly scratch = new Uint16Array(FEATURES);
  private readonly shares = KINDS.map((_, kind) => Observations.share(kind, 2));
  private budget: number;
  private used = 0;
  /** Counts accesses to known studies, so that a scan of unknown ones hardly makes the known ones look older. */
  private tick = 1;
  private time = -Infinity;
  private accesses = 0;
  /** Share of the last accesses that were of studies never seen before. */
  private novel = 0;

  constructor(options: CachePolicyOptions) {
    const { budgetBytes, maxStudies = 131_072, objective = 'objects', seed = 1 } = options;
    if (!(budgetBytes >= 0 && budgetBytes <= Number.MAX_SAFE_INTEGER)) throw new RangeError('budgetBytes');
    if (!(Number.isInteger(maxStudies) && maxStudies >= 16 && maxStudies <= 2 ** 24))
      throw new RangeError('maxStudies');
    this.budget = budgetBytes;
    this.objective = objective;
    this.name = objective === 'objects' ? 'ours' : `ours for ${objective}`;
    this.table = new EntryTable(maxStudies);
    this.cached = new CachedHeap(this.table);
    this.observations = new Observations(this.table, this.model);
    this.random = new Random(seed);
  }

  get usedBytes(): number {
    return this.used;
  }

  get budgetBytes(): number {
    return this.budget;
  }

  get cachedStudies(): number {
    return this.cached.size;
  }

  /** Studies that something is known of: the cached ones and the ghosts. Never more than `maxStudies`. */
  get knownStudies(): number {
    return this.table.slots.size;
  }

  has(study: string): boolean {
    const slot = this.table.slots.get(study);
    return slot !== undefined && this.table.columns.place[slot]! >= 0;
  }

  /** Somebody asks for the study. On a hit with another size than before, the entry takes the new size. */
  access(study: string, access: Access): Decision {
    const evict: string[] = [];
    const bytes = wholeBytes(access.bytes);
    if (Number.isFinite(access.time)) this.time = Math.max(this.time, access.time);
    if (this.time === -Infinity) this.time = 0;
    this.accesses++;
    const slot = this.note(study, bytes, access.fetchMs, evict);
    if (slot === undefined) return { hit: false, admit: false, evict };
    const c = this.table.columns;
    const hit = c.place[slot]! >= 0;
    const worth = this.look(slot, bytes);
    if (hit) {
      this.cached.moved(slot);
      this.changeSize(slot, bytes, evict);
    } else {
      c.bytes[slot] = bytes;
      if (this.makeRoom(bytes, worth, evict)) this.put(slot);
    }
    this.learn(slot);
    return { hit, admit: c.place[slot]! >= 0, evict };
  }

  /** More (or less) of a cached study is there than was known. It may itself be among what has to leave. */
  resize(study: string, bytes: number): { evict: string[] } {
    const evict: string[] = [];
    if (this.has(study)) this.changeSize(this.table.slots.get(study)!, wholeBytes(bytes), evict);
    return { evict };
  }

  /** The study's bytes are gone (deleted, lost, never arrived). Its history stays known unless `forget`. */
  remove(study: string, forget = false): void {
    const slot = this.table.slots.get(study);
    if (slot === undefined) return;
    if (this.table.columns.place[slot]! >= 0) this.take(slot);
    if (forget) this.forget(slot);
  }

  /**
   * Pinned studies are never evicted, and room is made for them when they are accessed, as far as the budget goes.
   * False, and not pinned, when `maxStudies` are pinned already.
   */
  pin(study: string): boolean {
    if (!this.pins.has(study) && this.pins.size >= this.table.limit) return false;
    this.pins.add(study);
    this.markPin(study, 1);
    return true;
  }

  unpin(study: string): void {
    this.pins.delete(study);
    this.markPin(study, 0);
  }

  private markPin(study: string, pinned: 0 | 1): void {
    const slot = this.table.slots.get(study);
    if (slot === undefined || this.table.columns.pinned[slot] === pinned) return;
    this.table.columns.pinned[slot] = pinned;
    if (this.table.columns.place[slot]! < 0) return;
    this.look(slot, this.table.columns.bytes[slot]!);
    this.cached.moved(slot);
  }

  /** Another budget from now on. Pinned studies stay even if they alone are more than it. */
  setBudget(bytes: number): { evict: string[] } {
    if (!(bytes >= 0 && bytes <= Number.MAX_SAFE_INTEGER)) throw new RangeError('budgetBytes');
    const evict: string[] = [];
    this.budget = bytes;
    this.shrink(evict);
    return { evict };
  }

  /** Writes the access into the study's history; undefined when there is no place for a new one (all is pinned). */
  private note(study: string, bytes: number, fetchMs: number, evict: string[]): number | undefined {
    const known = this.table.slots.get(study);
    this.tick += known === undefined ? NEW_TICK : 1;
    this.novel = (this.novel * 15 + (known === undefined ? 1 : 0)) / 16;
    const slot = known ?? this.enter(study, evict);
    if (slot === undefined) return undefined;
    const c = this.table.columns;
    if (known !== undefined) {
      this.observations.used(slot, this.tick);
      const age = this.tick - c.lastTick[slot]!;
      c.short[slot] = 1 + c.short[slot]! * 2 ** (-age / HALF_LIVES[0]);
      c.middle[slot] = 1 + c.middle[slot]! * 2 ** (-age / HALF_LIVES[1]);
      c.long[slot] = 1 + c.long[slot]! * 2 ** (-age / HALF_LIVES[2]);
      c.gap2[slot] = c.gap1[slot]!;
      c.gap1[slot] = age;
      c.count[slot]!++;
    } else c.bytes[slot] = bytes;
    c.lastTick[slot] = this.tick;
    c.lastTime[slot] = this.time;
    c.fetchMs[slot] = fetchMs > 0 && fetchMs < 1e12 ? fetchMs : 0;
    c.novelty[slot] = Math.min(8, Math.floor(this.novel * 9));
    return slot;
  }

  private enter(study: string, evict: string[]): number | undefined {
    let slot = this.table.add(study);
    if (slot === undefined && this.forgetOne(evict)) slot = this.table.add(study);
    if (slot === undefined) return undefined;
    const c = this.table.columns;
    c.short[slot] = c.middle[slot] = c.long[slot] = c.count[slot] = 1;
    c.firstTick[slot] = this.tick;
    c.firstTime[slot] = this.time;
    c.pinned[slot] = this.pins.has(study) ? 1 : 0;
    return slot;
  }

  /** Forgets the least lively of some ghosts; where all that is drawn is cached, the worst cached study. */
  private forgetOne(evict: string[]): boolean {
    const c = this.table.columns;
    let worst = -1;
    let least = Infinity;
    for (let i = 0; i < 16; i++) {
      const slot = this.random.below(this.table.names.length);
      if (c.place[slot]! >= 0) continue;
      const lively = Math.log2(c.long[slot]!) - (this.tick - c.lastTick[slot]!) / HALF_LIVES[2];
      if (lively < least) [worst, least] = [slot, lively];
    }
    if (worst < 0) {
      const top = this.worst();
      if (top === undefined) return false;
      worst = top;
      this.take(worst);
      evict.push(this.table.names[worst]!);
    }
    this.forget(worst);
    return true;
  }

  private forget(slot: number): void {
    this.observations.forgotten(slot, this.tick);
    this.table.remove(slot);
  }

  private put(slot: number): void {
    this.cached.add(slot);
    this.used += this.table.columns.bytes[slot]!;
  }

  private take(slot: number): void {
    this.cached.remove(slot);
    this.used -= this.table.columns.bytes[slot]!;
  }

  private changeSize(slot: number, bytes: number, evict: string[]): void {
    const c = this.table.columns;
    if (bytes === c.bytes[slot]) return;
    this.take(slot);
    c.bytes[slot] = bytes;
    if (bytes > this.budget && c.pinned[slot] === 0) {
      evict.push(this.table.names[slot]!);
      return;
    }
    this.look(slot, bytes);
    this.put(slot);
    this.shrink(evict);
  }

  private shrink(evict: string[]): void {
    while (this.used > this.budget) {
      const slot = this.worst();
      if (slot === undefined) return;
      this.take(slot);
      evict.push(this.table.names[slot]!);
    }
  }

  /** Computes what a tick of the study's presence earns now, at best, and by that its worth per byte. */
  private look(slot: number, bytes: number): number {
    const c = this.table.columns;
    const rate = observe(this.table, slot, this.tick, this.time, this.scratch);
    let worth = this.model.index(this.scratch, 0, FEATURES, rate);
    if (this.objective === 'bytes') worth *= Math.max(MIN_BYTES, bytes);
    else if (this.objective === 'fetch-time') worth *= 1 + c.fetchMs[slot]!;
    if (c.pinned[slot] === 1) worth = Infinity;
    c.density[slot] = worth / Math.max(MIN_BYTES, bytes);
    c.looked[slot] = this.accesses;
    return worth;
  }

  /** The cached study of the least worth per byte; undefined when all that is left is pinned. */
  private worst(): number | undefined {
    const c = this.table.columns;
    for (let looks = 0; this.cached.size > 0; looks++) {
      const slot = this.cached.slots[0]!;
      if (c.pinned[slot] === 1) return undefined;
      if (looks >= LOOKS || c.looked[slot] === this.accesses) return slot;
      this.look(slot, c.bytes[slot]!);
      this.cached.moved(slot);
    }
    return undefined;
  }

  /** Evicts until `bytes` fit if what goes is worth less than `worth` in all; else changes nothing and says false. */
  private makeRoom(bytes: number, worth: number, evict: string[]): boolean {
    if (bytes > this.budget) return false;
    const c = this.table.columns;
    const victims: number[] = [];
    let lost = 0;
    while (this.used + bytes > this.budget) {
      const slot = this.worst();
      lost += slot === undefined ? Infinity : c.density[slot]! * Math.max(MIN_BYTES, c.bytes[slot]!);
      if (slot === undefined || lost > worth) {
        for (const each of victims) this.put(each);
        return false;
      }
      this.take(slot);
      victims.push(slot);
    }
    for (const slot of victims) evict.push(this.table.names[slot]!);
    return true;
  }

  /** Notes states to learn from later, learns from what has come of earlier ones, and looks anew at some studies. */
  private learn(slot: number): void {
    this.watch(slot);
    if (this.cached.size > 0) this.watch(this.cached.slots[this.random.below(this.cached.size)]!);
    this.observations.mature(this.tick);
    for (let i = 0; i < REFRESHED && this.cached.size > 0; i++) {
      const drawn = this.cached.slots[this.random.below(this.cached.size)]!;
      if (this.table.columns.looked[drawn] === this.accesses) continue;
      this.look(drawn, this.table.columns.bytes[drawn]!);
      this.cached.moved(drawn);
    }
  }

  private watch(slot: number): void {
    let rate = -1;
    for (let kind = 0; kind < KINDS.length; kind++) {
      if (this.random.next() >= this.shares[kind]!) continue;
      if (rate < 0) rate = observe(this.table, slot, this.tick, this.time, this.scratch);
      this.observations.add(kind, slot, this.tick, this.scratch, rate);
    }
  }

  /** All that later decisions depend on, as JSON. Some 3 MB and 220 bytes for each known study, at most. */
  snapshot(): CachePolicySnapshot {
    const { budget, objective, used, tick, time, accesses, novel } = this;
    return writeSnapshot(
      { budget, objective, used, tick, time, accesses, novel, random: this.random.state, limit: this.table.limit },
      { table: this.table, model: this.model, observations: this.observations, cached: this.cached, pins: this.pins },
    );
  }

  /**
   * A policy that goes on as the one that made the snapshot would have.
   * @throws SnapshotError when it is of another version, damaged, or no snapshot: start with an empty policy then
   */
  static restore(snapshot: unknown): CachePolicy {
    return readSnapshot(snapshot, (state) => {
      const policy = new CachePolicy({
        budgetBytes: state.budget,
        maxStudies: state.limit,
        objective: state.objective,
        seed: state.random,
      });
      const { table, model, observations, cached, pins } = policy;
      Object.assign(policy, {
        used: state.used,
        tick: state.tick,
        time: state.time,
        accesses: state.accesses,
        novel: state.novel,
      });
      return { result: policy, parts: { table, model, observations, cached, pins } };
    });
  }
}

export { SnapshotError };

/** A size as a whole number; what is no size counts as 0, what is too large as the largest. */
function wholeBytes(bytes: number): number {
  if (!(bytes > 0)) return 0;
  return Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(bytes));
}

import { EntryTable } from './entry-table';
import { FEATURES } from './features';
import { HazardModel, HORIZONS, INTERVALS } from './hazard-model';

/** For how many intervals observations of a kind are followed, and how many are followed at once. */
export const KINDS = [
  { intervals: 3, room: 4096 },
  { intervals: 5, room: 8192 },
  { intervals: 7, room: 12288 },
  { intervals: 8, room: 12288 },
] as const;
const ROOM = KINDS.reduce((sum, kind) => sum + kind.room, 0);
const STARTS = KINDS.map((_, kind) => KINDS.slice(0, kind).reduce((sum, each) => sum + each.room, 0));

/**
 * States of studies that were seen and whose next use is awaited. Each kind is a ring in order of time. An interval is
 * learnt from when it is over, whether or not the study was used in it: learning from the used ones first would make all
 * studies look livelier than they are. Bounded: when a ring is full, nothing is observed for a while.
 */
export class Observations {
  readonly features = new Uint16Array(ROOM * FEATURES);
  readonly rate = new Float32Array(ROOM);
  readonly tick = new Float64Array(ROOM);
  /** Tick of the next use, of the end of watching as a negative number, or 0 while neither is known. */
  readonly end = new Float64Array(ROOM);
  readonly slot = new Int32Array(ROOM).fill(-1);
  readonly newer = new Int32Array(ROOM).fill(-1);
  readonly older = new Int32Array(ROOM).fill(-1);
  /** Observations ever made, by kind, and how many of them were learnt from, by kind and interval. */
  readonly made = new Float64Array(KINDS.length);
  readonly learnt = new Float64Array(KINDS.length * INTERVALS);

  constructor(
    private readonly table: EntryTable,
    private readonly model: HazardModel,
  ) {}

  /** Share of all moments at which an observation of that kind may be made, so that the ring lasts for the horizon. */
  static share(kind: number, perTick: number): number {
    const { intervals, room } = KINDS[kind]!;
    return Math.min(1, (0.9 * room) / (HORIZONS[intervals - 1]! * perTick));
  }

  add(kind: number, slot: number, tick: number, from: Uint16Array, rate: number): void {
    const { intervals, room } = KINDS[kind]!;
    const number = this.made[kind]!;
    if (number - this.learnt[kind * INTERVALS + intervals - 1]! >= room) return;
    const at = STARTS[kind]! + (number % room);
    this.made[kind] = number + 1;
    for (let f = 0; f < FEATURES; f++) this.features[at * FEATURES + f] = from[f]!;
    this.rate[at] = rate;
    this.tick[at] = tick;
    this.end[at] = 0;
    this.slot[at] = slot;
    const watch = this.table.columns.watch;
    this.older[at] = watch[slot]!;
    this.newer[at] = -1;
    if (watch[slot]! >= 0) this.newer[watch[slot]!] = at;
    watch[slot] = at;
  }

  /** The study was used: what waited for it knows. */
  used(slot: number, tick: number): void {
    this.finish(slot, tick);
  }

  /** The study is forgotten: nothing is known of it from here on. */
  forgotten(slot: number, tick: number): void {
    this.finish(slot, -tick);
  }

  private finish(slot: number, end: number): void {
    const watch = this.table.columns.watch;
    for (let at = watch[slot]!; at >= 0; at = this.older[at]!) {
      this.end[at] = end;
      this.slot[at] = -1;
    }
    watch[slot] = -1;
  }

  /** Learns from all intervals that are over. */
  mature(tick: number): void {
    for (let kind = 0; kind < KINDS.length; kind++) {
      const { intervals, room } = KINDS[kind]!;
      for (let k = 0; k < intervals; k++) {
        const counter = kind * INTERVALS + k;
        while (this.learnt[counter]! < this.made[kind]!) {
          const at = STARTS[kind]! + (this.learnt[counter]! % room);
          if (tick - this.tick[at]! < HORIZONS[k]!) break;
          this.learnt[counter]!++;
          this.learn(at, k);
          if (k === intervals - 1 && this.slot[at]! >= 0) this.unlink(at);
        }
      }
    }
  }

  private learn(at: number, k: number): void {
    const end = this.end[at]!;
    const after = end > 0 ? end - this.tick[at]! : Infinity;
    if (k > 0 && after <= HORIZONS[k - 1]!) return;
    const used = after <= HORIZONS[k]!;
    if (!used && end < 0 && -end - this.tick[at]! < HORIZONS[k]!) return;
    this.model.learn(this.features, at * FEATURES, FEATURES, this.rate[at]!, k, used);
  }

  private unlink(at: number): void {
    const newer = this.newer[at]!;
    const older = this.older[at]!;
    if (newer >= 0) this.older[newer] = older;
    else this.table.columns.watch[this.slot[at]!] = older;
    if (older >= 0) this.newer[older] = newer;
    this.slot[at] = -1;
  }
}

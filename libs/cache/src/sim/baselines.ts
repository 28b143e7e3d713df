import { IndexedHeap } from '../heap';
import { Access, Decision, OnlinePolicy } from '../types';

/** What the simple policies share: who is cached, at what size, and how a miss makes room. */
abstract class Baseline implements OnlinePolicy {
  abstract readonly name: string;
  usedBytes = 0;
  protected readonly cached = new Map<string, number>();

  constructor(protected readonly budget: number) {}

  access(study: string, access: Access): Decision {
    const bytes = this.cached.get(study);
    const hit = bytes !== undefined;
    const evict: string[] = [];
    this.observe(study);
    if (hit) {
      if (bytes !== access.bytes) {
        this.usedBytes += access.bytes - bytes;
        this.cached.set(study, access.bytes);
      }
      this.onHit(study, access);
      this.shrink(evict);
      return { hit, admit: this.cached.has(study), evict };
    }
    if (access.bytes > this.budget) return { hit, admit: false, evict };
    this.onMiss(study, access, evict);
    return { hit, admit: this.cached.has(study), evict };
  }

  protected observe(_study: string): void {}
  protected abstract onHit(study: string, access: Access): void;
  protected abstract onMiss(study: string, access: Access, evict: string[]): void;
  protected abstract victim(): string | undefined;

  protected put(study: string, bytes: number): void {
    this.cached.set(study, bytes);
    this.usedBytes += bytes;
  }

  protected drop(study: string): void {
    this.usedBytes -= this.cached.get(study) ?? 0;
    this.cached.delete(study);
  }

  protected shrink(evict: string[], limit = this.budget): void {
    while (this.usedBytes > limit) {
      const study = this.victim();
      if (study === undefined) return;
      this.drop(study);
      evict.push(study);
    }
  }
}

/** Least recently used leaves first; everything is admitted. */
export class Lru extends Baseline {
  readonly name: string = 'LRU';

  protected onHit(study: string): void {
    const bytes = this.cached.get(study)!;
    this.cached.delete(study);
    this.cached.set(study, bytes);
  }

  protected onMiss(study: string, { bytes }: Access, evict: string[]): void {
    this.shrink(evict, this.budget - bytes);
    this.put(study, bytes);
  }

  protected victim(): string | undefined {
    return this.cached.keys().next().value;
  }
}

/** Policies that evict by a priority which changes only when the study is accessed. */
abstract class ByPriority extends Baseline {
  protected readonly heap = new IndexedHeap();
  private readonly numbers = new Map<string, number>();
  private readonly names = new Map<number, string>();
  private created = 0;
  protected topKey = 0;

  protected abstract priority(study: string, access: Access): number;

  protected onHit(study: string, access: Access): void {
    this.heap.set(this.numbers.get(study)!, this.priority(study, access));
  }

  protected onMiss(study: string, access: Access, evict: string[]): void {
    this.shrink(evict, this.budget - access.bytes);
    this.put(study, access.bytes);
    const number = this.created++;
    this.numbers.set(study, number);
    this.names.set(number, study);
    this.heap.set(number, this.priority(study, access));
  }

  protected override drop(study: string): void {
    super.drop(study);
    const number = this.numbers.get(study)!;
    this.heap.remove(number);
    this.numbers.delete(study);
    this.names.delete(number);
  }

  protected victim(): string | undefined {
    const number = this.heap.peek();
    if (number === undefined) return undefined;
    this.topKey = this.heap.peekKey();
    return this.names.get(number);
  }
}

/** Least frequently used, with the counts of all studies ever seen; the older access loses a draw. */
export class Lfu extends ByPriority {
  readonly name = 'LFU';
  private readonly counts = new Map<string, number>();
  private clock = 0;

  protected override observe(study: string): void {
    this.counts.set(study, (this.counts.get(study) ?? 0) + 1);
    this.clock++;
  }

  protected priority(study: string): number {
    return this.counts.get(study)! + this.clock / 2 ** 40;
  }
}

/**
 * Greedy-Dual-Size-Frequency (Cherkasova 1998; Arlitt et al. 2000): age + frequency × cost / size, the age being the
 * priority of what was evicted last. Cost is 1, for the object hit ratio. `remembers`: counts of evicted studies too.
 */
export class Gdsf extends ByPriority {
  private readonly counts = new Map<string, number>();

  constructor(
    budget: number,
    readonly name = 'GDSF',
    private readonly remembers = false,
  ) {
    super(budget);
  }

  protected override observe(study: string): void {
    this.counts.set(study, (this.counts.get(study) ?? 0) + 1);
  }

  protected override drop(study: string): void {
    super.drop(study);
    if (!this.remembers) this.counts.delete(study);
  }

  protected priority(study: string, { bytes }: Access): number {
    return this.topKey + this.counts.get(study)! / Math.max(1, bytes);
  }
}

/** Counts of recent accesses: halved whenever ten times as many were seen as studies are cached. */
class Sketch {
  private counts = new Map<string, number>();
  private seen = 0;

  add(study: string, cached: number): void {
    this.counts.set(study, Math.min(15, (this.counts.get(study) ?? 0) + 1));
    if (++this.seen < 10 * Math.max(100, cached)) return;
    this.seen = 0;
    for (const [key, count] of this.counts) {
      if (count > 1) this.counts.set(key, count >> 1);
      else this.counts.delete(key);
    }
  }

  estimate(study: string): number {
    return this.counts.get(study) ?? 0;
  }
}

/**
 * W-TinyLFU (Einziger, Friedman, Manes 2017) with the aggregated-victims admission for sizes (Einziger et al.,
 * "Lightweight robust size aware cache management", 2021): a window of 1 % of the bytes by LRU, a segmented LRU main
 * part (80 % protected); what leaves the window enters if it was used more often than all its victims together.
 * The sketch is exact (counts to 15, ageing), which favours it.
 */
export class WTinyLfu implements OnlinePolicy {
  readonly name = 'W-TinyLFU';
  private readonly sketch = new Sketch();
  private readonly parts = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  private readonly used = [0, 0, 0];
  private readonly windowBytes: number;
  private readonly protectedBytes: number;

  constructor(private readonly budget: number) {
    this.windowBytes = budget * 0.01;
    this.protectedBytes = (budget - this.windowBytes) * 0.8;
  }

  get usedBytes(): number {
    return this.used[0]! + this.used[1]! + this.used[2]!;
  }

  access(study: string, { bytes }: Access): Decision {
    this.sketch.add(study, this.parts[0]!.size + this.parts[1]!.size + this.parts[2]!.size);
    const evict: string[] = [];
    const at = this.parts.findIndex((part) => part.has(study));
    if (at >= 0) {
      this.take(at, study);
      this.put(at === 0 ? 0 : 2, study, bytes);
      while (this.used[2]! > this.protectedBytes && this.parts[2]!.size > 1) {
        const oldest = this.oldest(2)!;
        this.put(1, oldest, this.take(2, oldest));
      }
    } else if (bytes <= this.budget) this.put(0, study, bytes);
    while (this.used[0]! > this.windowBytes && this.parts[0]!.size > 0) {
      const candidate = this.oldest(0)!;
      this.challenge(candidate, this.take(0, candidate), evict);
    }
    while (this.usedBytes > this.budget) {
      const part = [1, 2, 0].find((each) => this.parts[each]!.size > 0)!;
      const oldest = this.oldest(part)!;
      this.take(part, oldest);
      evict.push(oldest);
    }
    return { hit: at >= 0, admit: this.parts.some((part) => part.has(study)), evict };
  }

  private challenge(candidate: string, bytes: number, evict: string[]): void {
    const room = this.budget - this.windowBytes - this.used[1]! - this.used[2]!;
    const victims: [number, string][] = [];
    let freed = room;
    let frequency = 0;
    const mine = this.sketch.estimate(candidate);
    for (const part of [1, 2]) {
      for (const [study, size] of this.parts[part]!) {
        if (freed >= bytes || frequency > mine) break;
        victims.push([part, study]);
        freed += size;
        frequency += this.sketch.estimate(study);
      }
    }
    if (freed >= bytes && (victims.length === 0 || mine > frequency)) {
      for (const [part, study] of victims) {
        this.take(part, study);
        evict.push(study);
      }
      this.put(1, candidate, bytes);
    } else evict.push(candidate);
  }

  private oldest(part: number): string | undefined {
    return this.parts[part]!.keys().next().value;
  }

  private put(part: number, study: string, bytes: number): void {
    this.parts[part]!.set(study, bytes);
    this.used[part]! += bytes;
  }

  private take(part: number, study: string): number {
    const bytes = this.parts[part]!.get(study)!;
    this.parts[part]!.delete(study);
    this.used[part]! -= bytes;
    return bytes;
  }
}

/**
 * S3-FIFO (Yang et al., SOSP 2023) counted in bytes: a small queue of 10 %, a main queue, and a ghost queue of as many
 * names as there are studies in the main one.
 */
export class S3Fifo implements OnlinePolicy {
  readonly name = 'S3-FIFO';
  usedBytes = 0;
  private readonly small = new Map<string, number>();
  private readonly main = new Map<string, number>();
  private readonly ghost = new Set<string>();
  private readonly uses = new Map<string, number>();
  private smallBytes = 0;

  constructor(private readonly budget: number) {}

  access(study: string, { bytes }: Access): Decision {
    const evict: string[] = [];
    const part = this.small.has(study) ? this.small : this.main.has(study) ? this.main : undefined;
    if (part) {
      this.uses.set(study, Math.min(3, this.uses.get(study)! + 1));
      const change = bytes - part.get(study)!;
      part.set(study, bytes);
      this.usedBytes += change;
      if (part === this.small) this.smallBytes += change;
      while (this.usedBytes > this.budget) this.evictOne(evict);
      return { hit: true, admit: this.uses.has(study), evict };
    }
    if (bytes > this.budget) return { hit: false, admit: false, evict };
    while (this.usedBytes + bytes > this.budget) this.evictOne(evict);
    if (this.ghost.delete(study)) this.main.set(study, bytes);
    else {
      this.small.set(study, bytes);
      this.smallBytes += bytes;
    }
    this.uses.set(study, 0);
    this.usedBytes += bytes;
    return { hit: false, admit: true, evict };
  }

  private evictOne(evict: string[]): void {
    if (this.small.size > 0 && (this.smallBytes > this.budget * 0.1 || this.main.size === 0)) {
      const [study, bytes] = this.small.entries().next().value!;
      this.small.delete(study);
      this.smallBytes -= bytes;
      if (this.uses.get(study)! > 0) {
        this.main.set(study, bytes);
        this.uses.set(study, 0);
        return;
      }
      this.ghost.add(study);
      while (this.ghost.size > Math.max(16, this.main.size)) this.ghost.delete(this.ghost.values().next().value!);
      this.gone(study, bytes, evict);
      return;
    }
    const [study, bytes] = this.main.entries().next().value!;
    this.main.delete(study);
    const uses = this.uses.get(study)!;
    if (uses > 0) {
      this.uses.set(study, uses - 1);
      this.main.set(study, bytes);
    } else this.gone(study, bytes, evict);
  }

  private gone(study: string, bytes: number, evict: string[]): void {
    this.uses.delete(study);
    this.usedBytes -= bytes;
    evict.push(study);
  }
}

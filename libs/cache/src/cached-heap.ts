import { EntryTable } from './entry-table';

/** The cached studies as a heap by `density`, the smallest on top. `place` of an entry is its place in it. */
export class CachedHeap {
  slots: number[] = [];

  constructor(private readonly table: EntryTable) {}

  get size(): number {
    return this.slots.length;
  }

  add(slot: number): void {
    const at = this.slots.push(slot) - 1;
    this.table.columns.place[slot] = at;
    this.up(at);
  }

  remove(slot: number): void {
    const { place } = this.table.columns;
    const at = place[slot]!;
    const last = this.slots.pop()!;
    place[slot] = -1;
    if (last === slot) return;
    this.slots[at] = last;
    place[last] = at;
    this.down(this.up(at));
  }

  /** The density of the slot has changed. */
  moved(slot: number): void {
    this.down(this.up(this.table.columns.place[slot]!));
  }

  private up(at: number): number {
    const { density } = this.table.columns;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (density[this.slots[parent]!]! <= density[this.slots[at]!]!) break;
      this.swap(at, parent);
      at = parent;
    }
    return at;
  }

  private down(at: number): void {
    const { density } = this.table.columns;
    for (;;) {
      let least = at;
      for (let child = 2 * at + 1; child <= 2 * at + 2 && child < this.slots.length; child++) {
        if (density[this.slots[child]!]! < density[this.slots[least]!]!) least = child;
      }
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }

  private swap(a: number, b: number): void {
    const { place } = this.table.columns;
    const slot = this.slots[a]!;
    this.slots[a] = this.slots[b]!;
    this.slots[b] = slot;
    place[this.slots[a]!] = a;
    place[slot] = b;
  }
}

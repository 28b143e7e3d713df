/** Binary heap of numbered items, the smallest key on top; keys may change. All operations O(log n). */
export class IndexedHeap {
  private items: number[] = [];
  private keys: number[] = [];
  private place = new Map<number, number>();

  get size(): number {
    return this.items.length;
  }

  has(item: number): boolean {
    return this.place.has(item);
  }

  peek(): number | undefined {
    return this.items[0];
  }

  peekKey(): number {
    return this.keys[0] ?? Infinity;
  }

  /** Adds the item, or changes its key. */
  set(item: number, key: number): void {
    let at = this.place.get(item);
    if (at === undefined) {
      at = this.items.length;
      this.items.push(item);
      this.keys.push(key);
      this.place.set(item, at);
    } else this.keys[at] = key;
    this.down(this.up(at));
  }

  remove(item: number): boolean {
    const at = this.place.get(item);
    if (at === undefined) return false;
    this.place.delete(item);
    const last = this.items.length - 1;
    const moved = this.items.pop()!;
    const key = this.keys.pop()!;
    if (at !== last) {
      this.items[at] = moved;
      this.keys[at] = key;
      this.place.set(moved, at);
      this.down(this.up(at));
    }
    return true;
  }

  pop(): number | undefined {
    const top = this.items[0];
    if (top !== undefined) this.remove(top);
    return top;
  }

  private up(at: number): number {
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.keys[parent]! <= this.keys[at]!) break;
      this.swap(at, parent);
      at = parent;
    }
    return at;
  }

  private down(at: number): void {
    for (;;) {
      let least = at;
      for (let child = 2 * at + 1; child <= 2 * at + 2 && child < this.items.length; child++) {
        if (this.keys[child]! < this.keys[least]!) least = child;
      }
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }

  private swap(a: number, b: number): void {
    const item = this.items[a]!;
    this.items[a] = this.items[b]!;
    this.items[b] = item;
    const key = this.keys[a]!;
    this.keys[a] = this.keys[b]!;
    this.keys[b] = key;
    this.place.set(this.items[a]!, a);
    this.place.set(this.items[b]!, b);
  }
}

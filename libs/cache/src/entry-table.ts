/** Half-lives of the three decayed counts of accesses, in ticks. */
export const HALF_LIVES = [512, 6144, 65536] as const;
/** Columns, so that an entry costs some 150 bytes and a snapshot is a copy. */
const COLUMNS = {
  bytes: Float64Array,
  fetchMs: Float32Array,
  /** Tick and second of the last and of the first access. */
  lastTick: Float64Array,
  lastTime: Float64Array,
  firstTick: Float64Array,
  firstTime: Float64Array,
  count: Uint32Array,
  /** Ticks between the last accesses, the newest first; 0 where there was none. */
  gap1: Float32Array,
  gap2: Float32Array,
  /** Decayed counts as of the last access. */
  short: Float32Array,
  middle: Float32Array,
  long: Float32Array,
  /** How many of the accesses around the last one were of studies never seen before, in eighths. */
  novelty: Uint8Array,
  /** Place among the cached studies, or -1. */
  place: Int32Array,
  /** Worth per byte when last looked at, and at which access that was. */
  density: Float64Array,
  looked: Float64Array,
  pinned: Uint8Array,
  /** Newest observation that waits for the next access, or -1. */
  watch: Int32Array,
} as const;

type ColumnName = keyof typeof COLUMNS;
type Columns = { [name in ColumnName]: InstanceType<(typeof COLUMNS)[name]> };
export const COLUMN_NAMES = Object.keys(COLUMNS) as ColumnName[];

/** What is known of each study, cached or not, in numbered slots. Grows to its limit and no further. */
export class EntryTable {
  columns!: Columns;
  names: (string | undefined)[] = [];
  free: number[] = [];
  readonly slots = new Map<string, number>();
  private capacity = 0;

  constructor(readonly limit: number) {
    this.reserve(Math.min(limit, 1024));
  }

  reserve(capacity: number): void {
    const old = this.columns as Columns | undefined;
    const columns: Record<string, unknown> = {};
    for (const name of COLUMN_NAMES) {
      const column = new COLUMNS[name](capacity);
      if (old) column.set(old[name]);
      columns[name] = column;
    }
    this.columns = columns as Columns;
    this.capacity = capacity;
  }

  /** A fresh slot for the study, or undefined when the table is full. */
  add(study: string): number | undefined {
    let slot = this.free.pop();
    if (slot === undefined) {
      if (this.names.length >= this.limit) return undefined;
      slot = this.names.length;
      if (slot >= this.capacity) this.reserve(Math.min(this.limit, this.capacity * 2));
    }
    this.names[slot] = study;
    this.slots.set(study, slot);
    for (const name of COLUMN_NAMES) this.columns[name][slot] = 0;
    this.columns.place[slot] = -1;
    this.columns.watch[slot] = -1;
    return slot;
  }

  remove(slot: number): void {
    this.slots.delete(this.names[slot]!);
    this.names[slot] = undefined;
    this.free.push(slot);
  }
}

/** A trace in columns: access i is of study `study[i]` (a number below `names.length`). */
export interface Trace {
  name: string;
  names: string[];
  study: Uint32Array;
  /** Seconds. */
  time: Float64Array;
  bytes: Float64Array;
  fetchMs: Float64Array;
}

/** Bytes of all studies of the trace, each at its largest: a cache of that size misses only first accesses. */
export function footprint(trace: Trace): number {
  const largest = new Float64Array(trace.names.length);
  for (let i = 0; i < trace.study.length; i++) {
    const study = trace.study[i]!;
    largest[study] = Math.max(largest[study]!, trace.bytes[i]!);
  }
  return largest.reduce((sum, each) => sum + each, 0);
}

/** For each access the number of the next access to the same study, or Infinity. */
export function nextUses(trace: Trace): Float64Array {
  const next = new Float64Array(trace.study.length).fill(Infinity);
  const last = new Float64Array(trace.names.length).fill(Infinity);
  for (let i = trace.study.length - 1; i >= 0; i--) {
    const study = trace.study[i]!;
    next[i] = last[study]!;
    last[study] = i;
  }
  return next;
}

export class TraceBuilder {
  private names: string[] = [];
  private index = new Map<string, number>();
  private rows: { study: number; time: number; bytes: number; fetchMs: number }[] = [];

  add(study: string, time: number, bytes: number, fetchMs: number): void {
    let at = this.index.get(study);
    if (at === undefined) {
      at = this.names.length;
      this.names.push(study);
      this.index.set(study, at);
    }
    this.rows.push({ study: at, time, bytes, fetchMs });
  }

  /** The trace in order of time; rows of one time keep their order. */
  build(name: string): Trace {
    const rows = [...this.rows].sort((a, b) => a.time - b.time);
    return {
      name,
      names: this.names,
      study: Uint32Array.from(rows, (row) => row.study),
      time: Float64Array.from(rows, (row) => row.time),
      bytes: Float64Array.from(rows, (row) => row.bytes),
      fetchMs: Float64Array.from(rows, (row) => row.fetchMs),
    };
  }
}

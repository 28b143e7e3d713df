import { OnlinePolicy } from '../types';
import { Trace } from './trace';

export interface Score {
  policy: string;
  /** Shares of all accesses, of their bytes, and of the time that fetching all of them would take; 0 to 1. */
  objects: number;
  bytes: number;
  fetchTime: number;
  /** Wall time of a decision, in microseconds; undefined for what does not decide. */
  microseconds?: number;
}

/** Sums what was hit. */
export class Tally {
  private hits = 0;
  private hitBytes = 0;
  private hitMs = 0;
  private all = 0;
  private allBytes = 0;
  private allMs = 0;

  add(hit: boolean, bytes: number, fetchMs: number): void {
    this.all++;
    this.allBytes += bytes;
    this.allMs += fetchMs;
    if (!hit) return;
    this.hits++;
    this.hitBytes += bytes;
    this.hitMs += fetchMs;
  }

  score(policy: string, microseconds?: number): Score {
    return {
      policy,
      objects: this.hits / Math.max(1, this.all),
      bytes: this.hitBytes / Math.max(1e-9, this.allBytes),
      fetchTime: this.hitMs / Math.max(1e-9, this.allMs),
      ...(microseconds === undefined ? {} : { microseconds }),
    };
  }
}

/** Runs the trace through the policy, from an empty cache; every access counts, the first ones too. */
export function simulate(trace: Trace, policy: OnlinePolicy): Score {
  const tally = new Tally();
  const began = process.hrtime.bigint();
  for (let i = 0; i < trace.study.length; i++) {
    const bytes = trace.bytes[i]!;
    const fetchMs = trace.fetchMs[i]!;
    const { hit } = policy.access(trace.names[trace.study[i]!]!, { time: trace.time[i]!, bytes, fetchMs });
    tally.add(hit, bytes, fetchMs);
  }
  const spent = Number(process.hrtime.bigint() - began) / 1000;
  return tally.score(policy.name, spent / Math.max(1, trace.study.length));
}

import { CachePolicy } from '../cache-policy';
import { Objective, OnlinePolicy } from '../types';
import { Gdsf, Lfu, Lru, S3Fifo, WTinyLfu } from './baselines';
import { belady, beladySize, greedySchedule, upperBound } from './offline';
import { Score, simulate } from './simulate';
import { footprint, Trace } from './trace';

export interface Comparison {
  trace: string;
  accesses: number;
  studies: number;
  footprintBytes: number;
  budgetBytes: number;
  /** Ours first, then the other online policies. */
  online: Score[];
  /** Schedules that know the future. */
  offline: Score[];
  /** The most objects, bytes and fetch time that any schedule could hit. */
  bound: Score;
  /** Our objects hit ratio divided by that of Belady's rule, of the best offline schedule, and of the bound. */
  ratios: { belady: number; best: number; bound: number };
  /** Our objects hit ratio less that of LRU; 0.1 is ten points. */
  overLru: number;
}

/** Runs ours (for each objective named), the online baselines and the offline schedules over the trace. */
export function compare(trace: Trace, budgetBytes: number, objectives: Objective[] = ['objects']): Comparison {
  const policies: OnlinePolicy[] = [
    ...objectives.map((objective) => new CachePolicy({ budgetBytes, objective })),
    new Lru(budgetBytes),
    new Lfu(budgetBytes),
    new Gdsf(budgetBytes),
    new WTinyLfu(budgetBytes),
    new S3Fifo(budgetBytes),
  ];
  const online = policies.map((policy) => simulate(trace, policy));
  const rule = belady(trace, budgetBytes);
  const offline = [rule, beladySize(trace, budgetBytes), greedySchedule(trace, budgetBytes)];
  const bound = upperBound(trace, budgetBytes);
  const ours = online[0]!.objects;
  const best = Math.max(...offline.map((score) => score.objects));
  return {
    trace: trace.name,
    accesses: trace.study.length,
    studies: trace.names.length,
    footprintBytes: footprint(trace),
    budgetBytes,
    online,
    offline,
    bound,
    ratios: { belady: share(ours, rule.objects), best: share(ours, best), bound: share(ours, bound.objects) },
    overLru: ours - online.find((score) => score.policy === 'LRU')!.objects,
  };
}

/** Where nothing can be hit, all of it was. */
const share = (part: number, of: number): number => (of > 0 ? part / of : 1);

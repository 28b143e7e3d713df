/** What becomes of what a destination has not taken. Seconds. */
import type { RouteSentV1 } from '@archipelago/contracts';
import type { LeasedRoute, RouteRest } from './route.repository';

/** A destination that cannot be reached for so long is given up. */
export const PATIENCE = 24 * 3600;
/** Tries of what the destination refuses: it may be full, or restarted in between. */
const MOST_REFUSALS = 5;
const LEAST = 30;
const MOST = 900;

/** After half of the time that it has been away already, within bounds: soon at first, seldom at last. */
export const unreachableAfter = (awaySeconds: number): number => Math.min(MOST, Math.max(LEAST, awaySeconds / 2));
/** 1, 4, 16 and 60 minutes. */
export const refusedAfter = (refusals: number): number => Math.min(3600, 60 * 4 ** (refusals - 1));

/** Null: nothing is left to do. */
export function restOf(route: LeasedRoute, { sent, failed, left, unreachable }: RouteSentV1): RouteRest | null {
  // what was not tried goes first: one that the destination breaks over is not in the way of the others
  const instances = [...left, ...failed];
  if (instances.length === 0) return null;
  if (unreachable !== undefined) {
    const away = route.unreachableSeconds ?? 0;
    const state = away > PATIENCE ? 'failed' : 'waiting';
    const after = unreachableAfter(away);
    return { instances, state, code: 'unreachable', refusals: route.refusals, unreachable: true, after };
  }
  // the time of one order was over: the destination takes what it gets
  if (failed.length === 0)
    return { instances, state: 'waiting', code: 'slow', refusals: route.refusals, unreachable: false, after: 0 };
  const refusals = route.refusals + 1;
  // while others get through, those that were not tried are not given up with what is refused
  const stuck = left.length === 0 || sent === 0;
  const state = refusals >= MOST_REFUSALS && stuck ? 'failed' : 'waiting';
  return { instances, state, code: 'refused', refusals, unreachable: false, after: refusedAfter(refusals) };
}

/** The order itself is refused: no try makes it better. */
export function givenUp(route: LeasedRoute, code: string): RouteRest {
  return { instances: route.instances, state: 'failed', code, refusals: route.refusals, unreachable: false, after: 0 };
}

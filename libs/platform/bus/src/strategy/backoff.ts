/** Delay in ms before delivery n + 1: 100 ms doubling to 30 s, with up to a quarter of jitter. */
export function backoffMs(deliveries: number): number {
  const base = Math.min(30_000, 100 * 2 ** Math.min(deliveries - 1, 12));
  return Math.round(base * (1 + Math.random() / 4));
}

import { RateLimit } from './rate-limit';

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

test('takes as many a second as it says', async () => {
  const limit = new RateLimit(50, 1);
  const took = await seconds(() => Promise.all(Array.from({ length: 11 }, () => limit.take())));
  expect(took).toBeGreaterThan(0.18);
});

test('an amount beyond the burst passes, and the debt is paid by those who come after', async () => {
  const limit = new RateLimit(1_000);
  const first = await seconds(() => limit.take(1_200));
  const second = await seconds(() => limit.take(100));
  expect(first).toBeLessThan(0.1);
  expect(second).toBeGreaterThan(0.25);
});

test('0 is unbounded', async () => {
  const limit = new RateLimit(0);
  expect(await seconds(() => Promise.all(Array.from({ length: 1_000 }, () => limit.take(1e9))))).toBeLessThan(0.5);
});

test('who is aborted takes nothing', async () => {
  const limit = new RateLimit(10, 1);
  await limit.take();
  const abort = new AbortController();
  abort.abort();
  await limit.take(1, abort.signal);
  expect(await seconds(() => limit.take())).toBeGreaterThan(0.05);
});

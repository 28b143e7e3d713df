import { ArchiveSlots } from './archive-slots';

const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test('never more than the limit, and the harvest leaves one', async () => {
  const slots = new ArchiveSlots(3);
  expect(await slots.acquire('harvest', 10)).toBe(true);
  expect(await slots.acquire('harvest', 10)).toBe(true);
  expect(await slots.acquire('harvest', 10)).toBe(false);
  expect(await slots.acquire('fetch', 10)).toBe(true);
  expect(await slots.acquire('fetch', 10)).toBe(false);
  expect([slots.inUse, slots.waiting]).toEqual([3, 0]);
});

test('of those who wait, retrieval goes first, then probing, then harvest', async () => {
  const slots = new ArchiveSlots(1);
  await slots.acquire('harvest', 10);
  const order: string[] = [];
  for (const purpose of ['harvest', 'probe', 'fetch', 'live'] as const)
    void slots.acquire(purpose, 1_000).then(() => order.push(purpose));
  let held: 'harvest' | 'fetch' | 'live' | 'probe' = 'harvest';
  for (const next of ['fetch', 'live', 'probe', 'harvest'] as const) {
    slots.release(held);
    await later();
    held = next;
  }
  expect(order).toEqual(['fetch', 'live', 'probe', 'harvest']);
});

test('an aborted wait ends at once and takes nothing', async () => {
  const slots = new ArchiveSlots(1);
  await slots.acquire('fetch', 10);
  const abort = new AbortController();
  const waiting = slots.acquire('fetch', 10_000, abort.signal);
  abort.abort();
  expect(await waiting).toBe(false);
  slots.release('fetch');
  expect([slots.inUse, slots.waiting]).toEqual([0, 0]);
});

test('a larger budget lets those in who wait', async () => {
  const slots = new ArchiveSlots(1);
  await slots.acquire('fetch', 10);
  const waiting = slots.acquire('fetch', 1_000);
  slots.resize(2);
  expect(await waiting).toBe(true);
});

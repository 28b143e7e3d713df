import type { ArchiveV1, ArrivedCopyV1 } from '@archipelago/contracts';
import { FetchLeg, type LegEvent } from './fetch-leg';

const leg = (): FetchLeg =>
  new FetchLeg('l', { name: 'north' } as ArchiveV1, { studyInstanceUid: '1.2', sopClasses: [] });
const copy = (n: number): ArrivedCopyV1 => ({ sopInstanceUid: `1.2.${n}`, datasetLength: 10 }) as ArrivedCopyV1;

async function follow(of: FetchLeg, signal?: AbortSignal): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of of.follow(signal)) seen.push(text(event));
  return seen;
}
const text = (event: LegEvent): string =>
  event.kind === 'copy' ? event.copy.sopInstanceUid : event.kind === 'end' ? event.outcome : event.kind;

it('tells early and late followers the same, each instance once', async () => {
  const one = leg();
  const early = follow(one);
  one.arrived(copy(1));
  await new Promise((resolve) => setImmediate(resolve));
  one.arrived(copy(1));
  one.arrived(copy(2));
  const middle = follow(one);
  one.finish({ outcome: 'complete' });
  expect(await early).toEqual(['1.2.1', '1.2.2', 'complete']);
  expect(await middle).toEqual(['1.2.1', '1.2.2', 'complete']);
  expect(await follow(one)).toEqual(['1.2.1', '1.2.2', 'complete']);
  expect([one.count, one.bytes]).toEqual([2, 20]);
});

it('lets a follower go that has no patience, without an end', async () => {
  const one = leg();
  const controller = new AbortController();
  const following = follow(one, controller.signal);
  one.expect([]);
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort();
  expect(await following).toEqual(['expected']);
});

it('ends once, with the first outcome', async () => {
  const one = leg();
  one.finish({ outcome: 'failed', code: 'archive-open' });
  one.finish({ outcome: 'complete' });
  expect(await follow(one)).toEqual(['failed']);
});

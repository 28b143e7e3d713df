import { randomBytes } from 'node:crypto';
import { datasetDigest } from '@archipelago/pack';
import { DigestThreads } from './digest-threads';
import { Slabs } from './slabs';

describe('slabs', () => {
  it('are used again when given back, by size, and only so many are kept', () => {
    const slabs = new Slabs([
      { size: 100, most: 1 },
      { size: 1000, most: 2 },
    ]);
    const small = slabs.take(90);
    const large = slabs.take(101);
    expect([small.bytes.length, large.bytes.length]).toEqual([100, 1000]);
    expect(slabs.take(100)).not.toBe(small);
    slabs.give(small);
    slabs.give(slabs.take(5000));
    expect(slabs.take(1)).toBe(small);
    const other = slabs.take(1);
    slabs.give(small);
    slabs.give(other);
    expect([slabs.take(1), slabs.take(1)]).not.toContain(other);
  });

  it('larger than any that is kept are made as long as needed', () => {
    expect(new Slabs([{ size: 10, most: 1 }]).take(11).bytes.length).toBe(11);
  });
});

describe('digest threads', () => {
  it('give the digests of ranges, in order, of many at a time', async () => {
    const threads = new DigestThreads(2);
    const slab = new Slabs().take(300_000);
    randomBytes(300_000).copy(slab.bytes);
    const ranges: [number, number][] = [
      [0, 100_000],
      [100_000, 100_000],
      [299_999, 300_000],
      [50, 250_000],
    ];
    const wanted = ranges.map(([start, end]) => datasetDigest(slab.bytes.subarray(start, end)));
    const all = await Promise.all(Array.from({ length: 9 }, () => threads.digest(slab.memory, ranges)));
    for (const digests of all) expect(digests).toEqual(wanted);
    await threads.close();
  });

  it('reject what is asked of a closed pool, and what was under way', async () => {
    const threads = new DigestThreads(1);
    const slab = new Slabs().take(1000);
    const under = threads.digest(slab.memory, [[0, 1000]]);
    under.catch(() => undefined);
    await threads.close();
    await expect(under).rejects.toThrow();
    await expect(threads.digest(slab.memory, [[0, 1]])).rejects.toThrow('closed');
  });

  it('reject a range that is not there, and go on', async () => {
    const threads = new DigestThreads(1);
    const slab = new Slabs([]).take(1000);
    await expect(threads.digest(slab.memory, [[0, 1001]])).rejects.toThrow();
    expect(await threads.digest(slab.memory, [[0, 1000]])).toEqual([datasetDigest(slab.bytes)]);
    await threads.close();
  });
});

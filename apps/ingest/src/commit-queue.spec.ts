import { CommitQueue } from './commit-queue';

const settled = <R>(value: R): PromiseSettledResult<R> => ({ status: 'fulfilled', value });

describe('commit queue', () => {
  it('commits what comes alone at once, and together what comes meanwhile, in order', async () => {
    const batches: number[][] = [];
    const go: (() => void)[] = [];
    const queue = new CommitQueue<number, number>(async (items) => {
      batches.push([...items]);
      await new Promise<void>((resolve) => go.push(resolve));
      return items.map((item) => settled(item * 10));
    }, 3);
    const all = Promise.all([1, 2, 3, 4, 5].map((item) => queue.add(item)));
    for (let i = 0; i < 3; i++) {
      while (go.length <= i) await new Promise((resolve) => setImmediate(resolve));
      go[i]!();
    }
    expect(await all).toEqual([10, 20, 30, 40, 50]);
    expect(batches).toEqual([[1], [2, 3, 4], [5]]);
    const later = queue.add(6);
    go.at(-1)!();
    while (go.length < 4) await new Promise((resolve) => setImmediate(resolve));
    go[3]!();
    expect(await later).toBe(60);
  });

  it('rejects those that failed, all when the commit itself did, and goes on', async () => {
    const queue = new CommitQueue<string, string>(async (items) => {
      await Promise.resolve();
      if (items.includes('all')) throw new Error('away');
      return items.map((item) => (item === 'bad' ? { status: 'rejected', reason: new Error('bad') } : settled(item)));
    });
    const results = await Promise.allSettled(['good', 'bad', 'fine'].map((item) => queue.add(item)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const lost = await Promise.allSettled(['first', 'all', 'with it'].map((item) => queue.add(item)));
    expect(lost.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(await queue.add('again')).toBe('again');
  });
});

import { HeldDataset } from '@archipelago/pack';
import { FreshDatasets } from './fresh-datasets';

const MIB = 1024 * 1024;
const MEMORY = Buffer.alloc(64 * MIB);

const freed = jest.fn<void, [number]>();
beforeEach(() => freed.mockClear());

const dataset = (n: number, bytes: number): HeldDataset => new HeldDataset([MEMORY.subarray(0, bytes)], () => freed(n));
const at = (datasetOffset: number): { packId: string; datasetOffset: number } => ({ packId: 'pack', datasetOffset });

describe('fresh datasets', () => {
  it('gives what it has to any number of readers, and lets go of it when it is dropped', () => {
    const fresh = new FreshDatasets();
    const one = dataset(1, 10);
    fresh.add(at(1), one);
    expect(fresh.take(at(1))).toBe(one);
    expect(fresh.take(at(1))).toBe(one);
    expect(fresh.take(at(2))).toBeUndefined();
    expect(fresh.take({ packId: 'other', datasetOffset: 1 })).toBeUndefined();
    fresh.drop(at(1));
    fresh.drop(at(1));
    expect(fresh.take(at(1))).toBeUndefined();
    one.release();
    expect(freed).not.toHaveBeenCalled();
    one.release();
    expect(freed).toHaveBeenCalledTimes(1);
  });

  it('holds so many bytes and no more: the oldest goes first, and who reads it still has it', () => {
    const fresh = new FreshDatasets();
    for (let n = 0; n < 20; n++) fresh.add(at(n), dataset(n, 4 * MIB));
    expect(freed.mock.calls.flat()).toEqual(Array.from({ length: 4 }, (_, n) => n));
    const reader = fresh.take(at(19));
    fresh.add(at(100), dataset(100, 64 * MIB));
    expect(freed.mock.calls.flat()).toEqual(Array.from({ length: 19 }, (_, n) => n));
    expect(fresh.take(at(19))).toBeUndefined();
    reader!.release();
    expect(freed).toHaveBeenLastCalledWith(19);
  });

  it('says until when an object is on its way to the file, also when it does not get there', async () => {
    const fresh = new FreshDatasets();
    let end!: () => void;
    let fail!: (error: Error) => void;
    fresh.beingWritten('a', new Promise<void>((resolve) => (end = resolve)));
    fresh.beingWritten('b', new Promise<void>((_, reject) => (fail = reject)));
    let [a, b] = [false, false];
    const both = [fresh.written('a')!.then(() => (a = true)), fresh.written('b')!.then(() => (b = true))];
    await new Promise((resolve) => setImmediate(resolve));
    expect([a, b]).toEqual([false, false]);
    end();
    fail(new Error('disk'));
    await Promise.all(both);
    await new Promise((resolve) => setImmediate(resolve));
    expect([fresh.written('a'), fresh.written('b')]).toEqual([undefined, undefined]);
  });
});

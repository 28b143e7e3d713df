import type { HeldDataset } from '@archipelago/pack';
import { FreshDatasets } from './fresh-datasets';

const MIB = 1024 * 1024;

/** Counts readers as a held dataset does. */
function dataset(bytes: number): HeldDataset & { users: number } {
  return {
    users: 1,
    bytes,
    pieces: [],
    use() {
      this.users++;
      return this;
    },
    release() {
      this.users--;
    },
  } as unknown as HeldDataset & { users: number };
}

const at = (datasetOffset: number): { packId: string; datasetOffset: number } => ({ packId: 'pack', datasetOffset });

describe('fresh datasets', () => {
  it('gives what it has to any number of readers, and lets go of it when it is dropped', () => {
    const fresh = new FreshDatasets();
    const one = dataset(10);
    fresh.add(at(1), one);
    expect(fresh.take(at(1))).toBe(one);
    expect(fresh.take(at(1))).toBe(one);
    expect(fresh.take(at(2))).toBeUndefined();
    expect(fresh.take({ packId: 'other', datasetOffset: 1 })).toBeUndefined();
    fresh.drop(at(1));
    fresh.drop(at(1));
    expect(one.users).toBe(2);
    expect(fresh.take(at(1))).toBeUndefined();
  });

  it('holds so many bytes and no more: the oldest goes first, and who reads it still has it', () => {
    const fresh = new FreshDatasets();
    const all = Array.from({ length: 20 }, () => dataset(4 * MIB));
    all.forEach((one, n) => fresh.add(at(n), one));
    const reader = fresh.take(at(19));
    expect(all.map((one) => one.users)).toEqual([...Array<number>(12).fill(0), ...Array<number>(7).fill(1), 2]);
    fresh.add(at(100), dataset(32 * MIB));
    expect(reader).toBe(all[19]);
    expect(all[19]!.users).toBe(1);
    expect(fresh.take(at(19))).toBeUndefined();
  });
});

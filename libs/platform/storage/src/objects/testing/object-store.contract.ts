/**
 * What every object store driver must do: run by each driver's own spec against the real thing. Not a spec itself.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObjectInfo, ObjectStore } from '../../object-store';
import {
  ObjectConflictError,
  ObjectDamagedError,
  ObjectNotFoundError,
  ObjectRangeError,
  InvalidKeyError,
} from '../errors';

export interface ContractSubject {
  store: ObjectStore;
  /** Changes the stored bytes behind the store's back. */
  damage(key: string, bytes: Buffer): Promise<void>;
}

const MIB = 1024 * 1024;

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

async function keys(list: AsyncIterable<ObjectInfo>): Promise<string[]> {
  const found: string[] = [];
  for await (const item of list) found.push(item.key);
  return found;
}

function expectation(bytes: Buffer) {
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Declares the tests. `subject` is asked when they run. */
export function objectStoreContract(subject: () => ContractSubject): void {
  let dir: string;
  let n = 0;
  const store = (): ObjectStore => subject().store;
  const file = (bytes: Buffer): string => {
    const path = join(dir, `file-${(n += 1)}`);
    writeFileSync(path, bytes);
    return path;
  };

  beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'object-contract-'))));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test.each([0, 1, 70_000, 8 * MIB, 8 * MIB + 1, 21 * MIB])('a file of %i bytes comes back as it was', async (size) => {
    const bytes = randomBytes(size);
    const key = `size/${size}.pack`;
    await store().putFile(key, file(bytes), expectation(bytes));
    expect((await collect(await store().read(key))).equals(bytes)).toBe(true);
    expect(await store().stat(key)).toMatchObject({ key, bytes: size });
  });

  test('ranges at the edges', async () => {
    const bytes = randomBytes(1000);
    await store().putBuffer('range', bytes);
    for (const [start, end] of [
      [0, 0],
      [0, 1],
      [0, 1000],
      [999, 1000],
      [500, 500],
      [1000, 1000],
      [1, 999],
    ] as const) {
      expect((await store().readRange('range', start, end)).equals(bytes.subarray(start, end))).toBe(true);
      expect((await collect(await store().read('range', { start, end }))).equals(bytes.subarray(start, end))).toBe(
        true,
      );
    }
    for (const [start, end] of [
      [0, 1001],
      [1000, 1001],
      [1001, 1001],
      [2000, 3000],
      [5, 4],
      [-1, 4],
    ] as const) {
      await expect(store().readRange('range', start, end)).rejects.toThrow(ObjectRangeError);
      await expect(store().read('range', { start, end })).rejects.toThrow(ObjectRangeError);
    }
  });

  test('what is not there', async () => {
    expect(await store().stat('missing/one')).toBeNull();
    await expect(store().read('missing/one')).rejects.toThrow(ObjectNotFoundError);
    await expect(store().read('missing/one', { start: 0, end: 10 })).rejects.toThrow(ObjectNotFoundError);
    await expect(store().readRange('missing/one', 0, 10)).rejects.toThrow(ObjectNotFoundError);
    await store().delete('missing/one');
  });

  test('the same again is success, other bytes under the key an error, and the first stay', async () => {
    const bytes = randomBytes(5000);
    const other = Buffer.from(bytes);
    other[2500]! ^= 1;
    await store().putFile('same/a', file(bytes), expectation(bytes));
    await store().putFile('same/a', file(bytes), expectation(bytes));
    await expect(store().putFile('same/a', file(other), expectation(other))).rejects.toThrow(ObjectConflictError);
    await expect(store().putFile('same/a', file(bytes.subarray(1)), expectation(bytes.subarray(1)))).rejects.toThrow(
      ObjectConflictError,
    );
    expect((await collect(await store().read('same/a'))).equals(bytes)).toBe(true);
    await store().putBuffer('same/b', bytes);
    await store().putBuffer('same/b', bytes);
    await expect(store().putBuffer('same/b', other)).rejects.toThrow(ObjectConflictError);
  });

  test('a stored copy that was damaged is noticed, and replaced when asked to', async () => {
    const bytes = randomBytes(300_000);
    const path = file(bytes);
    const wrong = Buffer.from(bytes);
    wrong[299_999]! ^= 0x80;
    const expected = expectation(bytes);
    await store().putBuffer('damage/a', bytes);
    await subject().damage('damage/a', wrong);
    await expect(store().putFile('damage/a', path, expected)).rejects.toThrow(ObjectConflictError);
    await store().putFile('damage/a', path, { ...expected, repair: true });
    expect((await collect(await store().read('damage/a'))).equals(bytes)).toBe(true);
    await subject().damage('damage/a', bytes.subarray(0, 1000));
    await store().putFile('damage/a', path, { ...expected, repair: true });
    expect((await store().readRange('damage/a', 0, 300_000)).equals(bytes)).toBe(true);
  });

  test('a file of another size than expected is not stored', async () => {
    const bytes = randomBytes(100);
    await expect(store().putFile('size-differs', file(bytes), { ...expectation(bytes), bytes: 99 })).rejects.toThrow(
      ObjectDamagedError,
    );
    expect(await store().stat('size-differs')).toBeNull();
  });

  test("a digest of the caller's own compares what is stored", async () => {
    const bytes = randomBytes(100_000);
    const seen: number[] = [];
    const digest = async (stream: AsyncIterable<Buffer>): Promise<string> => {
      const read = await collect(stream);
      seen.push(read.length);
      return read.subarray(0, 8).toString('hex');
    };
    const path = file(bytes);
    const expected = { bytes: bytes.length, sha256: bytes.subarray(0, 8).toString('hex'), digest };
    await store().putFile('digest/a', path, expected);
    await subject().damage('digest/a', Buffer.concat([Buffer.alloc(8), bytes.subarray(8)]));
    await expect(store().putFile('digest/a', path, expected)).rejects.toThrow(ObjectConflictError);
    expect(seen.at(-1)).toBe(bytes.length);
  });

  test('lists in key order, beyond a page, from a key on', async () => {
    const names = Array.from({ length: 1103 }, (_, i) => `list/${i % 3}/x-${String(i).padStart(4, '0')}`);
    for (let i = 0; i < names.length; i += 50) {
      await Promise.all(names.slice(i, i + 50).map((key) => store().putBuffer(key, Buffer.from(key))));
    }
    for (const key of ['list/0.a', 'list/0-a', 'list/0', 'listen'])
      await store().putBuffer(`${key}.z`, Buffer.from('z'));
    const all = [...names, 'list/0.a.z', 'list/0-a.z', 'list/0.z', 'listen.z'].sort();
    expect(await keys(store().list('list'))).toEqual(all);
    expect(await keys(store().list('list/1/'))).toEqual(all.filter((k) => k.startsWith('list/1/')));
    expect(await keys(store().list('list/1/x-00'))).toEqual(all.filter((k) => k.startsWith('list/1/x-00')));
    expect(await keys(store().list('list', 'list/1/x-0400'))).toEqual(all.filter((k) => k > 'list/1/x-0400'));
    expect(await keys(store().list('nothing/'))).toEqual([]);
    for await (const item of store().list('list/0.a')) {
      expect(item).toMatchObject({ key: 'list/0.a.z', bytes: 1 });
      expect(Math.abs(item.modifiedAt.getTime() - Date.now())).toBeLessThan(600_000);
    }
  }, 120_000);

  test('deleted is gone', async () => {
    await store().putBuffer('gone/a', Buffer.from('a'));
    await store().delete('gone/a');
    expect(await store().stat('gone/a')).toBeNull();
    await store().delete('gone/a');
    await store().putBuffer('gone/a', Buffer.from('b'));
    expect((await store().readRange('gone/a', 0, 1)).toString()).toBe('b');
  });

  test.each([
    '../out',
    'a/../../out',
    '/etc/passwd',
    'a//b',
    'a/',
    './a',
    'a/./b',
    '',
    'a\\b',
    'ä',
    'a\0b',
    '~staging/x',
    'a'.repeat(513),
  ])('no key: %j', async (key) => {
    await expect(store().putBuffer(key, Buffer.from('x'))).rejects.toThrow(InvalidKeyError);
    await expect(store().putFile(key, file(Buffer.from('x')), expectation(Buffer.from('x')))).rejects.toThrow(
      InvalidKeyError,
    );
    await expect(store().read(key)).rejects.toThrow(InvalidKeyError);
    await expect(store().readRange(key, 0, 1)).rejects.toThrow(InvalidKeyError);
    await expect(store().stat(key)).rejects.toThrow(InvalidKeyError);
    await expect(store().delete(key)).rejects.toThrow(InvalidKeyError);
  });

  test('a read can be aborted', async () => {
    const bytes = randomBytes(12 * MIB);
    await store().putBuffer('abort', bytes);
    const abort = new AbortController();
    const stream = await store().read('abort', undefined, abort.signal);
    let seen = 0;
    const reading = (async () => {
      for await (const part of stream) {
        seen += (part as Buffer).length;
        abort.abort();
      }
    })();
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    expect(seen).toBeLessThan(bytes.length);
    await expect(store().read('abort', undefined, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('two who store the same at once both succeed', async () => {
    const bytes = randomBytes(2 * MIB);
    const paths = [file(bytes), file(bytes), file(bytes)];
    await Promise.all(paths.map((path) => store().putFile('twice', path, expectation(bytes))));
    expect((await collect(await store().read('twice'))).equals(bytes)).toBe(true);
  });

  test('ping', async () => {
    await expect(store().ping()).resolves.toBeUndefined();
  });
}

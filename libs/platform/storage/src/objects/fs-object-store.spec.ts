import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { FsObjectStore } from './fs-object-store';
import { createObjectStore, ObjectStoreConfigError, parseObjectStore } from './create-object-store';
import { ObjectDamagedError, StoreUnavailableError, StoreFullError } from './errors';
import { S3ObjectStore } from './s3-object-store';
import { objectStoreContract } from './testing/object-store.contract';

let root: string;
let store: FsObjectStore;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'fs-store-'));
  store = new FsObjectStore(join(root, 'objects'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('contract', () => {
  objectStoreContract(() => ({
    store,
    damage: (key, bytes) => {
      // Another file under the name: the adopted one is the test's own as well.
      rmSync(join(root, 'objects', key));
      writeFileSync(join(root, 'objects', key), bytes);
      return Promise.resolve();
    },
  }));
});

function expected(bytes: Buffer) {
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

test('a file on the same disk is adopted by hard link, and outlives its first name', async () => {
  const path = join(root, 'segment');
  const bytes = Buffer.from('the pack');
  writeFileSync(path, bytes);
  await store.putFile('packs/a', path, expected(bytes));
  const adopted = join(root, 'objects', 'packs', 'a');
  expect(statSync(adopted).ino).toBe(statSync(path).ino);
  await store.putFile('packs/a', path, expected(bytes));
  rmSync(path);
  expect((await store.readRange('packs/a', 0, 8)).toString()).toBe('the pack');
});

test('damage of an adopted file is not repaired with itself', async () => {
  const path = join(root, 'segment-2');
  const bytes = Buffer.from('the pack, again');
  writeFileSync(path, bytes);
  await store.putFile('packs/b', path, expected(bytes));
  writeFileSync(path, Buffer.from('the pack, AGAIN'));
  await expect(store.putFile('packs/b', path, { ...expected(bytes), repair: true })).rejects.toThrow(
    ObjectDamagedError,
  );
  expect(await store.stat('packs/b')).toBeNull();
});

test('nothing stays in the staging folder', () => {
  expect(readdirSync(join(root, 'objects', '~staging'))).toEqual([]);
});

const otherDisk = '/dev/shm';
(existsSync(otherDisk) && statSync(otherDisk).dev !== statSync(tmpdir()).dev ? test : test.failing)(
  'a file on another disk is copied, synced and compared (needs a second file system at /dev/shm)',
  async () => {
    const folder = mkdtempSync(join(otherDisk, 'fs-store-'));
    try {
      const bytes = Buffer.alloc(300_000, 7);
      writeFileSync(join(folder, 'segment'), bytes);
      await store.putFile('packs/copied', join(folder, 'segment'), expected(bytes));
      expect((await store.readRange('packs/copied', 0, 300_000)).equals(bytes)).toBe(true);
      const wrong = { ...expected(bytes), sha256: '0'.repeat(64) };
      await expect(store.putFile('packs/wrong', join(folder, 'segment'), wrong)).rejects.toMatchObject({
        code: 'object-damaged',
      });
      expect(await store.stat('packs/wrong')).toBeNull();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

test('a folder that cannot be used fails as unavailable, never as missing objects', async () => {
  const blocked = join(root, 'blocked');
  writeFileSync(blocked, 'a file, not a folder');
  await expect(new FsObjectStore(blocked).ping()).rejects.toMatchObject({
    kind: expect.stringMatching(/transient|permanent/),
  });
  await expect(new FsObjectStore(blocked).putBuffer('a', Buffer.from('a'))).rejects.toThrow();
  expect(new StoreFullError().kind).toBe('transient');
  expect(new StoreUnavailableError('x').kind).toBe('transient');
});

test('a key below another key is a conflict, not a crash', async () => {
  await store.putBuffer('leaf', Buffer.from('x'));
  await expect(store.putBuffer('leaf/below', Buffer.from('x'))).rejects.toMatchObject({ kind: 'permanent' });
  mkdirSync(join(root, 'objects', 'branch', 'deep'), { recursive: true });
  expect(await store.stat('branch')).toBeNull();
});

test('addresses of stores', () => {
  expect(parseObjectStore('fs:/data/objects')).toEqual({ kind: 'fs', dir: '/data/objects' });
  expect(parseObjectStore('s3:http://127.0.0.1:9000/packs')).toEqual({
    kind: 's3',
    endpoint: 'http://127.0.0.1:9000',
    bucket: 'packs',
  });
  for (const bad of [
    '',
    'fs:',
    '/data',
    's3:',
    's3:host/bucket',
    's3:ftp://h/bucket',
    's3:http://h/',
    's3:http://h/ab',
    's3:http://u:p@h/bucket',
    's3:http://h/a/b',
  ]) {
    expect(() => parseObjectStore(bad)).toThrow(ObjectStoreConfigError);
  }
  expect(() => createObjectStore('s3:http://h:9000/bucket', {})).toThrow(ObjectStoreConfigError);
  const env = { ARCHIPELAGO_S3_ACCESS_KEY: 'a', ARCHIPELAGO_S3_SECRET_KEY: 'b' };
  expect(createObjectStore('s3:http://h:9000/bucket', env)).toBeInstanceOf(S3ObjectStore);
  expect(createObjectStore('fs:/tmp/x', {}, 'archive').name).toBe('archive');
});

import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockPool, BLOCK_BYTES } from './block-pool';
import { DiskThreads, SyncFailedError } from './disk-threads';
import { bytesOf, temporaryDir } from './testing/fixtures';

let tmp: { dir: string; remove: () => void };
let threads: DiskThreads;
const pool = new BlockPool();

beforeEach(() => {
  tmp = temporaryDir();
  threads = DiskThreads.open(2)!;
});
afterEach(async () => {
  await threads.close();
  tmp.remove();
});

function block(bytes: Buffer): Buffer {
  const into = pool.take();
  return into.subarray(0, bytes.copy(into));
}

test('bytes of several blocks and of several files at once lie where they belong', async () => {
  const paths = [0, 1, 2, 3, 4].map((i) => join(tmp.dir, String(i)));
  const fds = paths.map((path) => openSync(path, 'wx+'));
  const contents = paths.map((_, i) => [bytesOf(BLOCK_BYTES, i), bytesOf(100 + i, i)]);
  await Promise.all(fds.map((fd, i) => threads.writeAndSync(fd, contents[i]!.map(block), i * 10)));
  fds.forEach((fd) => closeSync(fd));
  paths.forEach((path, i) => {
    const written = readFileSync(path);
    expect(written.subarray(0, i * 10).every((byte) => byte === 0)).toBe(true);
    expect(written.subarray(i * 10).equals(Buffer.concat(contents[i]!))).toBe(true);
  });
  expect(threads.calls).toBe(5);
});

test('a write that fails keeps its code, a sync that fails is told apart, and the thread goes on', async () => {
  const readOnly = openSync('/dev/null', 'r');
  const noSync = openSync('/dev/null', 'r+');
  const full = openSync('/dev/full', 'r+');
  const piece = [block(bytesOf(10, 1))];
  await expect(threads.writeAndSync(readOnly, piece, 0)).rejects.toMatchObject({ code: 'EBADF' });
  await expect(threads.writeAndSync(full, piece, 0)).rejects.toMatchObject({ code: 'ENOSPC' });
  const failed = threads.writeAndSync(noSync, piece, 0);
  await expect(failed).rejects.toThrow(SyncFailedError);
  await expect(failed).rejects.toMatchObject({ code: 'EINVAL' });
  const good = openSync(join(tmp.dir, 'good'), 'wx+');
  await threads.writeAndSync(good, piece, 0);
  expect(() => threads.writeAndSync(good, [Buffer.from('elsewhere')], 0)).toThrow(RangeError);
  for (const fd of [readOnly, noSync, full, good]) closeSync(fd);
});

test('what is under way when the threads are closed is not taken for written', async () => {
  const fd = openSync(join(tmp.dir, 'late'), 'wx+');
  const late = threads.writeAndSync(fd, [block(bytesOf(10, 1))], 0);
  const outcome = late.then(
    () => 'on disk',
    (error: Error) => error.name,
  );
  await threads.close();
  expect(['SyncFailedError', 'on disk']).toContain(await outcome);
  await expect(threads.writeAndSync(fd, [], 0)).rejects.toThrow('closed');
  closeSync(fd);
});

test('threads that are closed while they start end by themselves, and leave the process alive', async () => {
  const many = Array.from({ length: 6 }, () => DiskThreads.open(1)!);
  await Promise.all(
    many.map(async (each, i) => {
      await new Promise((resolve) => setTimeout(resolve, i * 60));
      await each.close();
    }),
  );
  await expect(many[0]!.writeAndSync(0, [], 0)).rejects.toThrow('closed');
});

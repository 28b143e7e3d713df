/** The thread behind DiskThreads: takes requests one after the other, and waits for the next without an event loop. */
import { fdatasyncSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { cFunction } from './c-library';
import type { DiskReply, DiskRequest, DiskThreadData } from './disk-threads';

type PWritev = (fd: number, vector: Buffer, count: number, offset: number) => number;

const { port, signal, library } = workerData as DiskThreadData;
const bell = new Int32Array(signal);
const signature = 'int64_t pwritev(int fd, const void *vector, int count, int64_t offset)';
const pwritev = cFunction(library, signature) as PWritev;
// eslint-disable-next-line @typescript-eslint/no-require-imports
const koffi = require('koffi') as { errno(): number };

/** pwritev(2) takes at most 1024 (IOV_MAX); there are twelve, or one more. */
const MOST_PIECES = 64;
const vector = Buffer.alloc(MOST_PIECES * 16);

/** @param pieces address and length in turn */
function write(fd: number, position: number, pieces: number[]): void {
  let left = [...pieces];
  for (let at = position; left.length > 0;) {
    const count = Math.min(left.length / 2, MOST_PIECES);
    for (let i = 0; i < 2 * count; i += 1) vector.writeBigUInt64LE(BigInt(left[i]!), i * 8);
    const written = pwritev(fd, vector, count, at);
    if (written < 0) throw systemError(koffi.errno());
    if (written === 0) throw new Error('nothing could be written');
    at += written;
    left = behind(left, written);
  }
}

/** What is left to write after `written` bytes went out. */
function behind(pieces: number[], written: number): number[] {
  let skip = written;
  const rest: number[] = [];
  for (let i = 0; i < pieces.length; i += 2) {
    const taken = Math.min(skip, pieces[i + 1]!);
    skip -= taken;
    if (taken < pieces[i + 1]!) rest.push(pieces[i]! + taken, pieces[i + 1]! - taken);
  }
  return rest;
}

function systemError(errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code}, pwritev`), { code });
}

function serve({ id, fd, position, pieces }: DiskRequest): void {
  let step: DiskReply['step'] = 'write';
  try {
    write(fd, position, pieces);
    step = 'sync';
    fdatasyncSync(fd);
    port.postMessage({ id } satisfies DiskReply);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    port.postMessage({ id, step, message, code } satisfies DiskReply);
  }
}

while (Atomics.load(bell, 1) === 0) {
  const rung = Atomics.load(bell, 0);
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
    serve(next.message as DiskRequest);
  }
  if (Atomics.load(bell, 1) === 0) Atomics.wait(bell, 0, rung);
}
port.close();

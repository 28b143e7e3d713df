/** The thread behind DiskThreads: takes requests one after the other, and waits for the next without an event loop. */
import { fdatasyncSync, writevSync } from 'node:fs';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { DiskReply, DiskRequest, DiskThreadData } from './disk-threads';
import { remaining } from './file-ops';

const { port, signal } = workerData as DiskThreadData;
const bell = new Int32Array(signal);

function write({ fd, position, memory, pieces }: DiskRequest): void {
  let rest: Uint8Array[] = [];
  for (let i = 0; i < pieces.length; i += 3) {
    rest.push(new Uint8Array(memory[pieces[i]!]!, pieces[i + 1], pieces[i + 2]));
  }
  for (let at = position; rest.length > 0;) {
    const written = writevSync(fd, rest, at);
    if (written === 0) throw new Error('nothing could be written');
    at += written;
    rest = remaining(rest, written);
  }
}

function serve(request: DiskRequest): void {
  let step: DiskReply['step'] = 'write';
  try {
    write(request);
    step = 'sync';
    fdatasyncSync(request.fd);
    port.postMessage({ id: request.id } satisfies DiskReply);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    port.postMessage({ id: request.id, step, message, code } satisfies DiskReply);
  }
}

for (;;) {
  const rung = Atomics.load(bell, 0);
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
    serve(next.message as DiskRequest);
  }
  Atomics.wait(bell, 0, rung);
}

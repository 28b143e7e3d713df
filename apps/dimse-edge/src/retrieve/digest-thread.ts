/** Entry of a thread of DigestThreads: one task at a time, each answered once. */
import { createHash } from 'node:crypto';
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import type { DigestReply, DigestTask } from './digest-threads';

// What is computed here is ahead of what is being sent: on a busy machine the sender goes first. On Linux this is the
// priority of the calling thread alone (setpriority(2), "NPTL"); elsewhere it would be that of the whole process.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

parentPort?.on('message', ({ id, memory, ranges }: DigestTask) => {
  const reply: DigestReply = {
    id,
    digests: ranges.map(([start, end]) =>
      createHash('sha256')
        .update(new Uint8Array(memory, start, end - start))
        .digest('hex'),
    ),
  };
  parentPort?.postMessage(reply);
});

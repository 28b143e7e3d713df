/** Entry of a thread of DigestThreads: one task at a time, each answered once. */
import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { DigestReply, DigestTask } from './digest-threads';

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

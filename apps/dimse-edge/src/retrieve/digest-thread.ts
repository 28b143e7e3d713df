/** Entry of a thread of DigestThreads: one task at a time, each answered once. */
import { parentPort } from 'node:worker_threads';
import { datasetDigest } from '@archipelago/pack';
import type { DigestReply, DigestTask } from './digest-threads';

parentPort?.on('message', ({ id, memory, ranges }: DigestTask) => {
  const reply: DigestReply = {
    id,
    digests: ranges.map(([start, end]) => datasetDigest(new Uint8Array(memory, start, end - start))),
  };
  parentPort?.postMessage(reply);
});

import { parentPort, workerData } from 'node:worker_threads';
import { PixelError } from './api';
import { decodeFrame, encodeFrame, loadCodecs } from './codec';
import type { PoolReply, PoolTask, WorkerData } from './pool-protocol';

/** Entry of a pool's thread: one task at a time, each answered once. */
async function handle(task: PoolTask): Promise<void> {
  let reply: PoolReply;
  try {
    await loadCodecs((workerData as WorkerData).codecMemoryBytes);
    const data = Buffer.from(task.data.buffer, task.data.byteOffset, task.data.length);
    if (task.op === 'decode') {
      const { data: out, ...rest } = decodeFrame(task.transferSyntaxUid, task.attributes, data, task.limits);
      reply = { id: task.id, ok: true, data: own(out), frame: rest };
    } else {
      reply = {
        id: task.id,
        ok: true,
        data: own(encodeFrame(task.transferSyntaxUid, task.attributes, data, task.limits)),
      };
    }
  } catch (error) {
    const known = error instanceof PixelError;
    reply = {
      id: task.id,
      ok: false,
      code: known ? error.code : 'codec-failed',
      message: error instanceof Error ? error.message : String(error),
    };
  }
  parentPort?.postMessage(reply, reply.ok ? [reply.data.buffer as ArrayBuffer] : []);
}

/** A view that owns its whole ArrayBuffer, so that it can be moved instead of copied. */
function own(data: Buffer): Uint8Array {
  if (data.byteOffset === 0 && data.byteLength === data.buffer.byteLength) return new Uint8Array(data.buffer);
  return Uint8Array.from(data);
}

parentPort?.on('message', (task: PoolTask) => void handle(task));

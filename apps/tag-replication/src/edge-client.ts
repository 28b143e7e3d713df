import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import {
  ArchiveTask,
  type ArchiveTaskOrder,
  type ArchiveTaskReply,
  type ArchiveTaskResult,
  type ArchiveV1,
} from '@archipelago/contracts';
import { ANY_OF_SITE, Bus } from '@archipelago/platform-bus';
import { BugError, isTransient, PermanentError, TransientError } from '@archipelago/platform-service';

export interface EdgeJob {
  jobId: string;
  /** The edge that has it; undefined: not begun, or not known. */
  edgeId?: string;
}

const WAIT_MS = 10_000;
const REPLY_MS = 20_000;
/** An edge that does not answer for so long is gone with its jobs. */
const GONE_MS = 15_000;

/** Has work at an archive done by an edge of its site, and follows it to its end. */
@Injectable()
export class EdgeClient {
  constructor(private readonly bus: Bus) {}

  newJob(): EdgeJob {
    return { jobId: randomUUID() };
  }

  /**
   * @param begun called with the edge that took it, before its end: written down, the work can be followed after a crash
   * @throws TransientError `edge-gone`, `job-lost`, `bus-...` (begin anew), or the edge's own error
   */
  async run(
    archive: ArchiveV1,
    order: ArchiveTaskOrder,
    job: EdgeJob,
    options: { signal?: AbortSignal; begun?: (edgeId: string) => Promise<void> } = {},
  ): Promise<ArchiveTaskResult> {
    const { jobId } = job;
    const { site } = archive;
    const begin = (waitMs: number): Promise<ArchiveTaskReply> =>
      this.bus.request(
        ArchiveTask,
        { jobId, waitMs, begin: { archive, order } },
        { site, partition: ANY_OF_SITE, timeoutMs: REPLY_MS },
      );
    let reply: ArchiveTaskReply;
    let { edgeId } = job;
    if (edgeId === undefined) {
      reply = await begin(500);
      edgeId = reply.edgeId;
      await options.begun?.(edgeId);
    } else reply = await this.follow(site, jobId, edgeId, 0, 0);
    while (reply.state === 'running') {
      options.signal?.throwIfAborted();
      reply = await this.follow(site, jobId, edgeId, WAIT_MS, 0);
    }
    if (reply.state === 'failed') throw errorOf(reply);
    return this.pages(site, jobId, edgeId, reply);
  }

  private async pages(
    site: string,
    jobId: string,
    edgeId: string,
    first: ArchiveTaskReply,
  ): Promise<ArchiveTaskResult> {
    const whole = first.result as ArchiveTaskResult;
    for (let { next } = first; next !== undefined;) {
      const reply = await this.follow(site, jobId, edgeId, 0, next);
      for (const part of reply.result?.parts ?? []) {
        const last = whole.parts.at(-1);
        // a piece of the part before goes on where that stopped
        if (last && last.study === part.study && last.answers === part.answers && last.items.length > 0)
          last.items.push(...part.items);
        else whole.parts.push(part);
      }
      next = reply.next;
    }
    return whole;
  }

  private async follow(
    site: string,
    jobId: string,
    edgeId: string,
    waitMs: number,
    after: number,
  ): Promise<ArchiveTaskReply> {
    const end = Date.now() + GONE_MS + waitMs;
    for (;;) {
      try {
        const options = { site, partition: edgeId, timeoutMs: waitMs + 5_000 };
        return await this.bus.request(ArchiveTask, { jobId, waitMs, after }, options);
      } catch (error) {
        if ((error as { code?: string }).code === 'job-unknown')
          throw new TransientError('job-lost', 'the edge was started anew: the work has to be begun again');
        if (!isTransient(error)) throw error;
        if (Date.now() >= end)
          throw new TransientError('edge-gone', 'the edge does not answer any more', { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

function errorOf({ error }: ArchiveTaskReply): Error {
  const { kind, code, message } = error ?? { kind: 'bug', code: 'edge-job', message: 'the work failed' };
  if (kind === 'transient') return new TransientError(code, message);
  return kind === 'permanent' ? new PermanentError(code, message) : new BugError(code, message);
}

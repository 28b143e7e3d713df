import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import {
  ArchiveTask,
  type ArchiveTaskOrder,
  type ArchiveTaskReply,
  type ArchiveTaskResult,
  type ArchiveTaskV1,
  type ArchiveV1,
} from '@archipelago/contracts';
import { SiteResponders } from '@archipelago/platform-bus';
import {
  classifyError,
  coreConfig,
  type CoreConfig,
  Logger,
  PermanentError,
  SITE,
  TransientError,
} from '@archipelago/platform-service';
import { ArchiveConnections } from '../archives/archive-connections';
import { ArchiveMetrics } from '../archives/archive.metrics';
import { SpoolService } from '../segments/spool.service';
import { imagesTask, liveTask, seriesTask, studiesTask } from './find-tasks';
import { fullTask } from './full-tasks';
import { HarvestWriter } from './harvest-writer';
import { probeTask } from './probe-task';
import { pageOf } from './result-page';
import type { PartsOf } from './task-context';

const MOST_JOBS = 64;
/** Live queries are counted apart: neither they nor the harvest keep the other from its work. */
const MOST_LIVE = 256;
/** A job that nobody asked for so long is given up, its result forgotten. */
const FORGOTTEN_MS = 60_000;

interface Job {
  live: boolean;
  state: ArchiveTaskReply['state'];
  ended: Promise<void>;
  result?: ArchiveTaskResult;
  error?: ArchiveTaskReply['error'];
  lastAsked: number;
  abort: AbortController;
}

/** Work at the archives of this site for the centre: probing and harvest (`ArchiveTask`). */
@Injectable()
export class ArchiveJobs implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly jobs = new Map<string, Job>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly responders: SiteResponders,
    private readonly spool: SpoolService,
    private readonly connections: ArchiveConnections,
    private readonly metrics: ArchiveMetrics,
    private readonly logger: Logger,
    @Inject(coreConfig.KEY) private readonly core: CoreConfig,
    @Inject(SITE) private readonly site: string,
  ) {}

  onApplicationBootstrap(): void {
    const answer = (request: ArchiveTaskV1): Promise<ArchiveTaskReply> => this.answer(request);
    this.responders.answer(ArchiveTask, { concurrency: 256 }, answer);
    this.responders.answer(ArchiveTask, { concurrency: 256, only: this.spool.spool.edgeId }, answer);
    this.timer = setInterval(() => this.forget(), 5_000);
    this.timer.unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    for (const job of this.jobs.values()) job.abort.abort();
    await Promise.all([...this.jobs.values()].map((job) => job.ended));
  }

  /** @throws PermanentError `job-unknown`; TransientError `busy` */
  async answer({ jobId, waitMs, after, begin }: ArchiveTaskV1): Promise<ArchiveTaskReply> {
    let job = this.jobs.get(jobId);
    if (!job) {
      if (!begin) throw new PermanentError('job-unknown', 'this edge does not know the job: begin it again');
      job = this.begin(jobId, begin.archive, begin.order);
    }
    job.lastAsked = Date.now();
    await Promise.race([job.ended, new Promise((resolve) => setTimeout(resolve, waitMs).unref())]);
    job.lastAsked = Date.now();
    const { state, result, error } = job;
    const page = result ? pageOf(result, after) : {};
    return { edgeId: this.spool.spool.edgeId, state, error, ...page };
  }

  private begin(jobId: string, archive: ArchiveV1, order: ArchiveTaskOrder): Job {
    const live = order.kind === 'live';
    const running = [...this.jobs.values()].filter((job) => job.state === 'running' && job.live === live).length;
    if (running >= (live ? MOST_LIVE : MOST_JOBS))
      throw new TransientError('busy', 'this edge has as many jobs as it takes');
    const abort = new AbortController();
    const job: Job = { live, state: 'running', ended: Promise.resolve(), lastAsked: Date.now(), abort };
    job.ended = this.run(archive, order, abort.signal).then(
      (result) => {
        job.result = result;
        job.state = 'done';
      },
      (thrown: unknown) => {
        const { kind, code, message } = classifyError(thrown);
        job.error = { kind, code, message: kind === 'bug' ? 'internal error' : message };
        job.state = 'failed';
        if (abort.signal.aborted) return;
        this.logger.error('work at an archive failed', { archive: archive.name, code, err: thrown });
      },
    );
    this.jobs.set(jobId, job);
    return job;
  }

  private async run(archive: ArchiveV1, order: ArchiveTaskOrder, signal: AbortSignal): Promise<ArchiveTaskResult> {
    let writer: HarvestWriter | undefined;
    const open = (): HarvestWriter =>
      (writer ??= new HarvestWriter({
        archive,
        site: this.site,
        aeTitle: this.core.aeTitle,
        segments: (events) => this.spool.harvestSegments(events),
      }));
    try {
      const done = await taskOf(order)({
        archive,
        connections: this.connections,
        writer: open,
        signal,
        answered: (outcome, count) => this.metrics.answered(archive.name, outcome, count),
        read: (bytes) => this.metrics.read(archive.name, bytes),
      });
      await writer?.close();
      return { ...done, packs: writer?.packs ?? [], bytes: writer?.bytes ?? 0 };
    } catch (error) {
      // what was written is true and is told of as any pack
      await writer?.close().catch(() => undefined);
      throw error;
    }
  }

  private forget(): void {
    const old = Date.now() - FORGOTTEN_MS;
    for (const [id, job] of this.jobs) {
      if (job.lastAsked > old) continue;
      job.abort.abort();
      if (job.state !== 'running') this.jobs.delete(id);
    }
  }
}

function taskOf(order: ArchiveTaskOrder): PartsOf {
  switch (order.kind) {
    case 'probe':
      return probeTask;
    case 'studies':
      return studiesTask(order);
    case 'live':
      return liveTask(order);
    case 'series':
      return seriesTask(order);
    case 'images':
      return imagesTask(order);
    case 'full':
      return fullTask(order);
  }
}

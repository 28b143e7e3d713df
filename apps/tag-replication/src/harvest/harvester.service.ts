import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { ArchiveV1 } from '@archipelago/contracts';
import { Leases } from '@archipelago/platform-bus';
import { classifyError, Logger } from '@archipelago/platform-service';
import { EdgeClient } from '../edge-client';
import { RegistryRepository } from '../registry/registry.repository';
import { RegistryService } from '../registry/registry.service';
import { tagReplicationConfig, type TagReplicationConfig } from '../tag-replication.config';
import { TagReplicationMetrics } from '../tag-replication.metrics';
import { ApplyService } from './apply.service';
import { ArchiveWorker } from './archive-worker';
import { HarvestRepository } from './harvest.repository';
import { PlannerService } from './planner.service';
import { StatusService } from './status.service';

const LOOK_MS = 1_000;
/** After a failure, so that an outage is a few lines and not a flood. */
const PAUSE_MS = 10_000;
const LEASE_SECONDS = 15;
/** Longest wait of a stop for steps that are being written down. */
const STOP_MS = 3_000;

/** One worker for each archive, in whichever process holds its lease. */
@Injectable()
export class HarvesterService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly workers = new Map<string, Promise<void>>();
  private readonly stop = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly repository: HarvestRepository,
    private readonly registry: RegistryService,
    private readonly contacts: RegistryRepository,
    private readonly planner: PlannerService,
    private readonly apply: ApplyService,
    private readonly edge: EdgeClient,
    private readonly status: StatusService,
    private readonly metrics: TagReplicationMetrics,
    private readonly leases: Leases,
    private readonly logger: Logger,
    @Inject(tagReplicationConfig.KEY) private readonly config: TagReplicationConfig,
  ) {}

  onApplicationBootstrap(): void {
    this.registry.onChange(() => void this.look());
    this.later(0);
  }

  async onModuleDestroy(): Promise<void> {
    clearTimeout(this.timer);
    this.stop.abort();
    await Promise.race([
      Promise.allSettled(this.workers.values()),
      new Promise((resolve) => setTimeout(resolve, STOP_MS).unref()),
    ]);
  }

  private later(ms: number): void {
    if (this.stop.signal.aborted) return;
    this.timer = setTimeout(() => void this.look().finally(() => this.later(LOOK_MS)), ms);
    this.timer.unref();
  }

  private async look(): Promise<void> {
    try {
      for (const name of await this.wanted()) {
        if (this.workers.has(name) || this.stop.signal.aborted) continue;
        const [archive] = await this.registry.list(name);
        if (!archive || this.workers.has(name)) continue;
        const work = this.work(archive).finally(() => this.workers.delete(name));
        this.workers.set(name, work);
      }
    } catch (error) {
      this.logger.warn('archives could not be looked at', { code: classifyError(error).code });
      await this.pause();
    }
  }

  /** Active archives, and removed ones of which something is still known. */
  private async wanted(): Promise<string[]> {
    const { rows } = await this.repository.query<{ name: string }>(
      `SELECT name FROM archive a
        WHERE (state = 'active' AND depth <> 'none')
           OR (state = 'removed' AND (EXISTS (SELECT FROM harvest_study h WHERE h.archive = a.name)
                                   OR EXISTS (SELECT FROM harvest_step s WHERE s.archive = a.name)))`,
    );
    return rows.map((row) => row.name);
  }

  private async work(archive: ArchiveV1): Promise<void> {
    const { repository, registry, contacts, planner, apply, edge, status, metrics, config, logger } = this;
    const parts = { repository, registry, contacts, planner, apply, edge, status, metrics, config, logger };
    try {
      await this.leases.whileHeld(`harvest:${archive.name}`, LEASE_SECONDS, (lease, lost) =>
        new ArchiveWorker(parts, archive, lease, AbortSignal.any([lost, this.stop.signal])).run(),
      );
    } catch (thrown) {
      const error = classifyError(thrown);
      if (error.kind === 'transient')
        this.logger.warn('harvest interrupted', { archive: archive.name, code: error.code });
      else this.logger.error('harvest failed', { archive: archive.name, code: error.code, err: thrown });
      await this.pause();
    }
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, PAUSE_MS);
      timer.unref();
      this.stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

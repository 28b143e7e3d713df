import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { AssociationSegments, type SealedPack, Spool } from '@archipelago/pack';
import { Bus } from '@archipelago/platform-bus';
import { type ComponentHealth, HealthRegistry, Logger, SITE } from '@archipelago/platform-service';
import type { ObjectStore } from '@archipelago/platform-storage';
import { type EdgeConfig, edgeConfig, spoolDir } from '../edge.config';
import { EdgeMetrics } from '../edge.metrics';
import { OBJECT_STORE } from '../edge.tokens';
import { PackKeeper } from './pack-keeper';
import { type SegmentLane, SpoolLane, StrictLane } from './segment-lane';

const HOUSEKEEPING_MS = 30_000;
/** How long after a start, and how often, the centre is told again of the packs that it has confirmed. */
const TELL_FIRST_MS = 5_000;
const TELL_AGAIN_MS = 24 * 3_600_000;
const HOUR_MS = 3_600_000;

/** The spool of this edge and what becomes of its packs. Opens it, recovers what a crash left, and cleans up. */
@Injectable()
export class SpoolService implements OnModuleInit, OnApplicationShutdown {
  private opened: Spool | undefined;
  private packs: PackKeeper | undefined;
  private timer: NodeJS.Timeout | undefined;
  private tellTimer: NodeJS.Timeout | undefined;
  private sealFailed = false;

  constructor(
    @Inject(edgeConfig.KEY) private readonly config: EdgeConfig,
    @Inject(SITE) private readonly site: string,
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    private readonly bus: Bus,
    private readonly metrics: EdgeMetrics,
    private readonly health: HealthRegistry,
    private readonly logger: Logger,
  ) {}

  get spool(): Spool {
    if (!this.opened) throw new Error('the spool is not open');
    return this.opened;
  }

  get keeper(): PackKeeper {
    if (!this.packs) throw new Error('the spool is not open');
    return this.packs;
  }

  async onModuleInit(): Promise<void> {
    const minFreeBytes = this.config.spoolMinFreeBytes;
    const spool = await Spool.open({ dir: spoolDir(this.config), site: this.site, minFreeBytes });
    this.opened = spool;
    this.packs = new PackKeeper({
      edgeId: spool.edgeId,
      site: this.site,
      shelf: spool,
      store: this.store,
      bus: this.bus,
      logger: this.logger,
      uploads: this.config.uploads,
      onEvent: (event, _pack, seconds) => {
        this.metrics.all.packs.inc({ event });
        if (event === 'indexed') this.metrics.all.confirmSeconds.observe(seconds);
      },
    });
    await this.recover(true);
    this.keeper.start();
    this.timer = setInterval(() => void this.housekeeping(), HOUSEKEEPING_MS);
    this.timer.unref();
    this.tellLater(TELL_FIRST_MS);
    this.health.register('spool', () => this.check());
    this.collectMetrics();
  }

  /** For the associations' own objects. */
  lane(): SegmentLane {
    const { spool, keeper } = this;
    if (this.config.strict) {
      return new StrictLane({
        openSegment: () => spool.openSegment(),
        confirmed: (pack) => {
          const outcome = keeper.outcome(pack.packId, this.config.strictTimeoutSeconds * 1000);
          keeper.add(pack);
          return outcome;
        },
      });
    }
    return new SpoolLane(
      new AssociationSegments(spool, {
        onSealed: (pack: SealedPack) => keeper.add(pack),
        onSealFailed: (packId, error) => this.notSealed(packId, error),
      }),
    );
  }

  /** Segments of what this edge reads by itself: never in strict mode, for nobody waits for its acknowledgement. */
  harvestSegments(events: { onSealed(packId: string): void; onSealFailed(): void }): AssociationSegments {
    return new AssociationSegments(this.spool, {
      onSealed: (pack) => {
        this.keeper.add(pack);
        events.onSealed(pack.packId);
      },
      onSealFailed: (packId, error) => {
        this.notSealed(packId, error);
        events.onSealFailed();
      },
    });
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    clearTimeout(this.tellTimer);
    this.packs?.stop();
    await this.opened?.close();
  }

  private notSealed(packId: string, error: Error): void {
    // what was acknowledged is on disk: housekeeping or the next start seals it
    this.sealFailed = true;
    this.metrics.all.sealFailures.inc();
    this.logger.error('segment could not be sealed', { packId, err: error });
  }

  private async recover(atStart: boolean): Promise<void> {
    const report = await this.spool.recover();
    this.metrics.all.brokenEntries.inc(report.brokenEntries);
    if (report.brokenEntries > 0) {
      this.logger.error('objects found damaged that may have been acknowledged', { count: report.brokenEntries });
    }
    if (atStart || report.segments.length > 0) {
      this.logger.info('spool recovered', {
        edgeId: this.spool.edgeId,
        count: report.segments.length,
        pending: report.toAnnounce.length,
      });
    }
    for (const pack of report.toAnnounce) this.keeper.add(pack);
  }

  private tellLater(ms: number): void {
    this.tellTimer = setTimeout(() => {
      this.keeper.tellAgain().then(
        () => this.tellLater(TELL_AGAIN_MS),
        () => this.tellLater(HOUSEKEEPING_MS),
      );
    }, ms);
    this.tellTimer.unref();
  }

  private async housekeeping(): Promise<void> {
    try {
      if (this.sealFailed) {
        this.sealFailed = false;
        await this.recover(false);
      }
      const evicted = await this.spool.evict({ olderThanMs: this.config.spoolKeepHours * HOUR_MS });
      if (evicted.packIds.length > 0) {
        this.logger.info('confirmed segments dropped', { count: evicted.packIds.length, bytes: evicted.bytes });
      }
      // lets the reserve recover while nobody stores
      await this.spool.hasRoom();
    } catch (error) {
      this.logger.error('housekeeping of the spool failed', { err: error });
    }
  }

  private async check(): Promise<ComponentHealth> {
    const stats = await this.spool.stats();
    if (stats.full) return { status: 'degraded', reason: 'no space left: C-STORE is answered A700' };
    if (stats.quarantined > 0) return { status: 'degraded', reason: 'packs in quarantine' };
    return { status: 'up' };
  }

  private collectMetrics(): void {
    const { spool: gauge, spoolFree, spoolFull, syncs, queue } = this.metrics.all;
    const collect = async (): Promise<void> => {
      const stats = await this.spool.stats();
      for (const [state, shelf] of [
        ['unconfirmed', stats.sealed],
        ['confirmed', stats.confirmed],
      ] as const) {
        gauge.set({ state, what: 'packs' }, shelf.packs);
        gauge.set({ state, what: 'bytes' }, shelf.bytes);
        gauge.set({ state, what: 'oldest_seconds' }, shelf.oldestAgeMs / 1000);
      }
      gauge.set({ state: 'open', what: 'packs' }, stats.open.segments);
      gauge.set({ state: 'open', what: 'bytes' }, stats.open.bytes);
      gauge.set({ state: 'quarantined', what: 'packs' }, stats.quarantined);
      spoolFree.set(stats.freeBytes);
      spoolFull.set(stats.full ? 1 : 0);
      syncs.set({ what: 'calls' }, stats.syncCalls);
      syncs.set({ what: 'requests' }, stats.syncRequests);
      const waiting = this.keeper.status();
      queue.set({ waiting_for: 'upload' }, waiting.uploadQueue);
      queue.set({ waiting_for: 'answer' }, waiting.unanswered);
      queue.set({ waiting_for: 'quarantined' }, waiting.quarantined);
    };
    this.metrics.beforeScrape(collect);
  }
}

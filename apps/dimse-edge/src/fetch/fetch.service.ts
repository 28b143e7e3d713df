import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import {
  type ArchiveV1,
  type ArrivedCopyV1,
  FetchEnded,
  type FetchStartV1,
  ObjectArrived,
} from '@archipelago/contracts';
import type { HeaderResult } from '@archipelago/dicom-encoding';
import { AssociationSegments, type PackEntry } from '@archipelago/pack';
import { Bus, type BusSubscription } from '@archipelago/platform-bus';
import { coreConfig, type CoreConfig, Logger, SITE } from '@archipelago/platform-service';
import { ArchiveConnections } from '../archives/archive-connections';
import { ArchiveUnavailableError } from '../archives/archive-errors';
import { SpoolService } from '../segments/spool.service';
import { ArrivedPacks } from './arrived-packs';
import { edgeUrl, type FetchConfig, fetchConfig } from './fetch.config';
import { FetchLeg, type FetchEnd } from './fetch-leg';
import { FetchMetrics } from './fetch.metrics';
import { type ArrivedEntry, arrivedCopy, fetchedSink } from './fetched-sink';
import { FreshDatasets } from './fresh-datasets';
import { Grants } from './grants';
import { type ArchiveWork, retrieveFromArchive } from './retrieve-from-archive';

/** A leg that is over is kept for those who come late: the catalog knows its objects a second or two after. */
const KEPT_MS = 120_000;
const WATCH_MS = 500;
/** The association notices silence by itself; this is for whatever else may hang. */
const PATIENCE_MS = 5_000;
/** Larger ones are read back from the segment: beside their bytes that costs little. */
const HELD_BYTES = 4 * 1024 * 1024;
/** How long after the end of a leg its last objects stay in memory for those who still wait for them. */
const FRESH_MS = 5_000;
/** Objects of a C-MOVE that landed on another edge, after its final response. */
const SETTLE_MS = 5_000;

/** What this edge fetches from the archives of its site, for readers anywhere. */
@Injectable()
export class FetchService implements OnModuleInit, OnApplicationShutdown {
  readonly grants: Grants;
  readonly url: string;
  private readonly legs = new Map<string, FetchLeg>();
  private readonly running = new Map<string, AbortController>();
  private readonly arrivedHere = new ArrivedPacks();
  private subscription: BusSubscription | undefined;

  constructor(
    @Inject(fetchConfig.KEY) private readonly config: FetchConfig,
    @Inject(coreConfig.KEY) core: CoreConfig,
    @Inject(SITE) private readonly site: string,
    private readonly spool: SpoolService,
    private readonly archives: ArchiveConnections,
    private readonly fresh: FreshDatasets,
    private readonly bus: Bus,
    private readonly metrics: FetchMetrics,
    private readonly logger: Logger,
  ) {
    this.grants = new Grants(config.grantKey);
    this.url = edgeUrl(config, core);
  }

  get edgeId(): string {
    return this.spool.spool.edgeId;
  }

  onModuleInit(): void {
    this.subscription = this.bus.subscribe(ObjectArrived, {}, ({ archive, copy }) => this.toLegs(archive, copy));
  }

  onApplicationShutdown(): void {
    this.subscription?.unsubscribe();
    for (const controller of this.running.values()) controller.abort();
  }

  leg(legId: string): FetchLeg | undefined {
    return this.legs.get(legId);
  }

  /** Whether the pack, on this edge's disk, holds fetched objects of this study and nothing else. */
  mayRead(packId: string, study: string): boolean {
    return this.arrivedHere.isOf(packId, study);
  }

  /** Begins the leg, unless it is known. @throws TransientError when the archive cannot be asked now */
  start({ legId, archive, target }: FetchStartV1): { edgeId: string; url: string; grant: string } {
    if (!this.legs.has(legId)) {
      if (this.archives.availability(archive) === 'open')
        throw new ArchiveUnavailableError('archive-open', 'the archive failed and is not asked for a while');
      const leg = new FetchLeg(legId, archive, target);
      this.legs.set(legId, leg);
      void this.run(leg);
    }
    return { edgeId: this.edgeId, url: this.url, grant: this.grants.issue(target.studyInstanceUid) };
  }

  /** An object that an archive sent to the fetch AE title on one of this edge's associations. */
  async landed(archive: ArchiveV1, entry: PackEntry, header: HeaderResult, packId: string): Promise<void> {
    const copy = this.copyOf(entry, header, packId);
    this.toLegs(archive.name, copy);
    try {
      await this.bus.emit(ObjectArrived, { archive: archive.name, copy });
    } catch (error) {
      // whoever waits for it finds it in the catalog
      this.logger.debug('arrival could not be told', { err: error });
    }
  }

  private copyOf(entry: ArrivedEntry, header: HeaderResult, packId: string): ArrivedCopyV1 {
    const copy = arrivedCopy(entry, header, { packId, edgeId: this.edgeId, url: this.url });
    this.arrivedHere.add(packId, copy.studyInstanceUid);
    return copy;
  }

  private toLegs(archive: string, copy: ArrivedCopyV1): void {
    for (const leg of this.legs.values()) {
      if (leg.end === undefined && leg.archive.name === archive && leg.study === copy.studyInstanceUid)
        leg.arrived(copy);
    }
  }

  private async run(leg: FetchLeg): Promise<void> {
    const controller = new AbortController();
    this.running.set(leg.legId, controller);
    const segments = new AssociationSegments(this.spool.spool, {
      durable: false,
      holdBytes: HELD_BYTES,
      onSealed: (pack) => this.spool.keeper.add(pack),
      onSealFailed: (packId, error) => this.logger.error('segment could not be sealed', { packId, err: error }),
    });
    const timer = setInterval(() => {
      if (leg.quietMs > this.config.fetchTimeoutSeconds * 1000 + PATIENCE_MS)
        controller.abort(new Error('archive-timeout'));
    }, WATCH_MS);
    let end: FetchEnd;
    const lost: Error[] = [];
    try {
      end = await retrieveFromArchive(leg, this.work(leg, segments, lost, controller.signal));
    } catch (error) {
      end = failure(error, leg, controller.signal);
      this.logger.warn('fetch from an archive failed', { archive: leg.archive.name, code: end.code, err: error });
    }
    clearInterval(timer);
    // readers go on from the open segment while it is sealed
    leg.finish(end);
    this.running.delete(leg.legId);
    await segments.close();
    this.over(leg, lost.length > 0 ? this.withLost(leg, end, lost) : end);
  }

  /** Not all that has arrived could be written: those who come later must ask for it again. */
  private withLost({ archive }: FetchLeg, end: FetchEnd, lost: readonly Error[]): FetchEnd {
    this.logger.error('fetched objects could not be written', {
      archive: archive.name,
      count: lost.length,
      err: lost[0],
    });
    return end.outcome === 'complete' ? { outcome: 'partial', code: 'not-written' } : end;
  }

  private work(leg: FetchLeg, segments: AssociationSegments, lost: Error[], signal: AbortSignal): ArchiveWork {
    const calledAeTitle = leg.archive.fetchAeTitle;
    return {
      use: (archive, needs, work) =>
        this.archives.use(archive, 'fetch', work, {
          ...needs,
          responseTimeoutMs: this.config.fetchTimeoutSeconds * 1000,
        }),
      onStore: (request) => {
        leg.touch();
        return fetchedSink(request, {
          segments,
          archive: leg.archive,
          study: leg.study,
          site: this.site,
          calledAeTitle,
          onArrived: (entry, header, packId, held) => {
            if (held) this.fresh.add({ packId, datasetOffset: entry.datasetOffset }, held);
            leg.arrived(this.copyOf(entry, header, packId));
          },
          onWriting: (packId, written) => this.fresh.beingWritten(packId, written),
          onLost: (error) => lost.push(error),
          onRefused: (code) => this.metrics.all.refused.inc({ archive: leg.archive.name, code }),
        });
      },
      signal,
      settleMs: SETTLE_MS,
    };
  }

  private over(leg: FetchLeg, end: FetchEnd): void {
    const milliseconds = performance.now() - leg.startedAt;
    const { legId, count: instances, bytes } = leg;
    const archive = leg.archive.name;
    this.metrics.ended(archive, end.outcome, instances, bytes, milliseconds / 1000);
    this.logger.info('fetch from an archive ended', { archive, outcome: end.outcome, count: instances, bytes });
    this.bus
      .emit(FetchEnded, { legId, archive, ...end, instances, bytes, milliseconds })
      .catch((error: unknown) => this.logger.debug('end of a fetch could not be told', { err: error }));
    setTimeout(() => this.legs.delete(legId), KEPT_MS).unref();
    setTimeout(() => leg.places().forEach((place) => this.fresh.drop(place)), FRESH_MS).unref();
  }
}

function failure(error: unknown, leg: FetchLeg, signal: AbortSignal): FetchEnd {
  const outcome = leg.count > 0 ? 'partial' : 'failed';
  if (signal.aborted) return { outcome, code: 'archive-timeout' };
  const { code } = error as { code?: unknown };
  return { outcome, code: typeof code === 'string' ? code : 'archive-failed' };
}

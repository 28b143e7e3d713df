import { randomUUID } from 'node:crypto';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import {
  type ArchiveV1,
  FetchEnded,
  type FetchEnsure,
  type FetchEnsureReplyV1,
  type FetchLegV1,
  FetchStart,
  type FetchTargetV1,
} from '@archipelago/contracts';
import { Bus, type BusSubscription } from '@archipelago/platform-bus';
import { classifyError, Logger } from '@archipelago/platform-service';
import type { z } from 'zod';
import { ArchivesService } from './archives.service';
import { BrokerMetrics } from './broker.metrics';
import { LegRepository } from './leg.repository';

type Ensure = z.output<typeof FetchEnsure.schema>;
type Refusal = FetchEnsureReplyV1['refused'][number];

/** How long an edge may take to say that it has begun. */
const START_MS = 5_000;
/** How long a leg that another request has claimed may take to get its edge. */
const PLACED_MS = 10_000;
const LOOK_MS = 25;
const FORGET_MS = 3_600_000;

/**
 * Single flight: whoever wants a target that is being fetched already joins that fetch. Decides which archive is asked;
 * what may be asked of it now is the business of the edge at its site (budget, breaker).
 */
@Injectable()
export class BrokerService implements OnModuleInit, OnApplicationShutdown {
  private readonly underWay = new Map<string, Promise<FetchLegV1 | Refusal>>();
  private subscription: BusSubscription | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly archives: ArchivesService,
    private readonly legs: LegRepository,
    private readonly bus: Bus,
    private readonly metrics: BrokerMetrics,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.subscription = this.bus.subscribe(FetchEnded, { queue: 'cache' }, (end) => this.legs.end(end.legId, end));
    this.timer = setInterval(() => {
      this.legs.forget().catch((error: unknown) => this.logger.debug('old fetches were not forgotten', { err: error }));
    }, FORGET_MS);
    this.timer.unref();
  }

  onApplicationShutdown(): void {
    this.subscription?.unsubscribe();
    clearInterval(this.timer);
  }

  async ensure({ target, archives, lost }: Ensure): Promise<FetchEnsureReplyV1> {
    if (lost !== undefined) await this.legs.end(lost, { outcome: 'lost' });
    const joined = await this.legs.find(targetsThatBring(target), archives);
    if (joined?.leg) return this.answer('joined', joined.leg, []);
    const known = await this.archives.all();
    const refused: Refusal[] = [];
    for (const name of archives) {
      const archive = known.get(name);
      const got = archive ? await this.once(archive, target) : { archive: name, code: 'archive-unknown' };
      if ('legId' in got) return this.answer('began', got, refused);
      refused.push(got);
      this.metrics.all.refused.inc({ archive: name, code: got.code });
    }
    return this.answer('none', undefined, refused);
  }

  private answer(outcome: string, leg: FetchLegV1 | undefined, refused: Refusal[]): FetchEnsureReplyV1 {
    this.metrics.all.ensured.inc({ outcome });
    return { ...(leg ? { leg } : {}), refused };
  }

  /** Of the requests in this process one goes on; of several replicas the one whose row is first. */
  private once(archive: ArchiveV1, target: FetchTargetV1): Promise<FetchLegV1 | Refusal> {
    const key = `${archive.name}\n${targetKey(target)}`;
    let under = this.underWay.get(key);
    if (!under) {
      under = this.begin(archive, target).finally(() => this.underWay.delete(key));
      this.underWay.set(key, under);
    }
    return under;
  }

  private async begin(archive: ArchiveV1, target: FetchTargetV1): Promise<FetchLegV1 | Refusal> {
    if (archive.state !== 'active') return { archive: archive.name, code: `archive-${archive.state}` };
    const legId = randomUUID();
    const until = Date.now() + PLACED_MS;
    while (!(await this.legs.claim(legId, archive.name, targetKey(target), target.studyInstanceUid))) {
      const other = await this.legs.find([targetKey(target)], [archive.name]);
      if (other?.leg) return other.leg;
      if (Date.now() > until) return { archive: archive.name, code: 'fetch-not-begun' };
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    try {
      const started = await this.bus.request(
        FetchStart,
        { legId, archive, target },
        { timeoutMs: START_MS, site: archive.site },
      );
      const leg = { legId, archive: archive.name, ...started };
      await this.legs.place(leg);
      return leg;
    } catch (error) {
      const { code } = classifyError(error);
      this.logger.warn('an archive cannot be asked now', { archive: archive.name, code });
      await this.legs.end(legId, { outcome: 'refused' });
      return { archive: archive.name, code };
    }
  }
}

function targetKey({ studyInstanceUid, seriesInstanceUids }: FetchTargetV1): string {
  return seriesInstanceUids ? `${studyInstanceUid}|${[...seriesInstanceUids].sort().join('|')}` : studyInstanceUid;
}

/** A fetch of the whole study brings its series too. */
function targetsThatBring(target: FetchTargetV1): string[] {
  return [...new Set([targetKey(target), target.studyInstanceUid])];
}

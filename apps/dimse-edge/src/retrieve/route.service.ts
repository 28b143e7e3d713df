import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import {
  RouteSend,
  type ArchiveV1,
  type LocatedInstanceV1,
  type LocateReplyV1,
  type LocateV1,
  type Principal,
  type RouteSendV1,
  type RouteSentV1,
} from '@archipelago/contracts';
import { PixelPool } from '@archipelago/dicom-pixel';
import { SiteResponders } from '@archipelago/platform-bus';
import {
  coreConfig,
  type CoreConfig,
  Logger,
  PermanentError,
  SITE,
  TransientError,
} from '@archipelago/platform-service';
import { ArchiveConnections } from '../archives/archive-connections';
import { ArchiveUnavailableError } from '../archives/archive-errors';
import { CatalogClient, CatalogUnavailableError } from '../catalog/catalog-client';
import { EdgeMetrics } from '../edge.metrics';
import { Delivery } from './delivery';
import { InstanceSender, TargetLostError } from './instance-sender';
import type { MoveDestination } from './move-destination';
import { OutboundService } from './outbound.service';
import { PackBytesService } from './pack-bytes.service';

/** Orders that this edge carries out at a time; ingest gives one for each destination. */
const AT_ONCE = 64;
const UNREACHABLE = 'the destination cannot be reached';

/** What rules route, on its way to a workstation or an archive of this site (`RouteSend`, docs/adr/0028). */
@Injectable()
export class RouteService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly stopping = new AbortController();
  private readonly running = new Set<Promise<unknown>>();

  constructor(
    private readonly responders: SiteResponders,
    private readonly catalog: CatalogClient,
    private readonly packs: PackBytesService,
    private readonly outbound: OutboundService,
    private readonly connections: ArchiveConnections,
    private readonly pool: PixelPool,
    private readonly metrics: EdgeMetrics,
    private readonly logger: Logger,
    @Inject(coreConfig.KEY) private readonly core: CoreConfig,
    @Inject(SITE) private readonly site: string,
  ) {}

  onApplicationBootstrap(): void {
    this.responders.answer(RouteSend, { concurrency: AT_ONCE, queue: AT_ONCE }, (order) => this.answer(order));
  }

  /** What is being sent is finished, no other is begun; what is left is sent by whoever takes the order next. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await Promise.allSettled(this.running);
  }

  /** @throws PermanentError `destination-unknown`; TransientError `catalog-unavailable` */
  answer(order: RouteSendV1): Promise<RouteSentV1> {
    const work = this.carryOut(order);
    this.running.add(work);
    const done = (): void => void this.running.delete(work);
    work.then(done, done);
    return work;
  }

  private async carryOut(order: RouteSendV1): Promise<RouteSentV1> {
    const signal = AbortSignal.any([this.stopping.signal, AbortSignal.timeout(order.withinMs)]);
    const { destination: to } = order;
    if (to.kind === 'archive') {
      const { archive } = to;
      const located = await this.locate(order, this.principalOf(archive), [archive.name]);
      const target = this.outbound.archive(archive, this.core.aeTitle);
      return this.toArchive(archive, order, (tell) => this.deliver(order, located, target, signal, tell));
    }
    const target = this.outbound.destination(to.name, this.core.aeTitle);
    if (!target) throw new PermanentError('destination-unknown', 'not a configured peer with host and port');
    const principal = this.outbound.principal(to.name, this.site);
    const located = await this.locate(order, principal, this.outbound.namesOf(to.name));
    return this.deliver(order, located, target, signal);
  }

  private principalOf({ aeTitle, issuer }: ArchiveV1): Principal {
    return { ...{ kind: 'peer', site: this.site, name: aeTitle }, ...(issuer === undefined ? {} : { issuer }) };
  }

  /** Within the archive's budget, and told to its breaker: one that is away is not asked again and again. */
  private async toArchive(
    archive: ArchiveV1,
    { sopInstanceUids }: RouteSendV1,
    work: (tell: (sent: RouteSentV1) => void) => Promise<RouteSentV1>,
  ): Promise<RouteSentV1> {
    let told: RouteSentV1 | undefined;
    try {
      return await this.connections.guard(archive, 'harvest', async () => {
        const sent = await work((one) => (told = one));
        if (sent.unreachable !== undefined) throw new ArchiveUnavailableError('archive-unreachable', UNREACHABLE);
        return sent;
      });
    } catch (error) {
      if (!(error instanceof ArchiveUnavailableError)) throw error;
      return told ?? { sent: 0, withheld: 0, failed: [], left: [...sopInstanceUids], unreachable: error.code };
    }
  }

  private async locate(
    { studyInstanceUid, sopInstanceUids }: RouteSendV1,
    principal: Principal,
    receivers: string[],
  ): Promise<LocatedInstanceV1[]> {
    const request: LocateV1 = {
      principal,
      model: 'study-root',
      level: 'IMAGE',
      studyInstanceUids: [studyInstanceUid],
      sopInstanceUids,
      receivers,
    };
    const located: LocatedInstanceV1[] = [];
    try {
      for await (const page of this.catalog.locatePages(request)) located.push(...page.instances);
    } catch (error) {
      if (!(error instanceof CatalogUnavailableError)) throw error;
      throw new TransientError('catalog-unavailable', error.message, { cause: error });
    }
    // in the order of the order: what was not tried the last time comes first
    const place = new Map(sopInstanceUids.map((uid, n) => [uid, n]));
    return located.sort((a, b) => place.get(a.sopInstanceUid)! - place.get(b.sopInstanceUid)!);
  }

  private async deliver(
    { sopInstanceUids }: RouteSendV1,
    located: readonly LocatedInstanceV1[],
    target: MoveDestination,
    signal: AbortSignal,
    tell?: (sent: RouteSentV1) => void,
  ): Promise<RouteSentV1> {
    const results = new Map<string, 'completed' | 'warning' | 'failed'>();
    let lost: { tried: number; sending: boolean } | undefined;
    const loader = this.packs.loader();
    const sender = new InstanceSender(loader, this.pool, {
      sent: (bytes) => this.metrics.all.sentBytes.inc(bytes),
      failed: (why, error) => this.logger.warn('sub-operation failed', { reason: why, err: error }),
    });
    const delivery = new Delivery({
      ...{ loader, sender, target, destination: target, signal },
      counted: (result, uid) => {
        results.set(uid, result);
        this.metrics.all.subOperations.inc({ result });
      },
      gaveUp: (error) => {
        lost = { tried: results.size, sending: error instanceof TargetLostError };
        this.logger.warn('destination of a route given up', { err: error });
      },
    });
    try {
      for await (const _pending of delivery.run(onePage(located))) continue;
    } finally {
      await target.close();
    }
    const answer = answerOf(
      sopInstanceUids,
      located.map((one) => one.sopInstanceUid),
      results,
      lost,
    );
    tell?.(answer);
    return answer;
  }
}

/**
 * A C-MOVE counts all as failed that is behind a loss; here it was not tried. One over which the association was lost again and
 * again is refused, and the destination is there; where it cannot be connected to, it is not.
 */
function answerOf(
  ordered: readonly string[],
  located: readonly string[],
  results: ReadonlyMap<string, 'completed' | 'warning' | 'failed'>,
  lost: { tried: number; sending: boolean } | undefined,
): RouteSentV1 {
  const tried = lost ? lost.tried + (lost.sending ? 1 : 0) : results.size;
  const failed = located.slice(0, tried).filter((uid) => results.get(uid) === 'failed');
  const left = located.slice(tried);
  return {
    sent: located.length - failed.length - left.length,
    withheld: ordered.length - located.length,
    failed,
    left,
    ...(lost && !lost.sending ? { unreachable: UNREACHABLE } : {}),
  };
}

async function* onePage(instances: readonly LocatedInstanceV1[]): AsyncGenerator<LocateReplyV1> {
  yield await Promise.resolve({ total: instances.length, instances: [...instances] });
}

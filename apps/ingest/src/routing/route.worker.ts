import { Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { ArchiveList, RouteSend, type RouteDestinationV1, type RouteSentV1 } from '@archipelago/contracts';
import { ANY_OF_SITE, Bus } from '@archipelago/platform-bus';
import { classifyError, Logger, PermanentError, TransientError } from '@archipelago/platform-service';
import { RouteMetrics } from './route.metrics';
import { givenUp, PATIENCE, restOf } from './route.policy';
import { RouteRepository, type LeasedRoute } from './route.repository';

const LOOK_MS = 1_000;
/** Destinations that are sent to at a time, by this process. */
const AT_ONCE = 8;
const ORDER_MS = 240_000;
const ANSWER_MS = 15_000;
/** Longer than any answer is waited for: a row is taken by another only when its worker is gone. */
const LEASE_SECONDS = (ORDER_MS + 2 * ANSWER_MS) / 1000;
/** The bus or all edges of the site are away: that is nothing about the destination. */
const AWAY_SECONDS = 10;
const ASK_MS = 3_000;

/** Has edges send what is due, one order of a destination at a time. At least once: a crash sends an order again. */
@Injectable()
export class RouteWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private looking: Promise<void> | undefined;
  private readonly orders = new Set<Promise<void>>();

  constructor(
    private readonly routes: RouteRepository,
    private readonly bus: Bus,
    private readonly metrics: RouteMetrics,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.nudge(), LOOK_MS);
    this.timer.unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.looking;
    // an edge goes on sending; what it answers is lost, and that order is sent again when its lease is over
  }

  /** There may be something due. */
  nudge(): void {
    if (this.stopped || this.looking) return;
    this.looking = this.look().finally(() => (this.looking = undefined));
  }

  private async look(): Promise<void> {
    try {
      while (!this.stopped && this.orders.size < AT_ONCE) {
        const route = await this.routes.lease(LEASE_SECONDS);
        if (!route) return;
        const order = this.carryOut(route).finally(() => {
          this.orders.delete(order);
          this.nudge();
        });
        this.orders.add(order);
      }
    } catch (error) {
      this.logger.debug('what is to be routed could not be read', { err: error });
    }
  }

  private async carryOut(route: LeasedRoute): Promise<void> {
    try {
      await this.take(route, await this.send(route));
    } catch (error) {
      await this.failed(route, error).catch((failure: unknown) =>
        this.logger.debug('a route was not written, its lease ends', { err: failure }),
      );
    }
  }

  /** @throws PermanentError the order is refused; TransientError nobody could be asked, or has not answered */
  private async send({ kind, destination, site, study, instances }: LeasedRoute): Promise<RouteSentV1> {
    const to = await this.destinationOf(kind, destination);
    const request = { destination: to, studyInstanceUid: study, sopInstanceUids: instances, withinMs: ORDER_MS };
    const where = to.kind === 'archive' ? to.archive.site : site;
    return this.bus.request(RouteSend, request, {
      site: where,
      partition: ANY_OF_SITE,
      timeoutMs: ORDER_MS + ANSWER_MS,
    });
  }

  private async destinationOf(kind: LeasedRoute['kind'], name: string): Promise<RouteDestinationV1> {
    if (kind === 'workstation') return { kind, name };
    const { archives } = await this.bus.request(ArchiveList, { name }, { timeoutMs: ASK_MS });
    const archive = archives.find((one) => one.name === name);
    if (!archive) throw new PermanentError('archive-unknown', 'there is no such archive any more');
    if (archive.state !== 'active') throw new TransientError('archive-paused', 'the archive is paused');
    return { kind, archive };
  }

  private async take(route: LeasedRoute, sent: RouteSentV1): Promise<void> {
    this.metrics.sent(route, sent);
    const rest = restOf(route, sent);
    if (!rest) return this.routes.done(route);
    await this.routes.rest(route, rest);
    if (rest.unreachable) await this.routes.othersWait(route, rest.after, true);
    if (rest.state !== 'failed') return;
    const others = rest.unreachable ? await this.routes.giveUpOthers(route, PATIENCE) : 0;
    this.tellGivenUp(route, rest.code, rest.instances.length + others);
  }

  private async failed(route: LeasedRoute, error: unknown): Promise<void> {
    const { kind, code } = classifyError(error);
    if (kind === 'transient') {
      await this.routes.giveBack(route, code, AWAY_SECONDS);
      return this.routes.othersWait(route, AWAY_SECONDS, false);
    }
    await this.routes.rest(route, givenUp(route, code));
    this.tellGivenUp(route, code, route.instances.length);
  }

  private tellGivenUp({ id, destination }: LeasedRoute, code: string, count: number): void {
    this.logger.error('what rules route was given up', { route: id, destination, code, count });
  }
}

import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { subjectStem, type Contract } from '@archipelago/contracts';
import { Logger, SERVICE_NAME, SITE } from '@archipelago/platform-service';
import { BusConnection } from '../client/bus-connection';
import type { PayloadOf, ReplyIn } from '../message';
import type { BusContext } from './bus-context';
import { BusMetrics } from './bus-metrics';
import { QueryResponder } from './query-responder';

/** Partition token of a request that any process of the site may answer. */
export const ANY_OF_SITE = 'any';

export interface SiteResponderOptions {
  /** Requests answered at once (default 64), and how many may wait (default 512). */
  concurrency?: number;
  queue?: number;
  /** A process of its own name: requests with this partition token are answered by it alone. */
  only?: string;
}

/**
 * Answers requests of the own site only: `bus.request(contract, payload, { site, partition: ANY_OF_SITE })` reaches one
 * process of the site, `partition: <edge id>` exactly that one. For what `@OnQuery(..., { ownSite: true })` cannot say,
 * because it is declared before a process knows its own name.
 */
@Injectable()
export class SiteResponders implements BeforeApplicationShutdown {
  private readonly responders: QueryResponder[] = [];
  private stopped = false;

  constructor(
    private readonly connection: BusConnection,
    private readonly metrics: BusMetrics,
    private readonly logger: Logger,
    @Inject(SITE) private readonly site: string,
    @Inject(SERVICE_NAME) private readonly service: string,
  ) {}

  answer<C extends Contract>(
    contract: C,
    options: SiteResponderOptions,
    handle: (payload: PayloadOf<C>, context: BusContext) => Promise<ReplyIn<C>>,
  ): void {
    const partition = options.only ?? ANY_OF_SITE;
    const responder = new QueryResponder(
      {
        contract,
        filter: `${subjectStem(contract)}.${partition}.${this.site}`,
        group: this.service,
        concurrency: options.concurrency ?? 64,
        queue: options.queue ?? 512,
        handle: (payload, context) => handle(payload as PayloadOf<C>, context),
      },
      this.metrics,
      this.logger,
    );
    this.responders.push(responder);
    this.connection.onConnect(() => {
      if (this.stopped) return;
      void this.connection.ready(1_000).then(
        (connection) => this.stopped || responder.attach(connection),
        () => undefined,
      );
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.responders.map((responder) => responder.stop()));
  }
}

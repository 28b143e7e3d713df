import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { configuredAttributes } from '@archipelago/catalog-model';
import {
  deniedStudies,
  locate,
  QueryRunner,
  RestrictionReader,
  search,
  type Restrictions,
} from '@archipelago/catalog-store';
import {
  Locate,
  Search,
  type LocateReplyV1,
  type LocateV1,
  type SearchReplyV1,
  type SearchV1,
} from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import { ARCHIPELAGO_CONFIG, type ArchipelagoConfig, Logger } from '@archipelago/platform-service';
import { ArchiveStates } from './archive-states';
import { CatalogMetrics } from './catalog.metrics';

/** Answers what the edges (and later the web gateway) ask, a page at a time. */
@Controller()
export class QueriesController {
  private readonly attributes;

  constructor(
    private readonly runner: QueryRunner,
    private readonly archives: ArchiveStates,
    private readonly rules: RestrictionReader,
    private readonly metrics: CatalogMetrics,
    private readonly logger: Logger,
    @Inject(ARCHIPELAGO_CONFIG) config: ArchipelagoConfig,
  ) {
    this.attributes = configuredAttributes(config.queryAttributes);
  }

  @OnQuery(Search)
  search(@Payload() request: SearchV1): Promise<SearchReplyV1> {
    const { attributes } = this;
    return this.metrics.observe(
      'search',
      request.level,
      async () => {
        const [archives, restrictions] = await Promise.all([this.archives.now(), this.rules.of(request.principal)]);
        return search(this.runner, request, { attributes, archives, restrictions });
      },
      (reply) => reply.matches.length,
    );
  }

  @OnQuery(Locate)
  locate(@Payload() request: LocateV1): Promise<LocateReplyV1> {
    const { attributes } = this;
    return this.metrics.observe(
      'locate',
      request.level,
      async () => {
        const archives = await this.archives.now();
        let kept: Restrictions | null = null;
        const reply = await locate(this.runner, request, {
          archives,
          attributes,
          restrictions: async (run) => (kept = await this.rules.of(request.principal, request.receivers, run)),
        });
        if (kept) await this.tellDenied(request, kept);
        return reply;
      },
      (reply) => reply.instances.length,
    );
  }

  /** Who asks is not told that there is something; who runs the system is. */
  private async tellDenied(request: LocateV1, restrictions: Restrictions): Promise<void> {
    if (request.cursor !== undefined || request.studyInstanceUids === undefined) return;
    const count = await deniedStudies(this.runner, request.studyInstanceUids, restrictions);
    if (count === 0) return;
    this.metrics.denied.inc(count);
    this.logger.info('rules deny studies that a retrieval names', { count, peer: request.principal.name });
  }
}

import { Inject, Injectable } from '@nestjs/common';
import { StudyUpdated, type SourceVanishedV1 } from '@archipelago/contracts';
import { vanish } from '@archipelago/catalog-store';
import { claimInbox, outboxEvent, OutboxRelay, writeOutbox } from '@archipelago/platform-bus';
import { ARCHIPELAGO_CONFIG, Logger, type ArchipelagoConfig } from '@archipelago/platform-service';
import { Database } from '@archipelago/platform-storage';
import { CatalogRules } from './catalog-rules';
import type { Cause } from './ingest.service';
import { VANISHED_CONSUMER } from './ingest.tokens';

/** What is told of archives beside their answers. */
@Injectable()
export class ArchivesService {
  constructor(
    @Inject(ARCHIPELAGO_CONFIG) private readonly config: ArchipelagoConfig,
    private readonly rules: CatalogRules,
    private readonly database: Database,
    private readonly relay: OutboxRelay,
    private readonly logger: Logger,
  ) {}

  /** An archive no longer has what it had: once for each command. */
  async vanished(command: SourceVanishedV1, cause: Cause): Promise<void> {
    const studies = await this.database.withTransaction(async (client) => {
      if (!(await claimInbox(client, VANISHED_CONSUMER, cause.eventId))) return null;
      const derived = await vanish(client, command, this.rules);
      const common = { site: this.config.site, cause: cause.eventId, trace: cause.trace };
      await writeOutbox(
        client,
        derived.studies.map(({ id, revision }) =>
          outboxEvent({ ...common, contract: StudyUpdated, payload: { studyId: id, revision } }),
        ),
      );
      return derived.studies.length;
    });
    if (studies === null) return;
    this.relay.nudge();
    this.logger.info('an archive has lost what it had', { count: command.uids.length });
  }
}

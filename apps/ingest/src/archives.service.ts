import { Inject, Injectable } from '@nestjs/common';
import { PatientUpdated, StudyUpdated, type AssignmentChangedV1, type SourceVanishedV1 } from '@archipelago/contracts';
import { applyAssignments, vanish } from '@archipelago/catalog-store';
import { claimInbox, outboxEvent, OutboxRelay, writeOutbox } from '@archipelago/platform-bus';
import { ARCHIPELAGO_CONFIG, Logger, type ArchipelagoConfig } from '@archipelago/platform-service';
import { Database, type SqlClient } from '@archipelago/platform-storage';
import { CatalogRules } from './catalog-rules';
import type { Cause } from './ingest.service';
import { ASSIGNMENT_CONSUMER, VANISHED_CONSUMER } from './ingest.tokens';

/** What changes in the presentation. */
interface Changed {
  studies: readonly { id: string; revision: number }[];
  patients?: readonly string[];
}

/** What is told of archives and of persons beside packs: each message takes effect once. */
@Injectable()
export class ArchivesService {
  constructor(
    @Inject(ARCHIPELAGO_CONFIG) private readonly config: ArchipelagoConfig,
    private readonly rules: CatalogRules,
    private readonly database: Database,
    private readonly relay: OutboxRelay,
    private readonly logger: Logger,
  ) {}

  /** An archive no longer has what it had. */
  async vanished(command: SourceVanishedV1, cause: Cause): Promise<void> {
    if (await this.once(VANISHED_CONSUMER, cause, (client) => vanish(client, command, this.rules)))
      this.logger.info('an archive has lost what it had', { count: command.uids.length });
  }

  /** The persons of patients or studies are other ones now: read from the tables, whatever came in between. */
  async assigned(changed: AssignmentChangedV1, cause: Cause): Promise<void> {
    if (await this.once(ASSIGNMENT_CONSUMER, cause, (client) => applyAssignments(client, changed, this.rules)))
      this.logger.info('assignments of persons are shown', {
        count: changed.patientIds.length + changed.studyIds.length,
      });
  }

  /** One transaction: inbox, rows, events. False: done before. */
  private async once(consumer: string, cause: Cause, work: (client: SqlClient) => Promise<Changed>): Promise<boolean> {
    const done = await this.database.withTransaction(async (client) => {
      if (!(await claimInbox(client, consumer, cause.eventId))) return false;
      await this.rules.refresh(client);
      const { studies, patients = [] } = await work(client);
      const common = { site: this.config.site, cause: cause.eventId, trace: cause.trace };
      await writeOutbox(client, [
        ...studies.map(({ id, revision }) =>
          outboxEvent({ ...common, contract: StudyUpdated, payload: { studyId: id, revision } }),
        ),
        ...patients.map((patientId) => outboxEvent({ ...common, contract: PatientUpdated, payload: { patientId } })),
      ]);
      return true;
    });
    if (done) this.relay.nudge();
    return done;
  }
}

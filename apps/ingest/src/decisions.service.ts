import { Inject, Injectable } from '@nestjs/common';
import {
  applyRules,
  decideDifference,
  listDifferences,
  rebuildPresentation,
  type DecideInput,
} from '@archipelago/catalog-store';
import {
  StudyUpdated,
  type DifferenceDecide,
  type DifferenceList,
  type DifferenceV1,
  type PresentationRebuild,
  type QuarantinedPackV1,
  type QuarantineList,
  type QuarantineRelease,
} from '@archipelago/contracts';
import { outboxEvent, OutboxRelay, writeOutbox } from '@archipelago/platform-bus';
import { Logger, PermanentError, SITE } from '@archipelago/platform-service';
import { Database } from '@archipelago/platform-storage';
import type { z } from 'zod';
import { AnswerService } from './answer.service';
import { CatalogRules } from './catalog-rules';
import { IngestRepository } from './ingest.repository';
import { IngestService } from './ingest.service';

type Reply<C extends { reply: z.ZodType }> = z.output<C['reply']>;

/** Carries out what a person decides about differences, packs in quarantine and the presentation. */
@Injectable()
export class DecisionsService {
  constructor(
    private readonly database: Database,
    private readonly repository: IngestRepository,
    private readonly ingest: IngestService,
    private readonly rules: CatalogRules,
    private readonly answers: AnswerService,
    private readonly relay: OutboxRelay,
    private readonly logger: Logger,
    @Inject(SITE) private readonly site: string,
  ) {}

  differences(query: z.output<typeof DifferenceList.schema>): Promise<DifferenceV1[]> {
    return listDifferences(this.database, query);
  }

  /** ONE transaction: the decision, its effect on what is shown, and the events of it. */
  async decide(input: DecideInput): Promise<Reply<typeof DifferenceDecide>> {
    const decided = await this.database.withTransaction(async (client) => {
      await this.rules.refresh(client);
      const { difference, studies } = await decideDifference(client, input);
      // what was kept beside an answer is looked at by rules when it becomes the answer
      await applyRules(client, { patients: [], studies: studies.map(({ id }) => id) }, this.rules);
      const told = studies.map(({ id, revision }) => ({ studyId: id, revision }));
      await writeOutbox(
        client,
        told.map((payload) => outboxEvent({ contract: StudyUpdated, payload, site: this.site })),
      );
      return { difference, studies: told };
    });
    this.relay.nudge();
    this.logger.info('difference decided', { code: input.decision, key: input.id });
    return decided;
  }

  quarantined(query: z.output<typeof QuarantineList.schema>): Promise<QuarantinedPackV1[]> {
    return this.repository.quarantined(query);
  }

  /** The edge has the pack: it sends it again, and is answered as for any other. */
  async release(packId: string): Promise<Reply<typeof QuarantineRelease>> {
    const place = await this.repository.countAnew(packId);
    if (place === null) throw new PermanentError('pack-not-quarantined', 'there is no such pack in quarantine');
    await this.answers.send({ packId, edgeId: place.edgeId, outcome: 'resend', code: 'released' }, place.site);
    this.logger.info('pack released from quarantine', { packId });
    return { packId, edgeId: place.edgeId };
  }

  /** @throws PermanentError `pack-missing` and others of a pack that cannot be read: nothing has changed then */
  async rebuild(): Promise<Reply<typeof PresentationRebuild>> {
    const started = performance.now();
    const packs = await this.database.withTransaction(async (client) => {
      await this.rules.refresh(client);
      return rebuildPresentation(client, (pack) => this.ingest.loadPack(pack));
    });
    const seconds = Math.round(performance.now() - started) / 1000;
    this.logger.info('presentation rebuilt', { count: packs, ms: Math.round(seconds * 1000) });
    return { packs, seconds };
  }
}

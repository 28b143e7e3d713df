import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { PackSealed, type PackSealedV1 } from '@archipelago/contracts';
import { BusContext, OnEvent } from '@archipelago/platform-bus';
import { classifyError } from '@archipelago/platform-service';
import { AnswerService } from '../answer.service';
import { ingestConfig } from '../ingest.config';
import { IngestService } from '../ingest.service';
import { CONSUMER } from '../ingest.tokens';

/** Small packs share a transaction: so many wait for one at most. Of large ones `concurrency` are worked on at a time. */
const TOGETHER = 32;

@Controller()
export class OnPackSealedHandler {
  constructor(
    private readonly ingest: IngestService,
    private readonly answers: AnswerService,
  ) {}

  /** Every announcement is answered, repeated ones too; `pending` when it could not be decided yet. */
  @OnEvent(PackSealed, { consumer: CONSUMER, concurrency: concurrency() })
  async handle(@Payload() announcement: PackSealedV1, @Ctx() context: BusContext): Promise<void> {
    try {
      const answer = await this.ingest.ingest(announcement, { eventId: context.meta.id, trace: context.meta.trace });
      await this.answers.send(answer, announcement.site);
    } catch (error) {
      const { packId, edgeId } = announcement;
      await this.answers.send(
        { packId, edgeId, outcome: 'pending', code: classifyError(error).code },
        announcement.site,
      );
      throw error;
    }
  }
}

/** Decorators are evaluated before configuration is checked: a wrong value is reported by the check, not here. */
function concurrency(): number {
  try {
    return Math.max(TOGETHER, ingestConfig.load().concurrency);
  } catch {
    return TOGETHER;
  }
}

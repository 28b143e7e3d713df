import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { AssignmentChanged, type AssignmentChangedV1 } from '@archipelago/contracts';
import { BusContext, OnEvent } from '@archipelago/platform-bus';
import { ArchivesService } from '../archives.service';
import { ASSIGNMENT_CONSUMER } from '../ingest.tokens';

@Controller()
export class OnAssignmentChangedHandler {
  constructor(private readonly archives: ArchivesService) {}

  @OnEvent(AssignmentChanged, { consumer: ASSIGNMENT_CONSUMER, concurrency: 1 })
  async handle(@Payload() changed: AssignmentChangedV1, @Ctx() context: BusContext): Promise<void> {
    await this.archives.assigned(changed, { eventId: context.meta.id, trace: context.meta.trace });
  }
}

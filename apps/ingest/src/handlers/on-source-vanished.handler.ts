import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { SourceVanished, type SourceVanishedV1 } from '@archipelago/contracts';
import { BusContext, OnEvent } from '@archipelago/platform-bus';
import { ArchivesService } from '../archives.service';
import { VANISHED_CONSUMER } from '../ingest.tokens';

@Controller()
export class OnSourceVanishedHandler {
  constructor(private readonly archives: ArchivesService) {}

  @OnEvent(SourceVanished, { consumer: VANISHED_CONSUMER, concurrency: 1 })
  async handle(@Payload() command: SourceVanishedV1, @Ctx() context: BusContext): Promise<void> {
    await this.archives.vanished(command, { eventId: context.meta.id, trace: context.meta.trace });
  }
}

import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { SweepStart, type SweepStartV1 } from '@archipelago/contracts';
import { OnEvent } from '@archipelago/platform-bus';
import { SweepService } from '../sweep.service';

@Controller()
export class OnSweepStartHandler {
  constructor(private readonly sweep: SweepService) {}

  @OnEvent(SweepStart, { consumer: 'ingest-sweep-start', concurrency: 1 })
  async handle(@Payload() command: SweepStartV1): Promise<void> {
    await this.sweep.run(command);
  }
}

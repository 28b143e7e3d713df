import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import {
  DifferenceDecide,
  DifferenceList,
  PresentationRebuild,
  QuarantineList,
  QuarantineRelease,
  type DifferenceV1,
  type QuarantinedPackV1,
} from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import type { z } from 'zod';
import { DecisionsService } from './decisions.service';

/** What a person decides, by the command line now and the console later: ingest owns the tables. */
@Controller()
export class DecisionsController {
  constructor(private readonly decisions: DecisionsService) {}

  @OnQuery(DifferenceList)
  async differences(
    @Payload() query: z.output<typeof DifferenceList.schema>,
  ): Promise<{ differences: DifferenceV1[] }> {
    return { differences: await this.decisions.differences(query) };
  }

  @OnQuery(DifferenceDecide)
  decide(
    @Payload() decision: z.output<typeof DifferenceDecide.schema>,
  ): Promise<z.output<typeof DifferenceDecide.reply>> {
    return this.decisions.decide(decision);
  }

  @OnQuery(QuarantineList)
  async quarantined(@Payload() query: z.output<typeof QuarantineList.schema>): Promise<{ packs: QuarantinedPackV1[] }> {
    return { packs: await this.decisions.quarantined(query) };
  }

  @OnQuery(QuarantineRelease)
  release(@Payload() { packId }: { packId: string }): Promise<z.output<typeof QuarantineRelease.reply>> {
    return this.decisions.release(packId);
  }

  @OnQuery(PresentationRebuild)
  rebuild(): Promise<z.output<typeof PresentationRebuild.reply>> {
    return this.decisions.rebuild();
  }
}

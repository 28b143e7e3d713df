import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { FetchEnsure, type FetchEnsureReplyV1 } from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import type { z } from 'zod';
import { BrokerService } from './broker.service';

/** The edges' questions. */
@Controller()
export class BrokerController {
  constructor(private readonly broker: BrokerService) {}

  @OnQuery(FetchEnsure, { concurrency: 256, queue: 2048 })
  ensure(@Payload() request: z.output<typeof FetchEnsure.schema>): Promise<FetchEnsureReplyV1> {
    return this.broker.ensure(request);
  }
}

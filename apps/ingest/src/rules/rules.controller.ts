import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { RulesCommand, type RulesAction, type RulesReplyV1 } from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import { RulesService } from './rules.service';

@Controller()
export class RulesController {
  constructor(private readonly rules: RulesService) {}

  @OnQuery(RulesCommand, { concurrency: 2 })
  command(@Payload() { request }: { request: RulesAction }): Promise<RulesReplyV1> {
    return this.rules.run(request);
  }
}

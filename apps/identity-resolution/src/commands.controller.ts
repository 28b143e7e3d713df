import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { type IdentityAction, IdentityCommand, type IdentityReplyV1 } from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import { CommandsService } from './commands.service';

@Controller()
export class CommandsController {
  constructor(private readonly commands: CommandsService) {}

  @OnQuery(IdentityCommand, { concurrency: 8 })
  command(@Payload() { request }: { request: IdentityAction }): Promise<IdentityReplyV1> {
    return this.commands.run(request);
  }
}

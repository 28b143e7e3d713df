import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { LiveFind, type LiveFindReply, type LiveFindV1 } from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import { LiveService } from './live.service';

/** Questions that somebody waits for: beyond these the answer is no at once, and the asker says so. */
@Controller()
export class LiveController {
  constructor(private readonly live: LiveService) {}

  @OnQuery(LiveFind, { concurrency: 32, queue: 32 })
  find(@Payload() request: LiveFindV1): Promise<LiveFindReply> {
    return this.live.find(request);
  }
}

import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { FetchStart, type FetchStartV1 } from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import { FetchService } from './fetch.service';

/** Fetches that the broker has this site begin. */
@Controller()
export class FetchController {
  constructor(private readonly fetches: FetchService) {}

  @OnQuery(FetchStart, { ownSite: true })
  start(@Payload() request: FetchStartV1): { edgeId: string; url: string; grant: string } {
    return this.fetches.start(request);
  }
}

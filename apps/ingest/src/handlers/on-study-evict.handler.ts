import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { StudyEvict, type StudyEvictReplyV1 } from '@archipelago/contracts';
import { OnQuery } from '@archipelago/platform-bus';
import type { z } from 'zod';
import { EvictionService } from '../eviction.service';

@Controller()
export class OnStudyEvictHandler {
  constructor(private readonly evictions: EvictionService) {}

  @OnQuery(StudyEvict, { concurrency: 2 })
  evict(@Payload() request: z.output<typeof StudyEvict.schema>): Promise<StudyEvictReplyV1> {
    return this.evictions.evict(request.studyInstanceUid);
  }
}

import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import {
  type ActorAction,
  ActorCommand,
  type ActorReplyV1,
  ArchiveChanged,
  StudyUpdated,
  type StudyUpdatedV1,
} from '@archipelago/contracts';
import { OnEvent, OnQuery } from '@archipelago/platform-bus';
import { ActorsService } from './actors.service';

export const STUDY_CONSUMER = 'identity-resolution-study-updated';
export const ARCHIVE_CONSUMER = 'identity-resolution-archive-changed';

/** What is seen is kept under its name: an event that comes twice changes nothing the second time. */
@Controller()
export class ActorsController {
  constructor(private readonly actors: ActorsService) {}

  @OnEvent(StudyUpdated, { consumer: STUDY_CONSUMER, concurrency: 2 })
  study(@Payload() { studyId }: StudyUpdatedV1): Promise<void> {
    return this.actors.studyUpdated(studyId);
  }

  @OnEvent(ArchiveChanged, { consumer: ARCHIVE_CONSUMER, concurrency: 1 })
  archives(): Promise<void> {
    return this.actors.archivesChanged();
  }

  @OnQuery(ActorCommand, { concurrency: 4 })
  command(@Payload() { request }: { request: ActorAction }): Promise<ActorReplyV1> {
    return this.actors.run(request);
  }
}

import { Module, type OnModuleInit } from '@nestjs/common';
import { CATALOG_SCHEMA } from '@archipelago/catalog-store';
import {
  ActorCommand,
  ArchiveChanged,
  AssignmentChanged,
  IdentityCommand,
  PatientUpdated,
  StudyUpdated,
} from '@archipelago/contracts';
import { BusModule, BusStoreModule } from '@archipelago/platform-bus';
import { Database, PostgresModule } from '@archipelago/platform-storage';
import { ActorAssertionRepository } from './actors/actor-assertion.repository';
import { ActorRepository } from './actors/actor.repository';
import { ActorsController } from './actors/actors.controller';
import { ActorsService } from './actors/actors.service';
import { AssertionRepository } from './assertion.repository';
import { AssignmentRepository } from './assignment.repository';
import { CommandsController } from './commands.controller';
import { CommandsService } from './commands.service';
import { OnPatientUpdatedHandler } from './handlers/on-patient-updated.handler';
import { IdentityMetrics } from './identity.metrics';
import { IDENTITY_SCHEMA } from './identity.schema';
import { ModelService } from './model.service';
import { RecordRepository } from './record.repository';
import { ResolutionService } from './resolution.service';
import { ReviewRepository } from './review.repository';

/** Who is who: assertions about local identities, the persons that follow from them, the queue of doubts. */
@Module({
  imports: [
    PostgresModule.forFeature(CATALOG_SCHEMA),
    PostgresModule.forFeature(IDENTITY_SCHEMA),
    BusStoreModule,
    BusModule.forFeature({
      handles: [PatientUpdated, StudyUpdated, ArchiveChanged],
      answers: [IdentityCommand, ActorCommand],
      publishes: [AssignmentChanged],
    }),
  ],
  controllers: [OnPatientUpdatedHandler, CommandsController, ActorsController],
  providers: [
    IdentityMetrics,
    AssertionRepository,
    AssignmentRepository,
    RecordRepository,
    ReviewRepository,
    ModelService,
    ResolutionService,
    CommandsService,
    ActorRepository,
    ActorAssertionRepository,
    ActorsService,
  ],
})
export class IdentityResolutionModule implements OnModuleInit {
  constructor(
    private readonly metrics: IdentityMetrics,
    private readonly reviews: ReviewRepository,
    private readonly database: Database,
  ) {}

  onModuleInit(): void {
    this.metrics.beforeScrape(async () => {
      this.metrics.all.reviews.set(await this.database.withClient((client) => this.reviews.open(client)));
    });
  }
}

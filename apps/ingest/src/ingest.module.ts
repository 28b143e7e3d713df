import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { CATALOG_SCHEMA } from '@archipelago/catalog-store';
import {
  AssignmentChanged,
  DifferenceDecide,
  DifferenceList,
  InstanceStored,
  PackSealed,
  PatientUpdated,
  PresentationRebuild,
  QuarantineList,
  QuarantineRelease,
  RouteDrop,
  RouteList,
  RouteRetry,
  RulesCommand,
  SourceVanished,
  StudyEvict,
  StudyUpdated,
  SweepStart,
} from '@archipelago/contracts';
import { BusModule, BusStoreModule } from '@archipelago/platform-bus';
import { HealthRegistry } from '@archipelago/platform-service';
import { createObjectStore, PostgresModule, type ObjectStore } from '@archipelago/platform-storage';
import { AnswerService } from './answer.service';
import { ArchivesService } from './archives.service';
import { CatalogRules } from './catalog-rules';
import { DecisionsController } from './decisions.controller';
import { DecisionsService } from './decisions.service';
import { EvictionRepository } from './eviction.repository';
import { EvictionService } from './eviction.service';
import { OnAssignmentChangedHandler } from './handlers/on-assignment-changed.handler';
import { OnPackSealedHandler } from './handlers/on-pack-sealed.handler';
import { OnSourceVanishedHandler } from './handlers/on-source-vanished.handler';
import { OnStudyEvictHandler } from './handlers/on-study-evict.handler';
import { OnSweepStartHandler } from './handlers/on-sweep-start.handler';
import { ingestConfig, type IngestConfig } from './ingest.config';
import { IngestMetrics } from './ingest.metrics';
import { IngestRepository } from './ingest.repository';
import { INGEST_SCHEMA } from './ingest.schema';
import { IngestService } from './ingest.service';
import { OBJECT_STORE } from './ingest.tokens';
import { PixelComparison } from './pixel-comparison';
import { RouteMetrics } from './routing/route.metrics';
import { RouteRepository } from './routing/route.repository';
import { RouteWorker } from './routing/route.worker';
import { RoutesController } from './routing/routes.controller';
import { RoutingService } from './routing/routing.service';
import { DerivationService } from './rules/derivation.service';
import { RulesController } from './rules/rules.controller';
import { RulesService } from './rules/rules.service';
import { SweepService } from './sweep.service';

@Module({
  imports: [
    PostgresModule.forFeature(CATALOG_SCHEMA),
    PostgresModule.forFeature(INGEST_SCHEMA),
    BusStoreModule,
    BusModule.forFeature({
      handles: [PackSealed, SweepStart, SourceVanished, AssignmentChanged],
      answers: [
        StudyEvict,
        DifferenceList,
        DifferenceDecide,
        QuarantineList,
        QuarantineRelease,
        PresentationRebuild,
        RouteList,
        RouteRetry,
        RouteDrop,
        RulesCommand,
      ],
      publishes: [InstanceStored, StudyUpdated, PatientUpdated],
    }),
  ],
  controllers: [
    OnPackSealedHandler,
    OnSweepStartHandler,
    OnSourceVanishedHandler,
    OnAssignmentChangedHandler,
    OnStudyEvictHandler,
    DecisionsController,
    RulesController,
    RoutesController,
  ],
  providers: [
    ingestConfig.provider(),
    {
      provide: OBJECT_STORE,
      inject: [ingestConfig.KEY, HealthRegistry],
      useFactory: (config: IngestConfig, health: HealthRegistry): ObjectStore => {
        const store = createObjectStore(config.objectStore ?? `fs:${join(config.home, 'objects')}`);
        health.register('object-store', async () => {
          await store.ping();
          return { status: 'up' };
        });
        return store;
      },
    },
    IngestRepository,
    EvictionRepository,
    EvictionService,
    IngestMetrics,
    PixelComparison,
    CatalogRules,
    RouteRepository,
    RouteMetrics,
    RoutingService,
    RouteWorker,
    IngestService,
    ArchivesService,
    AnswerService,
    DecisionsService,
    DerivationService,
    RulesService,
    SweepService,
  ],
  exports: [IngestService, SweepService],
})
export class IngestModule {}

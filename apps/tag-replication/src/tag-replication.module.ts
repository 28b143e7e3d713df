import { Module } from '@nestjs/common';
import { CATALOG_SCHEMA } from '@archipelago/catalog-store';
import {
  ArchiveCommand,
  ArchiveList,
  ArchiveStatus,
  DriftList,
  LiveFind,
  SourceVanished,
} from '@archipelago/contracts';
import { BusModule, BusStoreModule } from '@archipelago/platform-bus';
import { PostgresModule } from '@archipelago/platform-storage';
import { EdgeClient } from './edge-client';
import { ApplyService } from './harvest/apply.service';
import { HarvesterService } from './harvest/harvester.service';
import { HarvestRepository } from './harvest/harvest.repository';
import { PlannerService } from './harvest/planner.service';
import { StatusService } from './harvest/status.service';
import { LiveController } from './live/live.controller';
import { LiveRepository } from './live/live.repository';
import { LiveService } from './live/live.service';
import { RegistryController } from './registry/registry.controller';
import { RegistryRepository } from './registry/registry.repository';
import { RegistryService } from './registry/registry.service';
import { tagReplicationConfig } from './tag-replication.config';
import { TagReplicationMetrics } from './tag-replication.metrics';
import { TAG_REPLICATION_SCHEMA } from './tag-replication.schema';

/** The archives that are fronted, and the replication of their tags: first load, what is new, drift. */
@Module({
  imports: [
    // `pack` tells when what was read is in the catalog
    PostgresModule.forFeature(CATALOG_SCHEMA),
    PostgresModule.forFeature(TAG_REPLICATION_SCHEMA),
    BusModule,
    BusStoreModule,
    BusModule.forFeature({
      answers: [ArchiveList, ArchiveStatus, ArchiveCommand, DriftList, LiveFind],
      publishes: [SourceVanished],
    }),
  ],
  controllers: [RegistryController, LiveController],
  providers: [
    tagReplicationConfig.provider(),
    TagReplicationMetrics,
    RegistryRepository,
    RegistryService,
    EdgeClient,
    HarvestRepository,
    PlannerService,
    ApplyService,
    StatusService,
    HarvesterService,
    LiveRepository,
    LiveService,
  ],
})
export class TagReplicationModule {}

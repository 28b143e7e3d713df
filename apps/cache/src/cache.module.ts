import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { CacheCommand, FetchEnsure, InstanceStored, StudyAccessed } from '@archipelago/contracts';
import { CATALOG_SCHEMA } from '@archipelago/catalog-store';
import { BusModule, BusStoreModule } from '@archipelago/platform-bus';
import { createObjectStore, PostgresModule, type ObjectStore } from '@archipelago/platform-storage';
import { ArchivesService } from './archives.service';
import { BrokerController } from './broker.controller';
import { BrokerMetrics } from './broker.metrics';
import { BrokerService } from './broker.service';
import { CACHE_OBJECT_STORE, cacheConfig, type CacheConfig } from './cache.config';
import { CACHE_SCHEMA } from './cache.schema';
import { Evictor } from './evictor';
import { KeeperController } from './keeper.controller';
import { KeeperMetrics } from './keeper.metrics';
import { KeeperRepository } from './keeper.repository';
import { KeeperService } from './keeper.service';
import { LegRepository } from './leg.repository';

/**
 * The retrieval broker: which archive brings what is not at hand, once for all who wait for it. The keeper: which of what was
 * brought stays, within a budget of bytes.
 */
@Module({
  imports: [
    PostgresModule.forFeature(CATALOG_SCHEMA),
    PostgresModule.forFeature(CACHE_SCHEMA),
    BusStoreModule,
    BusModule.forFeature({ answers: [FetchEnsure, CacheCommand], handles: [StudyAccessed, InstanceStored] }),
  ],
  controllers: [BrokerController, KeeperController],
  providers: [
    cacheConfig.provider(),
    {
      provide: CACHE_OBJECT_STORE,
      inject: [cacheConfig.KEY],
      useFactory: (config: CacheConfig): ObjectStore =>
        createObjectStore(config.objectStore ?? `fs:${join(config.home, 'objects')}`),
    },
    ArchivesService,
    BrokerMetrics,
    LegRepository,
    BrokerService,
    KeeperRepository,
    KeeperMetrics,
    Evictor,
    KeeperService,
  ],
})
export class CacheServiceModule {}

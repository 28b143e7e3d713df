import { Module } from '@nestjs/common';
import { FetchEnsure } from '@archipelago/contracts';
import { BusModule, BusStoreModule } from '@archipelago/platform-bus';
import { PostgresModule } from '@archipelago/platform-storage';
import { ArchivesService } from './archives.service';
import { BrokerController } from './broker.controller';
import { BrokerMetrics } from './broker.metrics';
import { BrokerService } from './broker.service';
import { CACHE_SCHEMA } from './cache.schema';
import { LegRepository } from './leg.repository';

/** The retrieval broker: which archive brings what is not at hand, once for all who wait for it. */
@Module({
  imports: [PostgresModule.forFeature(CACHE_SCHEMA), BusStoreModule, BusModule.forFeature({ answers: [FetchEnsure] })],
  controllers: [BrokerController],
  providers: [ArchivesService, BrokerMetrics, LegRepository, BrokerService],
})
export class CacheServiceModule {}

import { Module } from '@nestjs/common';
import { CATALOG_SCHEMA, QueryRunner, RestrictionReader } from '@archipelago/catalog-store';
import { Locate, Search } from '@archipelago/contracts';
import { BusModule, BusStoreModule } from '@archipelago/platform-bus';
import { Logger } from '@archipelago/platform-service';
import { createObjectStore, Database, PostgresModule } from '@archipelago/platform-storage';
import { ArchiveStates } from './archive-states';
import { type CatalogConfig, catalogConfig, objectStoreAddress } from './catalog.config';
import { CatalogMetrics } from './catalog.metrics';
import { QueriesController } from './queries.controller';
import { SeriesMetadataService } from './series-metadata.service';

/** Answers every query: what is there (Search), and where its bytes lie (Locate). */
@Module({
  imports: [
    PostgresModule.forFeature(CATALOG_SCHEMA),
    BusModule,
    BusStoreModule,
    BusModule.forFeature({ answers: [Search, Locate] }),
  ],
  controllers: [QueriesController],
  providers: [
    catalogConfig.provider(),
    CatalogMetrics,
    ArchiveStates,
    { provide: QueryRunner, useFactory: (database: Database) => new QueryRunner(database), inject: [Database] },
    {
      provide: RestrictionReader,
      useFactory: (runner: QueryRunner) => new RestrictionReader(runner),
      inject: [QueryRunner],
    },
    {
      provide: SeriesMetadataService,
      useFactory: (database: Database, config: CatalogConfig, logger: Logger) =>
        new SeriesMetadataService(database, createObjectStore(objectStoreAddress(config)), config, logger),
      inject: [Database, catalogConfig.KEY, Logger],
    },
  ],
  exports: [SeriesMetadataService],
})
export class CatalogModule {}

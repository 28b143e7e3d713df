import { Module } from '@nestjs/common';
import { CATALOG_SCHEMA, QueryRunner } from '@archipelago/catalog-store';
import { Locate, Search } from '@archipelago/contracts';
import { BusModule, BusStoreModule } from '@archipelago/platform-bus';
import { Database, PostgresModule } from '@archipelago/platform-storage';
import { CatalogMetrics } from './catalog.metrics';
import { QueriesController } from './queries.controller';

/** Answers every query: what is there (Search), and where its bytes lie (Locate). */
@Module({
  imports: [PostgresModule.forFeature(CATALOG_SCHEMA), BusModule, BusStoreModule, BusModule.forFeature({ answers: [Search, Locate] })],
  controllers: [QueriesController],
  providers: [CatalogMetrics, { provide: QueryRunner, useFactory: (database: Database) => new QueryRunner(database), inject: [Database] }],
})
export class CatalogModule {}

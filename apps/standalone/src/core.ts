import { Module } from '@nestjs/common';
import { CatalogModule } from '@archipelago/catalog';
import { CacheServiceModule } from '@archipelago/cache-service';
import { IdentityResolutionModule } from '@archipelago/identity-resolution';
import { IngestModule } from '@archipelago/ingest';
import { TagReplicationModule } from '@archipelago/tag-replication';

/** The services that share one process on a single machine, below the edge in priority. */
@Module({
  imports: [IngestModule, CatalogModule, CacheServiceModule, IdentityResolutionModule, TagReplicationModule],
})
export class CoreModule {}

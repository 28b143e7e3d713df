import { Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { FetchStart, PackSealed, StudyAccessed } from '@archipelago/contracts';
import { PixelPool } from '@archipelago/dicom-pixel';
import { Bus, BusModule } from '@archipelago/platform-bus';
import { HealthRegistry } from '@archipelago/platform-service';
import { createObjectStore } from '@archipelago/platform-storage';
import { ArchiveConnections } from './archives/archive-connections';
import { ArchiveMetrics } from './archives/archive.metrics';
import { AssociationService } from './association/association.service';
import { CatalogClient } from './catalog/catalog-client';
import { DimseListener } from './dimse.listener';
import { type EdgeConfig, edgeConfig, objectStoreAddress } from './edge.config';
import { EdgeMetrics } from './edge.metrics';
import { OBJECT_STORE } from './edge.tokens';
import { ArchiveJobs } from './harvest/archive-jobs.service';
import { FindService } from './query/find.service';
import { OutboundService } from './retrieve/outbound.service';
import { PackBytesService } from './retrieve/pack-bytes.service';
import { ThroughService } from './retrieve/through.service';
import { LiveQueries } from './query/live.service';
import { RouteService } from './retrieve/route.service';
import { RetrieveService } from './retrieve/retrieve.service';
import { FetchController } from './fetch/fetch.controller';
import { fetchConfig } from './fetch/fetch.config';
import { FetchMetrics } from './fetch/fetch.metrics';
import { FetchService } from './fetch/fetch.service';
import { FreshDatasets } from './fetch/fresh-datasets';
import { ArchiveDirectory } from './fetch/archive-directory';
import { BrokerClient } from './fetch/broker-client';
import { InternalController } from './fetch/internal.controller';
import { SpoolService } from './segments/spool.service';
import { StoreService } from './store/store.service';
import { tlsConfig } from './tls.config';

/** The DICOM front of a site: takes and sends images, keeps them on its spool until the centre has them. */
@Module({
  imports: [BusModule, BusModule.forFeature({ publishes: [PackSealed, StudyAccessed], answers: [FetchStart] })],
  controllers: [FetchController, InternalController],
  providers: [
    edgeConfig.provider(),
    tlsConfig.provider(),
    EdgeMetrics,
    {
      provide: OBJECT_STORE,
      useFactory: (config: EdgeConfig) => createObjectStore(objectStoreAddress(config)),
      inject: [edgeConfig.KEY],
    },
    { provide: PixelPool, useFactory: () => new PixelPool() },
    SpoolService,
    ArchiveMetrics,
    ArchiveConnections,
    ArchiveJobs,
    AssociationService,
    StoreService,
    CatalogClient,
    LiveQueries,
    FindService,
    OutboundService,
    PackBytesService,
    RetrieveService,
    ThroughService,
    fetchConfig.provider(),
    FetchMetrics,
    ArchiveDirectory,
    BrokerClient,
    FetchService,
    FreshDatasets,
    RouteService,
    ArchiveMetrics,
    ArchiveConnections,
    DimseListener,
  ],
})
export class EdgeModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly bus: Bus,
    private readonly health: HealthRegistry,
    private readonly pool: PixelPool,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.pool.close();
  }

  /** The edge goes on acknowledging while the bus is away: that makes it degraded, never not ready. */
  onApplicationBootstrap(): void {
    const nats = () =>
      this.bus.connected
        ? { status: 'up' as const }
        : { status: 'degraded' as const, reason: 'NATS cannot be reached: packs wait on the spool, queries fail' };
    this.health.register('nats', nats, { critical: false });
  }
}

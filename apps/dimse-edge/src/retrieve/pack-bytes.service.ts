import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Logger } from '@archipelago/platform-service';
import type { ObjectStore } from '@archipelago/platform-storage';
import { type EdgeConfig, edgeConfig } from '../edge.config';
import { EdgeMetrics } from '../edge.metrics';
import { OBJECT_STORE } from '../edge.tokens';
import { FreshDatasets } from '../fetch/fresh-datasets';
import { SpoolService } from '../segments/spool.service';
import { DigestThreads } from './digest-threads';
import { InstanceLoader } from './instance-loader';
import { PackBytes } from './pack-bytes';
import { Slabs } from './slabs';

/** Where the bytes of retrievals come from: this edge's segments, then the object store. */
@Injectable()
export class PackBytesService implements OnApplicationShutdown {
  private readonly bytes: PackBytes;
  private readonly slabs = new Slabs();
  private readonly digests = new DigestThreads();

  constructor(
    spool: SpoolService,
    @Inject(OBJECT_STORE) store: ObjectStore,
    @Inject(edgeConfig.KEY) private readonly config: EdgeConfig,
    private readonly fresh: FreshDatasets,
    private readonly metrics: EdgeMetrics,
    private readonly logger: Logger,
  ) {
    this.bytes = new PackBytes(
      (packId) => spool.spool.locate(packId) ?? spool.spool.locateOpen(packId) ?? undefined,
      new Map([[store.name, store]]),
      (packId) => fresh.written(packId),
    );
  }

  loader(): InstanceLoader {
    return new InstanceLoader(this.bytes, {
      verify: this.config.verifyReads,
      slabs: this.slabs,
      digests: this.digests,
      fresh: this.fresh,
      onDamaged: (copy, where, why) => {
        this.metrics.all.damaged.inc({ where, why });
        this.logger.error('copy of an instance is damaged or cannot be read', {
          packId: copy.packId,
          store: copy.store,
          component: where,
          reason: why,
        });
      },
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.digests.close();
  }
}

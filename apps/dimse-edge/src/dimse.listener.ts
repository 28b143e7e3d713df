import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { type DimseHandlers, type DimseObserver, DimseServer, type DimseServerOptions } from '@archipelago/dimse';
import {
  ARCHIPELAGO_CONFIG,
  type ArchipelagoConfig,
  coreConfig,
  type CoreConfig,
  HealthRegistry,
  Logger,
  readTlsFiles,
} from '@archipelago/platform-service';
import { AssociationService } from './association/association.service';
import { type EdgeConfig, edgeConfig } from './edge.config';
import { EdgeMetrics, statusLabel } from './edge.metrics';
import { FindService } from './query/find.service';
import { RetrieveService } from './retrieve/retrieve.service';
import { StoreService } from './store/store.service';

/** The DICOM port, and beside it the TLS port where one is configured: both with the same services. */
@Injectable()
export class DimseListener implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly servers: DimseServer[] = [];

  constructor(
    @Inject(edgeConfig.KEY) private readonly config: EdgeConfig,
    @Inject(coreConfig.KEY) private readonly core: CoreConfig,
    @Inject(ARCHIPELAGO_CONFIG) private readonly file: ArchipelagoConfig,
    private readonly associations: AssociationService,
    private readonly stores: StoreService,
    private readonly finds: FindService,
    private readonly retrieves: RetrieveService,
    private readonly metrics: EdgeMetrics,
    private readonly health: HealthRegistry,
    private readonly logger: Logger,
  ) {}

  /** After the spool is open and recovered: whoever connects can store. */
  async onApplicationBootstrap(): Promise<void> {
    this.health.register('dicom', () =>
      this.servers.length > 0 ? { status: 'up' } : { status: 'down', reason: 'port not open' },
    );
    const { dimseHost: host, dimsePort } = this.config;
    await this.listen({ host, port: dimsePort });
    const { tls } = this.file;
    if (!tls) return;
    await this.listen({
      host,
      port: tls.port,
      tls: {
        ...readTlsFiles(tls),
        requestCert: tls.ca !== undefined,
        rejectUnauthorized: tls.requireClientCertificate,
      },
    });
  }

  /** Work under way is finished within the time that the process has to stop. */
  async beforeApplicationShutdown(): Promise<void> {
    const servers = this.servers.splice(0);
    await Promise.all(servers.map((server) => server.close(Math.max(500, this.core.shutdownSeconds * 600))));
  }

  private async listen(at: Pick<DimseServerOptions, 'host' | 'port' | 'tls'>): Promise<void> {
    const { limits } = this.file;
    const server = new DimseServer({
      ...at,
      limits: {
        maxPduLength: limits.maxPduBytes,
        artimMs: limits.artimSeconds * 1000,
        maxUnassociated: limits.maxHandshakes,
        maxAssociations: limits.maxAssociations,
        idleTimeoutMs: limits.idleSeconds * 1000,
      },
      handlers: this.handlers(),
      observer: this.observer(),
    });
    const { port } = await server.listen();
    this.servers.push(server);
    this.logger.info('DICOM port open', { host: at.host, port, component: at.tls ? 'tls' : 'plain' });
  }

  private handlers(): DimseHandlers {
    const open = () => this.servers.flatMap((server) => server.associations());
    return {
      associate: (request, info) => this.associations.associate(request, info, open()),
      released: (info, how, detail) => {
        this.associations.released(info, how, detail);
      },
      echo: () => ({ status: 0 }),
      store: (request) => this.stores.store(request),
      find: (request) => this.finds.find(request),
      move: (request) => this.retrieves.move(request),
      get: (request) => this.retrieves.get(request),
    };
  }

  private observer(): DimseObserver {
    const { connections, queries, querySeconds, associations } = this.metrics.all;
    const timer = setInterval(
      () => associations.set(this.servers.reduce((n, s) => n + s.associations().length, 0)),
      1_000,
    );
    timer.unref();
    return {
      connection: (event, { remoteAddress, message }) => {
        connections.inc({ event });
        if (event === 'opened' || event === 'closed') return;
        this.logger.warn('connection on the DICOM port ended', { event, remoteAddress, reason: message });
      },
      message: ({ service, status, ms }) => {
        if (service !== 'C-FIND') return;
        queries.inc({ status: statusLabel(status) });
        querySeconds.observe(ms / 1000);
      },
    };
  }
}

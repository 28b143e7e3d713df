import { Global, Module, type DynamicModule, type Type } from '@nestjs/common';
import { coreConfig } from './config/core.config';
import type { ArchipelagoConfig } from './config/archipelago-schema';
import { ARCHIPELAGO_CONFIG, loadArchipelagoConfig } from './config/load-archipelago-config';
import { HealthController } from './health/health.controller';
import { HealthRegistry } from './health/health-registry';
import { MetricsRegistry } from './health/metrics-registry';
import { Logger } from './logging/logger';
import { SERVICE_NAME } from './service-name';
import { TransportRegistry } from './transport-registry';

/** Injection token of this process's site: ARCHIPELAGO_SITE, else the site file's, else `main`. */
export const SITE = Symbol('site');

export interface ServiceModuleOptions {
  service: string;
  logger?: Logger;
}

/** Global: logger, configuration, health and metrics, for every module of the process. */
@Global()
@Module({})
export class ServiceModule {
  static forRoot(options: ServiceModuleOptions): DynamicModule {
    const config = coreConfig.provider();
    return {
      module: ServiceModule,
      controllers: [HealthController],
      providers: [
        config,
        { provide: SERVICE_NAME, useValue: options.service },
        { provide: ARCHIPELAGO_CONFIG, useFactory: () => loadArchipelagoConfig() },
        {
          provide: SITE,
          useFactory: (file: ArchipelagoConfig) => coreConfig.load().site ?? file.site,
          inject: [ARCHIPELAGO_CONFIG],
        },
        {
          provide: Logger,
          useFactory: () => options.logger ?? Logger.create(options.service, coreConfig.load().logLevel),
        },
        HealthRegistry,
        TransportRegistry,
        {
          provide: MetricsRegistry,
          useFactory: () => {
            const metrics = new MetricsRegistry();
            metrics.collectDefaults();
            return metrics;
          },
        },
      ],
      exports: [
        coreConfig.KEY,
        SERVICE_NAME,
        ARCHIPELAGO_CONFIG,
        SITE,
        Logger,
        HealthRegistry,
        MetricsRegistry,
        TransportRegistry,
      ],
    };
  }
}

/** The service's own module beside the global one. */
@Module({})
export class RootModule {
  static of(root: Type<unknown> | DynamicModule, options: ServiceModuleOptions): DynamicModule {
    return { module: RootModule, imports: [ServiceModule.forRoot(options), root] };
  }
}

import {
  Global,
  Inject,
  Module,
  type DynamicModule,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import { HealthRegistry, Logger, MetricsRegistry } from '@archipelago/platform-service';
import { connectAndMigrate, makeDataSource } from './connect';
import { Database } from './database';
import { databaseConfig, type DatabaseConfig } from './database.config';
import { registerSchema, schemaParts, type SchemaPart } from './schema-registry';

/**
 * One DataSource and its pool for the process. Libraries bring their tables with `PostgresModule.forFeature(part)`;
 * all parts are migrated before anything is injected.
 */
@Global()
@Module({
  providers: [
    databaseConfig.provider(),
    {
      provide: DataSource,
      inject: [databaseConfig.KEY, Logger],
      useFactory: (config: DatabaseConfig, logger: Logger) =>
        connectAndMigrate(
          () =>
            makeDataSource(config, schemaParts(), (error) => logger.warn('database connection lost', { err: error })),
          logger,
        ),
    },
    { provide: Database, inject: [DataSource], useFactory: (dataSource: DataSource) => new Database(dataSource) },
  ],
  exports: [DataSource, Database],
})
export class PostgresModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    private readonly database: Database,
    private readonly health: HealthRegistry,
    private readonly metrics: MetricsRegistry,
  ) {}

  /** Adds a library's entities and migrations. Evaluated with the decorators, so before anything connects. */
  static forFeature(part: SchemaPart): DynamicModule {
    registerSchema(part);
    // a module of its own: Nest would make another PostgresModule, with another pool, for every dynamic variant
    return { module: SchemaPartModule, imports: [PostgresModule] };
  }

  onModuleInit(): void {
    this.health.register('postgresql', () => this.database.health());
    const pool = this.database.pool;
    this.metrics.gauge({
      name: 'archipelago_database_connections',
      help: 'Connections of the pool by state',
      labelNames: ['state'],
      collect() {
        this.set({ state: 'total' }, pool.totalCount);
        this.set({ state: 'idle' }, pool.idleCount);
        this.set({ state: 'waiting' }, pool.waitingCount);
      },
    });
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }
}

@Module({})
class SchemaPartModule {}

import { Module, type INestApplication } from '@nestjs/common';
import { BusModule, BusStoreModule } from '@archipelago/platform-bus';
import { createService } from '@archipelago/platform-service';
import { SweepStart } from '@archipelago/contracts';

@Module({ imports: [BusStoreModule, BusModule.forFeature({ publishes: [SweepStart] })] })
class CoreToolsModule {}

/** PostgreSQL and NATS as the ARCHIPELAGO_* variables name them, for one command. Not initialised: nothing runs beside it. */
export async function withCoreServices<T>(use: (app: INestApplication) => Promise<T>): Promise<T> {
  process.env['ARCHIPELAGO_LOG_LEVEL'] ||= 'silent';
  const app = await createService(CoreToolsModule, { service: 'cli' });
  try {
    return await use(app);
  } finally {
    await app.close();
  }
}

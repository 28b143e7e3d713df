import { Module, type INestApplication } from '@nestjs/common';
import { BusModule, BusStoreModule } from '@archipelago/platform-bus';
import { readServicesFile } from '@archipelago/platform-embedded';
import { coreConfig, createService } from '@archipelago/platform-service';
import { SweepStart } from '@archipelago/contracts';

/** Longer than any start of a server that is there. */
const WAIT_MS = 30_000;

@Module({ imports: [BusStoreModule, BusModule.forFeature({ publishes: [SweepStart] })] })
class CoreToolsModule {}

/**
 * PostgreSQL and NATS as the ARCHIPELAGO_* variables name them, else those of the standalone that runs on
 * ARCHIPELAGO_HOME, for one command. Not initialised: nothing runs beside it.
 */
export async function withCoreServices<T>(use: (app: INestApplication) => Promise<T>): Promise<T> {
  process.env['ARCHIPELAGO_LOG_LEVEL'] ||= 'silent';
  if (!process.env['ARCHIPELAGO_DATABASE_URL']) {
    for (const [name, value] of Object.entries(readServicesFile(coreConfig.load().home) ?? {})) {
      process.env[name] ||= value;
    }
  }
  // a service waits for PostgreSQL as long as it takes; a person does not
  const late = setTimeout(() => {
    process.stderr.write(`PostgreSQL does not answer (waited ${WAIT_MS / 1000} s)\n`);
    process.exit(1);
  }, WAIT_MS);
  // standard output is the command's answer, which another program may read
  const logTo = { write: (line: string): void => void process.stderr.write(line) };
  const app = await createService(CoreToolsModule, { service: 'cli', logTo }).finally(() => clearTimeout(late));
  try {
    return await use(app);
  } finally {
    await app.close();
  }
}

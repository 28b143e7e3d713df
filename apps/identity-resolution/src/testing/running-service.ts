import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bus } from '@archipelago/platform-bus';
import { createService } from '@archipelago/platform-service';
import { Database } from '@archipelago/platform-storage';
import type { INestApplication } from '@nestjs/common';
import { IdentityResolutionModule } from '../identity.module';

export interface RunningService {
  app: INestApplication;
  bus: Bus;
  database: Database;
  stop(): Promise<void>;
}

interface Server {
  url: string;
  stop(): Promise<void>;
}

/** The service on these servers, which it stops with itself, with this site file. */
export async function startService(nats: Server, postgres: Server, siteFile = ''): Promise<RunningService> {
  const folder = mkdtempSync(join(tmpdir(), 'archipelago-identity-'));
  const config = join(folder, 'site.yaml');
  writeFileSync(config, siteFile);
  process.env['ARCHIPELAGO_CONFIG'] = config;
  process.env['ARCHIPELAGO_NATS_URL'] = nats.url;
  process.env['ARCHIPELAGO_DATABASE_URL'] = postgres.url;
  process.env['ARCHIPELAGO_LOG_LEVEL'] = process.env['PROBE_LOG'] ?? 'silent';
  const app = await createService(IdentityResolutionModule, { service: 'identity-resolution' });
  await app.init();
  await app.startAllMicroservices();
  const stop = async (): Promise<void> => {
    await app.close();
    await Promise.all([nats.stop(), postgres.stop()]);
    rmSync(folder, { recursive: true, force: true });
  };
  return { app, bus: app.get(Bus), database: app.get(Database), stop };
}

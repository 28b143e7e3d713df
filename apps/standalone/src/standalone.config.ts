import { z } from 'zod';
import {
  checkTlsFiles,
  coreConfig,
  defineConfig,
  envPort,
  loadArchipelagoConfig,
  checkConfig,
  type ConfigOf,
} from '@archipelago/platform-service';

/** What the supervisor itself reads; its children read their own settings. */
export const standaloneConfig = defineConfig(
  'standalone',
  z.object({
    dimseHost: z.string().default('127.0.0.1'),
    dimsePort: envPort().default(11112),
    databaseUrl: z.string().optional(),
    natsUrl: z.string().optional(),
    objectStore: z
      .string()
      .regex(/^(fs:.+|s3:https?:\/\/.+)$/, 'expected fs:<folder> or s3:http(s)://host:port/bucket')
      .optional(),
  }),
  {
    dimseHost: 'ARCHIPELAGO_DIMSE_HOST',
    dimsePort: 'ARCHIPELAGO_DIMSE_PORT',
    databaseUrl: 'ARCHIPELAGO_DATABASE_URL',
    natsUrl: 'ARCHIPELAGO_NATS_URL',
    objectStore: 'ARCHIPELAGO_OBJECT_STORE',
  },
);
export type StandaloneConfig = ConfigOf<typeof standaloneConfig> & ConfigOf<typeof coreConfig>;

/**
 * Everything that can be checked before anything is started.
 * @throws ConfigError listing every mistake
 */
export async function loadStandaloneConfig(): Promise<StandaloneConfig> {
  await checkConfig(undefined, [
    () => coreConfig.load(),
    () => standaloneConfig.load(),
    () => loadArchipelagoConfig(process.env, checkTlsFiles),
  ]);
  return { ...coreConfig.load(), ...standaloneConfig.load() };
}

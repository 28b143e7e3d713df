import { z } from 'zod';
import { AeTitle, Token } from './archipelago-schema';
import { defineConfig, type ConfigOf } from './define-config';
import { envInteger, envPort } from './env';

/** What every service needs, whatever it does. */
export const coreConfig = defineConfig(
  'core',
  z.object({
    home: z.string().default('./data'),
    site: Token.optional(),
    aeTitle: AeTitle.default('ARCHIPELAGO'),
    httpHost: z.string().default('127.0.0.1'),
    httpPort: envPort().default(8080),
    logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    /** Seconds a stop may take before the process ends itself. */
    shutdownSeconds: envInteger(1, 600).default(10),
  }),
  {
    home: 'ARCHIPELAGO_HOME',
    site: 'ARCHIPELAGO_SITE',
    aeTitle: 'ARCHIPELAGO_AE_TITLE',
    httpHost: 'ARCHIPELAGO_HTTP_HOST',
    httpPort: 'ARCHIPELAGO_HTTP_PORT',
    logLevel: 'ARCHIPELAGO_LOG_LEVEL',
    shutdownSeconds: 'ARCHIPELAGO_SHUTDOWN_SECONDS',
  },
);
export type CoreConfig = ConfigOf<typeof coreConfig>;

import { z } from 'zod';
import { defineConfig, envInteger, type ConfigOf } from '@archipelago/platform-service';

export const databaseConfig = defineConfig(
  'database',
  z.object({
    url: z
      .string('the PostgreSQL to use: postgres://user:password@host:port/database')
      .regex(/^postgres(ql)?:\/\/\S+$/, 'expected postgres://user:password@host:port/database'),
    poolSize: envInteger(2, 200).default(10),
    /** A statement that takes longer is cancelled and counts as a transient failure. */
    statementTimeoutMs: envInteger(100, 3_600_000).default(30_000),
    connectTimeoutMs: envInteger(100, 60_000).default(3_000),
  }),
  {
    url: 'ARCHIPELAGO_DATABASE_URL',
    poolSize: 'ARCHIPELAGO_DATABASE_POOL',
    statementTimeoutMs: 'ARCHIPELAGO_DATABASE_STATEMENT_TIMEOUT_MS',
    connectTimeoutMs: 'ARCHIPELAGO_DATABASE_CONNECT_TIMEOUT_MS',
  },
);
export type DatabaseConfig = ConfigOf<typeof databaseConfig>;

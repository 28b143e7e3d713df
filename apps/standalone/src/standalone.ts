import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  accepts,
  bindError,
  freePort,
  removeServicesFile,
  startNatsServer,
  startPostgresServer,
  type ManagedChild,
  writeServicesFile,
} from '@archipelago/platform-embedded';
import type { Logger } from '@archipelago/platform-service';
import { keptSecret } from './credentials';
import { Front } from './front';
import { boundLogFiles } from './log-files';
import { startNodeChild } from './node-child';
import type { RunFolder } from './run-folder';
import type { StandaloneConfig } from './standalone.config';
import { Supervised } from './supervised';

/** Below the edge: an image that is being received goes first. */
const CORE_NICE = 5;
const NATS_USER = 'archipelago';

/** The whole must be stopped within 10 s: the edge has until the first mark, then the core, then the servers. */
const STOP_MARKS_MS = { edge: 4500, core: 7000, servers: 9300 };

export class PortTakenError extends Error {
  constructor(host: string, port: number, code: string, setting: string) {
    const why = code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be opened (${code})`;
    super(`port ${port} on ${host} ${why}: set ${setting} to another port`);
    this.name = 'PortTakenError';
  }
}

/** Servers and services of one machine. start() once, stop() once. */
export class Standalone {
  private readonly home: string;
  private readonly logs: string;
  private readonly env: NodeJS.ProcessEnv;
  private readonly urls = new Map<string, string>();
  private readonly servers: Supervised[] = [];
  private core: Supervised | undefined;
  private edge: Supervised | undefined;
  private front: Front | undefined;
  private logTimer: NodeJS.Timeout | undefined;
  private httpPort = 0;
  private dimsePort = 0;

  constructor(
    private readonly config: StandaloneConfig,
    private readonly run: RunFolder,
    private readonly logger: Logger,
  ) {
    this.home = resolve(config.home);
    this.logs = join(this.home, 'logs');
    this.env = {
      ...process.env,
      ARCHIPELAGO_HOME: this.home,
      ARCHIPELAGO_HTTP_HOST: '127.0.0.1',
      ARCHIPELAGO_HTTP_PORT: '0',
      ARCHIPELAGO_SPOOL_DIR: process.env.ARCHIPELAGO_SPOOL_DIR || join(this.home, 'spool'),
      ARCHIPELAGO_OBJECT_STORE: config.objectStore ?? `fs:${join(this.home, 'objects')}`,
    };
  }

  /** Resolves when everything is ready; answers with the ready line. */
  async start(): Promise<string> {
    mkdirSync(this.logs, { recursive: true, mode: 0o700 });
    boundLogFiles(this.logs);
    this.logTimer = setInterval(() => boundLogFiles(this.logs), 60_000).unref();
    await this.takePorts();
    await Promise.all([this.startNats(), this.startPostgres()]);
    this.noteServices();
    this.core = this.service('core', join(__dirname, 'core-main.js'), 2, CORE_NICE);
    await this.core.start();
    this.edge = this.service('edge', edgeScript(), 4, 0);
    await this.edge.start();
    await this.waitUntilReady();
    if (this.front) this.front.phase = 'ready';
    const { aeTitle, dimseHost, httpHost } = this.config;
    return `archipelago ready: DICOM ${aeTitle}@${dimseHost}:${this.dimsePort}, HTTP http://${httpHost}:${this.httpPort}`;
  }

  get dicomPort(): number {
    return this.dimsePort;
  }

  private async takePorts(): Promise<void> {
    const { dimseHost, dimsePort, httpHost, httpPort } = this.config;
    this.dimsePort = dimsePort === 0 ? await freePort(dimseHost) : dimsePort;
    const dimseError = await bindError(this.dimsePort, dimseHost);
    if (dimseError) throw new PortTakenError(dimseHost, dimsePort, dimseError, 'ARCHIPELAGO_DIMSE_PORT');
    this.env.ARCHIPELAGO_DIMSE_PORT = String(this.dimsePort);
    const part = (name: string, found: () => Supervised | undefined) => ({
      name,
      url: () => this.urls.get(name),
      alive: () => found()?.alive ?? false,
      restarts: () => found()?.restartCount ?? 0,
    });
    const embedded = [...(this.config.natsUrl ? [] : ['nats']), ...(this.config.databaseUrl ? [] : ['postgres'])];
    this.front = new Front([
      part('edge', () => this.edge),
      part('core', () => this.core),
      ...embedded.map((name) => part(name, () => this.servers.find((server) => server.name === name))),
    ]);
    try {
      this.httpPort = await this.front.listen(httpPort, httpHost);
    } catch (error) {
      this.front = undefined;
      throw new PortTakenError(
        httpHost,
        httpPort,
        (error as NodeJS.ErrnoException).code ?? 'EUNKNOWN',
        'ARCHIPELAGO_HTTP_PORT',
      );
    }
  }

  private async startNats(): Promise<void> {
    if (this.config.natsUrl) return;
    const port = await freePort();
    const password = keptSecret(join(this.home, 'nats', 'password'));
    this.env.ARCHIPELAGO_NATS_URL = `nats://127.0.0.1:${port}`;
    this.env.ARCHIPELAGO_NATS_USER = NATS_USER;
    this.env.ARCHIPELAGO_NATS_PASSWORD = password;
    await this.server('nats', async () => {
      const server = await startNatsServer({
        folder: join(this.home, 'nats'),
        logFile: join(this.logs, 'nats.log'),
        port,
        credentials: { user: NATS_USER, password },
      });
      return server.child;
    });
  }

  /** For `npm run archipelago -- ...` on this machine: the embedded servers have ports and passwords of their own. */
  private noteServices(): void {
    const environment: Record<string, string> = {};
    for (const name of ['DATABASE_URL', 'NATS_URL', 'NATS_USER', 'NATS_PASSWORD', 'OBJECT_STORE']) {
      const value = this.env[`ARCHIPELAGO_${name}`];
      if (value) environment[`ARCHIPELAGO_${name}`] = value;
    }
    writeServicesFile(this.home, environment);
  }

  private async startPostgres(): Promise<void> {
    if (this.config.databaseUrl) return;
    const port = await freePort();
    await this.server('postgres', async () => {
      const server = await startPostgresServer({
        folder: join(this.home, 'postgres'),
        logFile: join(this.logs, 'postgres.log'),
        port,
        nice: CORE_NICE,
      });
      this.env.ARCHIPELAGO_DATABASE_URL = server.url;
      return server.child;
    });
  }

  private async server(name: string, launch: () => Promise<ManagedChild>): Promise<void> {
    const noted = async (): Promise<ManagedChild> => {
      const child = await launch();
      this.run.note(name, child.pid);
      return child;
    };
    const server = new Supervised(name, noted, this.logger);
    this.servers.push(server);
    await server.start();
  }

  private service(name: string, script: string, shutdownSeconds: number, nice: number): Supervised {
    const launch = async (): Promise<ManagedChild> => {
      const env = { ...this.env, ARCHIPELAGO_SHUTDOWN_SECONDS: String(shutdownSeconds) };
      const logFile = join(this.logs, `${name}.log`);
      this.urls.delete(name);
      const { child, url } = await startNodeChild({
        name,
        script,
        env,
        logFile,
        nice,
        onSpawn: (pid) => this.run.note(name, pid),
      });
      this.urls.set(name, url);
      return child;
    };
    return new Supervised(name, launch, this.logger);
  }

  private async waitUntilReady(timeoutMs = 60_000): Promise<void> {
    let parts: Record<string, { status: string }> = {};
    for (const end = Date.now() + timeoutMs; Date.now() < end; await new Promise((next) => setTimeout(next, 100))) {
      parts = (await this.front?.readiness()) ?? {};
      const up = Object.values(parts).every((part) => part.status === 'up');
      if (up && (await accepts(this.dimsePort, this.config.dimseHost))) return;
    }
    throw new Error(`not ready after ${timeoutMs / 1000} s: ${JSON.stringify(parts)}; logs are in ${this.logs}`);
  }

  /** Edge first, so that nothing new is acknowledged, then the core, then the servers under them; within 10 s. */
  async stop(): Promise<void> {
    if (this.front) this.front.phase = 'stopping';
    clearInterval(this.logTimer);
    const started = Date.now();
    const left = (mark: number): number => Math.max(200, started + mark - Date.now());
    await this.edge?.stop(left(STOP_MARKS_MS.edge));
    await this.core?.stop(left(STOP_MARKS_MS.core));
    await Promise.all(this.servers.map((server) => server.stop(left(STOP_MARKS_MS.servers))));
    await this.front?.close();
    removeServicesFile(this.home);
    this.run.release();
  }
}

function edgeScript(): string {
  return join(dirname(require.resolve('@archipelago/dimse-edge/package.json')), 'dist', 'main.js');
}

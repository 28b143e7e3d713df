import { findNatsServer, freePort, startNatsServer, type FoundTool } from '@archipelago/platform-embedded';
import { extend, launch, temporaryFolder, type RunningServer } from './server';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

export interface NatsOptions {
  /** Kept by stop() when given. */
  dir?: string;
  port?: number;
  /** Default: the newest one. */
  server?: FoundTool;
}
export interface TestNats extends RunningServer {
  readonly url: string;
  readonly version: string;
  /** Removes JetStream's files, as a lost volume would; the server must be down. */
  wipe(): void;
}

/** A real nats-server with JetStream on a free loopback port. */
export async function startNats(options: NatsOptions = {}): Promise<TestNats> {
  const server = options.server ?? findNatsServer('newest');
  const folder = options.dir ?? temporaryFolder('nats');
  const port = options.port ?? (await freePort());
  const running = await launch(port, options.dir ? undefined : folder, async () => {
    return (await startNatsServer({ folder, port, server })).child;
  });
  return extend(running, {
    url: `nats://127.0.0.1:${port}`,
    version: server.version,
    wipe: () => rmSync(join(folder, 'jetstream'), { recursive: true, force: true }),
  });
}

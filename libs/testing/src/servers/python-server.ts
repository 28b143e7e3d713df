import { join } from 'node:path';
import { accepts, findPeersPython, freePort, spawnManaged, waitUntilReady } from '@archipelago/platform-embedded';
import { launch, temporaryFolder, type RunningServer } from './server';

export interface PythonServerOptions {
  port?: number;
  env?: Record<string, string>;
  cwd?: string;
}

/**
 * A Python file that listens (a pynetdicom SCP, a hostile peer), with the peers' environment. It is called with the port
 * as its first argument, before `args`, and is ready when the port takes connections.
 */
export async function startPythonServer(
  script: string,
  args: string[] = [],
  options: PythonServerOptions = {},
): Promise<RunningServer> {
  const python = findPeersPython();
  const folder = temporaryFolder('python');
  const port = options.port ?? (await freePort());
  return launch(port, folder, async () => {
    const child = spawnManaged(python, ['-B', '-u', script, String(port), ...args], {
      name: script,
      logFile: join(folder, 'python.log'),
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    await waitUntilReady(child, () => accepts(port));
    return child;
  });
}

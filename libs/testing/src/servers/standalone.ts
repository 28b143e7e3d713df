import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, guardedCommand, repositoryRoot } from '@archipelago/platform-embedded';
import { removeFolder, temporaryFolder } from './server';

export interface StandaloneOptions {
  /** Kept by stop() when given. */
  home?: string;
  env?: Record<string, string | undefined>;
  /** Run as this plain user (only as root). */
  user?: { uid: number; gid: number };
  readyTimeoutMs?: number;
}
export interface TestStandalone {
  readonly home: string;
  readonly aeTitle: string;
  readonly dicomPort: number;
  readonly httpUrl: string;
  readonly pid: number;
  /** Everything that it wrote to standard output and standard error. */
  output(): string;
  /** Pids of its children by name: edge, core, nats, postgres. */
  children(): Record<string, number>;
  /** Sends the signal and waits: exit status and how long it took. */
  terminate(signal?: NodeJS.Signals): Promise<{ code: number | null; ms: number }>;
  kill9(): Promise<void>;
  /** terminate(), then removes the data folder. Calling it again does nothing. */
  stop(): Promise<void>;
}

/** A start that did not reach the ready line. */
export class StandaloneFailedError extends Error {
  constructor(
    readonly code: number | null,
    readonly output: string,
  ) {
    super(`standalone did not become ready (exit ${code}):\n${output.slice(-4000)}`);
    this.name = 'StandaloneFailedError';
  }
}

const READY = /^archipelago ready: DICOM (.+)@([^@\s]+):(\d+), HTTP (http:\/\/\S+)$/m;

/**
 * The whole standalone as `npm start` runs it (built; run `npm run build` before), on free ports, with a data folder of
 * its own.
 * @throws StandaloneFailedError
 */
export async function startStandalone(options: StandaloneOptions = {}): Promise<TestStandalone> {
  const home = options.home ?? temporaryFolder('standalone');
  const main = join(repositoryRoot(), 'apps', 'standalone', 'dist', 'main.js');
  const env = {
    ...process.env,
    UV_THREADPOOL_SIZE: '32',
    ARCHIPELAGO_HOME: home,
    ARCHIPELAGO_DIMSE_PORT: String(await freePort()),
    ARCHIPELAGO_HTTP_PORT: String(await freePort()),
    ...options.env,
  };
  const guarded = guardedCommand(process.execPath, ['--enable-source-maps', main], {
    user: options.user,
    deathSignal: 'SIGTERM',
  });
  const child = spawn(guarded.command, guarded.args, {
    env,
    cwd: repositoryRoot(),
    uid: guarded.uid,
    gid: guarded.gid,
  });
  let text = '';
  const keep = (chunk: Buffer): void => void (text = (text + chunk.toString()).slice(-1_000_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const line = await readyLine(exited, () => text, options.readyTimeoutMs ?? 120_000);
  if (!line) {
    child.kill('SIGTERM');
    const code = await exited;
    if (!options.home) removeFolder(home);
    throw new StandaloneFailedError(code, text);
  }
  return handle(child, exited, line, home, options.home === undefined, () => text);
}

async function readyLine(
  exited: Promise<unknown>,
  output: () => string,
  timeoutMs: number,
): Promise<RegExpExecArray | null> {
  let over = false;
  void exited.then(() => (over = true));
  for (
    const end = Date.now() + timeoutMs;
    !over && Date.now() < end;
    await new Promise((next) => setTimeout(next, 25))
  ) {
    const match = READY.exec(output());
    if (match) return match;
  }
  return READY.exec(output());
}

function handle(
  child: ChildProcess,
  exited: Promise<number | null>,
  line: RegExpExecArray,
  home: string,
  remove: boolean,
  output: () => string,
): TestStandalone {
  let stopped = false;
  const terminate = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | null; ms: number }> => {
    const started = performance.now();
    child.kill(signal);
    const code = await exited;
    return { code, ms: performance.now() - started };
  };
  return {
    home,
    aeTitle: line[1] as string,
    dicomPort: Number(line[3]),
    httpUrl: line[4] as string,
    pid: child.pid as number,
    output,
    children() {
      const state = JSON.parse(readFileSync(join(home, 'run', 'standalone.json'), 'utf8')) as {
        children: Record<string, { pid: number }>;
      };
      return Object.fromEntries(Object.entries(state.children).map(([name, { pid }]) => [name, pid]));
    },
    terminate,
    async kill9() {
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      if (child.exitCode === null && child.signalCode === null) await terminate();
      if (remove) removeFolder(home);
    },
  };
}

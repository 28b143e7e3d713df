import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { manage, tailOf, type ManagedChild } from '@archipelago/platform-embedded';
import { EXIT_CONFIG } from '@archipelago/platform-service';
import { ChildConfigError } from './supervised';

export interface NodeChildOptions {
  name: string;
  script: string;
  env: NodeJS.ProcessEnv;
  logFile: string;
  nice?: number;
  readyTimeoutMs?: number;
  /** Known as soon as the process exists, before it is ready. */
  onSpawn?: (pid: number) => void;
}
export interface NodeChild {
  child: ManagedChild;
  /** Where its health and metrics answer. */
  url: string;
}

/**
 * Starts one of our services as a child with an IPC channel. It says when it is ready and where it listens; when we are
 * gone the channel closes and it stops by itself.
 * @throws ChildConfigError when it refuses its configuration
 */
export async function startNodeChild(options: NodeChildOptions): Promise<NodeChild> {
  mkdirSync(dirname(options.logFile), { recursive: true, mode: 0o700 });
  const log = openSync(options.logFile, 'a', 0o600);
  const logStart = statSync(options.logFile).size;
  const command = [process.execPath, options.script];
  if (options.nice) command.unshift('nice', '-n', String(options.nice));
  const spawned = spawn(command[0] as string, command.slice(1), {
    env: options.env,
    stdio: ['ignore', log, log, 'ipc'],
    detached: true,
  });
  closeSync(log);
  const child = manage(spawned, options);
  if (spawned.pid) options.onSpawn?.(spawned.pid);
  const ready = new Promise<string>((resolve) => {
    spawned.on('message', (message: { type?: string; url?: string }) => {
      if (message?.type === 'ready' && typeof message.url === 'string') resolve(message.url);
    });
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), options.readyTimeoutMs ?? 60_000);
  });
  const first = await Promise.race([ready, child.exited, late]);
  clearTimeout(timer);
  if (typeof first === 'string' && first !== 'late') return { child, url: first };
  if (first === 'late') {
    await child.kill9();
    throw new Error(`${options.name} was not ready in time; see ${options.logFile}`);
  }
  if (first.code === EXIT_CONFIG) throw new ChildConfigError(options.name, tailFrom(options.logFile, logStart));
  throw new Error(`${options.name} ended at start (${first.signal ?? `exit ${first.code}`}); see ${options.logFile}`);
}

function tailFrom(file: string, start: number): string {
  const lines = statSync(file).size > start ? tailOf(file, 40) : '';
  return lines;
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ManagedChild } from '@archipelago/platform-embedded';

/** What every launched server can do. It keeps its port and its files over kill9() and restart(). */
export interface RunningServer {
  readonly port: number;
  readonly pid: number;
  /** Stops it and removes its temporary folder. Calling it again does nothing. */
  stop(): Promise<void>;
  /** kill -9; the files stay. */
  kill9(): Promise<void>;
  /** Starts it again on the same port and files (stops it cleanly before, if it runs). */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open, nothing answers. */
  pause(): void;
  resume(): void;
  /** The last lines of its log. */
  log(lines?: number): string;
}

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `archipelago-${name}-`));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/**
 * A server around a start function, which is called again by restart(). `folder` is removed by stop(); give undefined
 * for a folder that belongs to the caller.
 */
export async function launch(
  port: number,
  folder: string | undefined,
  start: () => Promise<ManagedChild>,
): Promise<RunningServer> {
  let child = await start().catch((error: unknown) => {
    if (folder) removeFolder(folder);
    throw error;
  });
  let stopped = false;
  return {
    port,
    get pid() {
      return child.pid;
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      if (child.alive) await child.stop();
      if (folder) removeFolder(folder);
    },
    async kill9() {
      await child.kill9();
    },
    async restart() {
      if (stopped) throw new Error(`${child.name} was stopped for good`);
      if (child.alive) await child.stop();
      child = await start();
    },
    pause: () => child.pause(),
    resume: () => child.resume(),
    log: (lines) => child.tail(lines),
  };
}

/** `extra` added to `server` without losing its getters. */
export function extend<T extends object>(server: RunningServer, extra: T): RunningServer & T {
  return Object.defineProperties(server, Object.getOwnPropertyDescriptors(extra)) as RunningServer & T;
}

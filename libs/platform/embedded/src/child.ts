import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { findOnPath } from './tool-paths';

export interface ExitStatus {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ManagedChildOptions {
  name: string;
  /** stdout and stderr are appended to this file: no pipe that a dead parent could leave full. */
  logFile: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Run as this plain user (only as root). */
  user?: { uid: number; gid: number };
  /** Capability kept by the plain user, e.g. `dac_read_search`. */
  capability?: string;
  /** Sent by stop() first (default SIGTERM); after the grace SIGKILL. */
  stopSignal?: NodeJS.Signals;
  /** Added to the niceness of the process (0 to 19): less of the processor when it is short. */
  nice?: number;
  /** Sent when the grace of stop() is over (default SIGKILL). */
  graceEndSignal?: NodeJS.Signals;
  /** Sent by the kernel when our process dies, kill -9 included (Linux). Default SIGKILL. */
  deathSignal?: NodeJS.Signals;
}

/** A server that we started. Only its own pid is ever signalled. */
export interface ManagedChild {
  readonly name: string;
  readonly pid: number;
  readonly process: ChildProcess;
  readonly exited: Promise<ExitStatus>;
  readonly alive: boolean;
  /** Stop signal, then SIGKILL after `graceMs` (default 8 s). Resolves when it is gone. */
  stop(graceMs?: number): Promise<ExitStatus>;
  kill9(): Promise<ExitStatus>;
  pause(): void;
  resume(): void;
  /** The last lines of its log, for error messages. */
  tail(lines?: number): string;
}

/**
 * The command line that starts `command` so that it dies with us (parent death signal) and, if asked, as a plain user.
 * setpriv (util-linux) keeps the pid: it replaces itself by the command. Where it is missing the command starts as is.
 */
export function guardedCommand(
  command: string,
  args: string[],
  options: Pick<ManagedChildOptions, 'user' | 'capability' | 'deathSignal' | 'nice'>,
): { command: string; args: string[]; uid?: number; gid?: number } {
  if (options.nice)
    return guardedCommand('nice', ['-n', String(options.nice), command, ...args], { ...options, nice: 0 });
  const setpriv = process.platform === 'linux' ? findOnPath('setpriv') : undefined;
  if (!setpriv) return { command, args, uid: options.user?.uid, gid: options.user?.gid };
  const flags = ['--pdeathsig', (options.deathSignal ?? 'SIGKILL').replace(/^SIG/, '')];
  if (options.user) {
    flags.push('--reuid', String(options.user.uid), '--regid', String(options.user.gid), '--clear-groups');
    const kept = options.capability ? `,+${options.capability}` : '';
    flags.push('--inh-caps', `-all${kept}`, '--ambient-caps', `-all${kept}`);
  }
  return { command: setpriv, args: [...flags, '--', command, ...args] };
}

export function spawnManaged(command: string, args: string[], options: ManagedChildOptions): ManagedChild {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a', 0o600);
  const guarded = guardedCommand(command, args, options);
  const child = spawn(guarded.command, guarded.args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', log, log],
    uid: guarded.uid,
    gid: guarded.gid,
    // A session of its own: Ctrl-C at the terminal reaches us only, and we stop our servers in their order.
    detached: true,
  });
  closeSync(log);
  return manage(child, options);
}

/** Wraps a process that the caller has spawned (a Node child with an IPC channel, for instance). */
export function manage(
  child: ChildProcess,
  options: Pick<ManagedChildOptions, 'name' | 'logFile' | 'stopSignal' | 'graceEndSignal'>,
): ManagedChild {
  let status: ExitStatus | undefined;
  const exited = new Promise<ExitStatus>((resolve) => {
    const done = (code: number | null, signal: NodeJS.Signals | null): void => resolve((status ??= { code, signal }));
    child.once('exit', done);
    child.once('error', () => done(127, null));
  });
  const signal = (name: NodeJS.Signals): void => {
    if (!status) child.kill(name);
  };
  return {
    name: options.name,
    pid: child.pid ?? -1,
    process: child,
    exited,
    get alive() {
      return status === undefined;
    },
    async stop(graceMs = 8000) {
      signal('SIGCONT');
      signal(options.stopSignal ?? 'SIGTERM');
      const timer = setTimeout(() => signal(options.graceEndSignal ?? 'SIGKILL'), graceMs);
      const result = await exited;
      clearTimeout(timer);
      return result;
    },
    kill9() {
      signal('SIGKILL');
      return exited;
    },
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    tail: (lines = 20) => tailOf(options.logFile, lines),
  };
}

export function tailOf(file: string, lines = 20): string {
  if (!existsSync(file)) return '';
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

/** Polls until `ready` answers true; throws with the child's last log lines when it exits before, or after `timeoutMs`. */
export async function waitUntilReady(
  child: ManagedChild,
  ready: () => Promise<boolean>,
  timeoutMs = 30_000,
  intervalMs = 50,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (!child.alive) {
      const { code, signal } = await child.exited;
      throw new Error(`${child.name} ended at start (${signal ?? `exit ${code}`}):\n${child.tail()}`);
    }
    if (await ready()) return;
    if (Date.now() > deadline) {
      await child.kill9();
      throw new Error(`${child.name} was not ready within ${timeoutMs} ms:\n${child.tail()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

import { spawn } from 'node:child_process';
import { findPeersPython, guardedCommand } from '@archipelago/platform-embedded';

export interface CommandOptions {
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** Default 120 s; then SIGKILL and `timedOut`. */
  timeoutMs?: number;
  input?: string | Buffer;
}
export interface CommandResult {
  /** null when a signal ended it */
  code: number | null;
  signal: NodeJS.Signals | null;
  timedOut: boolean;
  stdout: string;
  stderr: string;
  /** Both, as they came. */
  output: string;
  ms: number;
}

/** Output beyond this is dropped. */
const MAX_OUTPUT = 64 * 1024 * 1024;

/** Runs a command to its end; rejects only when it cannot be started. It dies with us. */
export function runCommand(command: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  const started = performance.now();
  const guarded = guardedCommand(command, args, {});
  return new Promise((resolve, reject) => {
    const child = spawn(guarded.command, guarded.args, { cwd: options.cwd, env: { ...process.env, ...options.env } });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const both: Buffer[] = [];
    let kept = 0;
    let timedOut = false;
    const keep = (into: Buffer[]) => (chunk: Buffer) => {
      kept += chunk.length;
      if (kept > MAX_OUTPUT) return;
      into.push(chunk);
      both.push(chunk);
    };
    child.stdout.on('data', keep(stdout));
    child.stderr.on('data', keep(stderr));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input);
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.timeoutMs ?? 120_000);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString('utf8');
      const ms = performance.now() - started;
      resolve({ code, signal, timedOut, stdout: text(stdout), stderr: text(stderr), output: text(both), ms });
    });
  });
}

/** Runs a Python file with the peers' environment (pynetdicom, pydicom, numpy). */
export function runPython(script: string, args: string[] = [], options: CommandOptions = {}): Promise<CommandResult> {
  return runCommand(findPeersPython(), ['-B', script, ...args], options);
}

/** Runs Python source with the peers' environment. */
export function runPythonCode(code: string, args: string[] = [], options: CommandOptions = {}): Promise<CommandResult> {
  return runCommand(findPeersPython(), ['-B', '-c', code, ...args], options);
}

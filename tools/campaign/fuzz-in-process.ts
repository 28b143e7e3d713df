/** Runs the in-process targets in a child: a crash, an endless loop or too much memory fails one case, with its seed. */
import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuTime, total } from '../bench/process-usage';
import type { ChildReport } from './fuzz-child';

export interface InProcessResult {
  done: number;
  perTarget: Record<string, number>;
  /** Largest resident size that the child reported, bytes. */
  rss: number;
  failures: string[];
}

export const MEMORY_BYTES = 512 * 1024 * 1024;
/** So much processor time without a word (500 cases take less than 2 s of it): hangs. Slow cases that end are reported by the child. */
const BUSY_MS = 20_000;
/** A child that waits for ever uses none; one that the machine has no time for goes on within this. */
const SILENT_MS = 300_000;
const LOOK_MS = 5_000;
const MOST_FAILURES = 20;

export async function fuzzInProcess(
  first: number,
  count: number,
  note: (line: string) => void,
): Promise<InProcessResult> {
  const folder = mkdtempSync(join(tmpdir(), 'archipelago-fuzz-'));
  const result: InProcessResult = { done: 0, perTarget: {}, rss: 0, failures: [] };
  try {
    for (let next = first; next < first + count && result.failures.length < MOST_FAILURES;) {
      const left = first + count - next;
      const ended = await oneChild(next, left, join(folder, 'case'), result, note);
      if (ended === undefined) break;
      // Died or hung: noted; on with the case behind it.
      next = ended + 1;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return result;
}

/** Resolves with the seed that ended the child before its time; undefined when it came to its end. */
function oneChild(
  first: number,
  count: number,
  caseFile: string,
  result: InProcessResult,
  note: (line: string) => void,
): Promise<number | undefined> {
  const child = fork(join(__dirname, 'fuzz-child.js'), [String(first), String(count), caseFile], {
    execArgv: ['--max-old-space-size=384'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return new Promise((resolve) => {
    let finished = false;
    let hung = false;
    let lastNote = Date.now();
    const before = result.done;
    let last = { at: Date.now(), busy: 0 };
    const alive = (): void => {
      last = { at: Date.now(), busy: busyMs(child.pid) };
    };
    const timer = setInterval(() => {
      if (busyMs(child.pid) - last.busy < BUSY_MS && Date.now() - last.at < SILENT_MS) return;
      hung = true;
      child.kill('SIGKILL');
    }, LOOK_MS);
    const fail = (text: string): void => void result.failures.push(text);
    child.on('message', (message: ChildReport) => {
      alive();
      if (message.kind === 'failed') fail(`${message.target} seed ${message.seed}: ${message.error}`);
      if (message.kind === 'slow') fail(`${message.target} seed ${message.seed}: ${Math.round(message.ms)} ms`);
      if (message.kind === 'progress') {
        result.done = before + message.done;
        if (message.rss > MEMORY_BYTES && result.rss <= MEMORY_BYTES)
          fail(`seed ${first + message.done}: ${mib(message.rss)} MiB`);
        result.rss = Math.max(result.rss, message.rss);
        if (Date.now() - lastNote > 10_000) {
          lastNote = Date.now();
          note(`  in process: ${result.done} of ${before + count}, ${mib(message.rss)} MiB`);
        }
      }
      if (message.kind !== 'done') return;
      finished = true;
      result.done = before + message.done;
      for (const [name, n] of Object.entries(message.perTarget))
        result.perTarget[name] = (result.perTarget[name] ?? 0) + n;
    });
    child.once('exit', (code, signal) => {
      clearInterval(timer);
      if (finished) return resolve(undefined);
      const where = existsSync(caseFile) ? readFileSync(caseFile, 'utf8').trim() : `no case ${first}`;
      fail(`${where}: ${hung ? 'hangs' : `the process ended (${signal ?? code})`}`);
      resolve(Number(where.split(' ')[1] ?? first));
    });
  });
}

/** Processor time of a process so far; 0 when it is gone. */
function busyMs(pid: number | undefined): number {
  try {
    return pid === undefined ? 0 : total(cpuTime(pid));
  } catch {
    return 0;
  }
}

export const mib = (bytes: number): number => Math.round(bytes / 1024 / 1024);

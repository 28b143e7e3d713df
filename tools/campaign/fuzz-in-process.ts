/** Runs the in-process targets in a child: a crash, an endless loop or too much memory fails one case, with its seed. */
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChildReport } from './fuzz-child';

export interface InProcessResult {
  done: number;
  perTarget: Record<string, number>;
  /** Largest resident size that the child reported, bytes. */
  rss: number;
  failures: string[];
}

export const MEMORY_BYTES = 512 * 1024 * 1024;
/** Without a word for so long: hangs. Cases that take over 2 s and end are reported by the child itself. */
const SILENT_MS = 20_000;
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
    let timer: NodeJS.Timeout | undefined;
    let lastNote = Date.now();
    const before = result.done;
    const alive = (ms: number): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        hung = true;
        child.kill('SIGKILL');
      }, ms);
    };
    alive(120_000);
    const fail = (text: string): void => void result.failures.push(text);
    child.on('message', (message: ChildReport) => {
      alive(SILENT_MS);
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
      clearTimeout(timer);
      if (finished) return resolve(undefined);
      const where = readFileSync(caseFile, 'utf8').trim();
      fail(`${where}: ${hung ? 'hangs' : `the process ended (${signal ?? code})`}`);
      resolve(Number(where.split(' ')[1] ?? first));
    });
  });
}

export const mib = (bytes: number): number => Math.round(bytes / 1024 / 1024);

/**
 * A process that runs seeds first to last through the targets. It writes down which case it begins before it begins, so
 * that after a crash or an endless loop the parent knows which one it was.
 */
import { openSync, writeSync } from 'node:fs';
import { makeTargets, type Target } from './fuzz-targets';

export interface ChildTask {
  first: number;
  count: number;
  /** 32 bytes at its start are overwritten with "<target> <seed>". */
  caseFile: string;
}
export type ChildReport =
  | { kind: 'ready' }
  | { kind: 'progress'; done: number; rss: number }
  | { kind: 'failed'; target: string; seed: number; error: string }
  | { kind: 'slow'; target: string; seed: number; ms: number }
  | { kind: 'done'; done: number; perTarget: Record<string, number> };

const HANG_MS = 2_000;
const REPORT_EVERY = 500;

/** The target of a seed: by weight, the same for ever. */
export function targetOf(targets: Target[], seed: number): Target {
  const total = targets.reduce((sum, each) => sum + each.weight, 0);
  let at = (Math.imul(seed, 0x9e3779b1) >>> 0) % total;
  for (const target of targets) {
    at -= target.weight;
    if (at < 0) return target;
  }
  return targets[0] as Target;
}

export async function runCases(task: ChildTask, report: (message: ChildReport) => void): Promise<void> {
  const targets = await makeTargets();
  const file = openSync(task.caseFile, 'w');
  const perTarget: Record<string, number> = {};
  report({ kind: 'ready' });
  for (let done = 0; done < task.count; done++) {
    const seed = task.first + done;
    const target = targetOf(targets, seed);
    perTarget[target.name] = (perTarget[target.name] ?? 0) + 1;
    writeSync(file, `${target.name} ${seed}`.padEnd(32), 0);
    const input = target.make(seed);
    // Processor time of this process: other work on the machine is not the product's.
    const started = process.cpuUsage();
    try {
      await target.check(input);
    } catch (error) {
      report({ kind: 'failed', target: target.name, seed, error: describe(error) });
    }
    const { user, system } = process.cpuUsage(started);
    const ms = (user + system) / 1000;
    if (ms > HANG_MS) report({ kind: 'slow', target: target.name, seed, ms });
    if (done % REPORT_EVERY === 0) {
      report({ kind: 'progress', done, rss: process.memoryUsage.rss() });
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  report({ kind: 'done', done: task.count, perTarget });
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 4).join(' | ') : String(error);
}

if (require.main === module) {
  const [first, count, caseFile] = process.argv.slice(2);
  void runCases({ first: Number(first), count: Number(count), caseFile: caseFile as string }, (message) =>
    process.send?.(message),
  ).then(() => process.disconnect());
}

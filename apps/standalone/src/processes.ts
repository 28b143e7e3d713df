import { readFileSync } from 'node:fs';

/** A process as recorded: the pid alone may belong to another program by now. */
export interface ProcessRecord {
  pid: number;
  /** Start time in clock ticks since boot (field 22 of /proc/<pid>/stat); empty where there is no /proc. */
  started: string;
}

/** Start time of a running process, undefined when there is none (a zombie counts as none). */
export function startTime(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    if (process.platform === 'linux') return undefined;
    try {
      process.kill(pid, 0);
      return '';
    } catch {
      return undefined;
    }
  }
}

export function recordOf(pid: number): ProcessRecord {
  return { pid, started: startTime(pid) ?? '' };
}

/** Whether exactly the recorded process still runs. */
export function isRunning(record: ProcessRecord): boolean {
  return startTime(record.pid) === record.started;
}

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export interface CpuTime {
  /** Milliseconds of all threads since the process began. */
  user: number;
  system: number;
}

/** Processor time of a process, its threads that have ended included (proc(5), fields 14 and 15 of stat). */
export function cpuTime(pid: number): CpuTime {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // the second field is a name in parentheses that may hold anything
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ms = (field: number): number => (Number(fields[field - 3]) * 1000) / TICKS_PER_SECOND;
  return { user: ms(14), system: ms(15) };
}

export function since(pid: number, before: CpuTime): CpuTime {
  const now = cpuTime(pid);
  return { user: now.user - before.user, system: now.system - before.system };
}

export function total(time: CpuTime): number {
  return time.user + time.system;
}

/** Highest resident size so far, in MiB (VmHWM). */
export function peakMemory(pid: number): number {
  return statusField(pid, 'VmHWM');
}

export function residentMemory(pid: number): number {
  return statusField(pid, 'VmRSS');
}

/** Lets peakMemory() begin anew (proc(5), clear_refs 5). */
export function resetPeakMemory(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function statusField(pid: number, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  if (!match) throw new Error(`process ${pid} has no ${name}`);
  return Number(match[1]) / 1024;
}

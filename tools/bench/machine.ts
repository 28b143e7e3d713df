import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  node: string;
  fileSystem: string;
}

export function describeMachine(folder: string): Machine {
  const { model } = cpus()[0] ?? { model: 'unknown' };
  return {
    cpu: model.trim(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    fileSystem: output('findmnt', ['-n', '-o', 'FSTYPE,OPTIONS', '-T', folder]),
  };
}

function output(command: string, args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}

/** Load average of the last minute: what else the machine was doing. */
export function load(): number {
  return loadavg()[0] ?? 0;
}

/** Share of both cores that was busy, and stolen by other machines, since the last call; in per cent. */
export class BusyMeter {
  private last = readCpuLine();

  take(): { busy: number; stolen: number } {
    const now = readCpuLine();
    const all = now.total - this.last.total;
    const busy = all - (now.idle - this.last.idle);
    const stolen = now.steal - this.last.steal;
    this.last = now;
    return { busy: all > 0 ? (100 * busy) / all : 0, stolen: all > 0 ? (100 * stolen) / all : 0 };
  }
}

function readCpuLine(): { total: number; idle: number; steal: number } {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? '';
  const fields = line.split(/\s+/).slice(1, 9).map(Number);
  const [, , , idle = 0, iowait = 0, , , steal = 0] = fields;
  return { total: fields.reduce((sum, each) => sum + each, 0), idle: idle + iowait, steal };
}

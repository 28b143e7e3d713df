/** Watches the running system from outside: its processes, their memory, and how fast it answers a peer that it knows. */
import { readFileSync } from 'node:fs';
import type { TestSystem } from './system';

/** Resident bytes of a process now and at its highest; undefined when it is gone. */
export function memoryOf(pid: number): { now: number; peak: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    if (/^State:\s+Z/m.test(status)) return undefined;
    const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return { now: kib('VmRSS') * 1024, peak: kib('VmHWM') * 1024 };
  } catch {
    return undefined;
  }
}

export interface WatchReport {
  /** Milliseconds, in the order of measuring. */
  echoes: number[];
  /** Highest resident size of each of our processes, bytes. */
  peaks: Record<string, number>;
  failures: string[];
}

/** Until stop(): an echo every 100 ms, and the pid and memory of every process. */
export class Watch {
  private readonly report: WatchReport = { echoes: [], peaks: {}, failures: [] };
  private readonly pids: Record<string, number>;
  private stopping = false;
  private readonly running: Promise<void>;

  constructor(
    system: Pick<TestSystem, 'edge' | 'ingests' | 'catalog'>,
    private readonly limits: { echoMs: number; rssBytes: number },
    /** One C-ECHO of a known peer on an association of its own: how many milliseconds it took. */
    private readonly timeEcho: () => Promise<number>,
  ) {
    const services = [system.edge, ...system.ingests, system.catalog];
    this.pids = Object.fromEntries(services.map((service) => [service.name, service.pid]));
    this.running = this.run();
  }

  async stop(): Promise<WatchReport> {
    this.stopping = true;
    await this.running;
    return this.report;
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      this.look();
      await this.echo();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    this.look();
  }

  private look(): void {
    for (const [name, pid] of Object.entries(this.pids)) {
      const memory = memoryOf(pid);
      if (!memory) {
        this.fail(`${name}: the process is gone`);
        continue;
      }
      this.report.peaks[name] = Math.max(this.report.peaks[name] ?? 0, memory.peak);
      if (memory.peak > this.limits.rssBytes) this.fail(`${name}: over ${this.limits.rssBytes / 1024 / 1024} MiB`);
    }
  }

  private async echo(): Promise<void> {
    const started = performance.now();
    try {
      const ms = await this.timeEcho();
      this.report.echoes.push(ms);
      if (ms > this.limits.echoMs) this.fail(`a known peer's C-ECHO took ${Math.round(ms)} ms`);
    } catch (error) {
      const ms = Math.round(performance.now() - started);
      this.fail(
        `a known peer's C-ECHO failed after ${ms} ms: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  private fail(text: string): void {
    if (this.report.failures.length < 20 && !this.report.failures.includes(text)) this.report.failures.push(text);
  }
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

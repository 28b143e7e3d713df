import { watch } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectNats, type NatsConnection } from '@nats-io/transport-node';
import { join } from 'node:path';
import { eventually, type Random, type RunningServer, type TestSystem } from '@archipelago/testing';

/** Moments at which a step of an image's way has just been done: killing there opens the windows between two steps. */
export type Moment = 'any' | 'segment-made' | 'sealed' | 'announced' | 'answered' | 'told' | 'confirmed';

const SUBJECTS: Partial<Record<Moment, string>> = {
  announced: 'evt.edge.pack.sealed.v1.>',
  answered: 'evt.ingest.pack.answered.v1.>',
  told: 'evt.catalog.>',
};
const FOLDERS: Partial<Record<Moment, string>> = { 'segment-made': 'open', sealed: 'sealed', confirmed: 'confirmed' };

/** Which moments matter for whom. */
const WINDOWS: Record<string, Moment[]> = {
  edge: ['any', 'any', 'segment-made', 'sealed', 'announced', 'answered', 'confirmed'],
  ingest: ['any', 'announced', 'answered', 'told'],
  catalog: ['any'],
  nats: ['any', 'announced', 'told'],
  postgres: ['any', 'announced', 'answered'],
  minio: ['any', 'sealed'],
};

export interface Strike {
  victims: string[];
  moment: Moment;
  /** Milliseconds from the moment to the kill. */
  delayMs: number;
  /** Milliseconds that the victims stay down. */
  downMs: number;
  /** Milliseconds to the next strike. */
  restMs: number;
}

/** Every process is struck in each round, in a random order, some of them together. */
export function plan(processes: readonly string[], rounds: number, random: Random): Strike[] {
  const strikes: Strike[] = [];
  for (let round = 0; round < rounds; round++) {
    const left = [...processes];
    while (left.length > 0) {
      const victims = take(left, random, random.chance(0.2) ? 2 : 1);
      const [first] = victims as [string];
      strikes.push({
        victims,
        moment: random.pick(WINDOWS[first.replace(/-\d+$/, '')] ?? ['any']),
        delayMs: random.chance(0.5) ? 0 : random.int(0, 40),
        downMs: random.int(0, 1200),
        restMs: random.int(100, 1200),
      });
    }
  }
  return strikes;
}

function take(from: string[], random: Random, count: number): string[] {
  return Array.from(
    { length: Math.min(count, from.length) },
    () => from.splice(random.int(0, from.length - 1), 1)[0] as string,
  );
}

/** Kills and restarts by plan. */
export class Chaos {
  private readonly listeners = new Map<Moment, Set<() => void>>();
  private readonly reviving = new Map<string, Promise<void>>();
  private nats: NatsConnection | undefined;
  private closers: (() => void)[] = [];
  kills = 0;
  /** Kills that hit their window rather than the end of the wait for it. */
  aimed = 0;

  constructor(
    private readonly system: TestSystem,
    private readonly note: (line: string) => void,
  ) {}

  async watch(): Promise<void> {
    for (const [moment, folder] of Object.entries(FOLDERS)) {
      const watcher = watch(join(this.system.spoolDir, folder), () => this.happened(moment as Moment));
      this.closers.push(() => watcher.close());
    }
    const connection = await connectNats({
      servers: this.system.nats.url,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    });
    this.nats = connection;
    for (const [moment, subject] of Object.entries(SUBJECTS)) {
      connection.subscribe(subject, { callback: () => this.happened(moment as Moment) });
    }
  }

  async close(): Promise<void> {
    for (const close of this.closers) close();
    await this.nats?.close().catch(() => undefined);
  }

  private happened(moment: Moment): void {
    for (const listener of this.listeners.get(moment) ?? []) listener();
    this.listeners.delete(moment);
  }

  private async until(moment: Moment, timeoutMs: number): Promise<void> {
    if (moment === 'any') return;
    const waiting = this.listeners.get(moment) ?? new Set();
    this.listeners.set(moment, waiting);
    let hit = false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      waiting.add(() => {
        hit = true;
        clearTimeout(timer);
        resolve();
      });
    });
    if (hit) this.aimed++;
  }

  async strike(strike: Strike): Promise<void> {
    await Promise.all(strike.victims.map((name) => this.reviving.get(name)));
    const victims = strike.victims.map((name) => this.process(name));
    await this.until(strike.moment, 2_500);
    // even one turn of the timer would miss a window of microseconds
    if (strike.delayMs > 0) await pause(strike.delayMs);
    await Promise.all(victims.map((victim) => victim.kill9()));
    this.kills += victims.length;
    this.note(`    kill -9 ${strike.victims.join(' + ')} (${strike.moment}), ${strike.downMs} ms down`);
    strike.victims.forEach((name, i) => {
      const reviving = pause(strike.downMs).then(() => this.revive(name, victims[i] as RunningServer));
      // its failure is thrown by the next strike on it, or at the end
      reviving.catch(() => undefined);
      this.reviving.set(name, reviving);
    });
    await pause(strike.restMs);
  }

  /** Waits until everything runs again. */
  async allRevived(): Promise<void> {
    await Promise.all(this.reviving.values());
  }

  private process(name: string): RunningServer {
    const found = this.system.processes[name];
    if (!found) throw new Error(`no process ${name}`);
    return found;
  }

  /** As an orchestrator would: again and again until it stays. */
  private async revive(name: string, victim: RunningServer): Promise<void> {
    await eventually(
      `${name} runs again`,
      async () => {
        await victim.restart();
        return true;
      },
      90_000,
      200,
    );
  }
}

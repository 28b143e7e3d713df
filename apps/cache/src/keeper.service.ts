import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { CachePolicy } from '@archipelago/cache';
import { fetchedPacksAfter } from '@archipelago/catalog-store';
import { type HeldLease, Leases } from '@archipelago/platform-bus';
import { classifyError, Logger } from '@archipelago/platform-service';
import { Database, parseObjectStore } from '@archipelago/platform-storage';
import { cacheConfig, type CacheConfig } from './cache.config';
import { Evictor } from './evictor';
import { KeeperMetrics } from './keeper.metrics';
import { KeeperRepository, type JournalRow, type Totals } from './keeper.repository';

const LEASE_SECONDS = 20;
const TICK_MS = 1_000;
/** After something could not be done. */
const PUT_OFF_MS = 10_000;
const JOURNAL_BATCH = 500;
const SAVE_MS = 300_000;
const SAVE_ENTRIES = 5_000;
const RECONCILE_MS = 300_000;
/** Between sums over all that is cached, while nothing happens. */
const COUNT_MS = 10_000;
const PACKS_AT_ONCE = 1_000;
/** Packs whose access has not been told after so long were not asked for by a retrieval: they are told as one access. */
const PENDING_SECONDS = 600;
/** The same when there is no room: a retrieval that is under way has this long. */
const PENDING_FULL_SECONDS = 60;
const DEFAULT_SHARE = 0.2;

/** What one holder of the lease keeps in memory. */
interface Held {
  lease: HeldLease;
  policy: CachePolicy;
  budget: number;
  /** Entries of the journal that the policy was told, since the last snapshot. */
  done: Set<string>;
  pins: Set<string>;
  savedAt: number;
  reconciledAt: number;
  /** Order of packs up to which the catalog was looked at, this time and the time before. */
  lookedAt: number;
  lookedBefore: number;
  totals: Totals;
  countedAt: number;
}

/** Decides which fetched studies stay within the budget. One at a time over all replicas. */
@Injectable()
export class KeeperService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private wake: (() => void) | undefined;

  constructor(
    @Inject(cacheConfig.KEY) private readonly config: CacheConfig,
    private readonly database: Database,
    private readonly repository: KeeperRepository,
    private readonly evictor: Evictor,
    private readonly leases: Leases,
    private readonly metrics: KeeperMetrics,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.running = this.loop();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    this.wake?.();
    await this.running;
  }

  /** Bytes that fetched packs may take; undefined: not known, nothing is evicted. */
  async budget(): Promise<number | undefined> {
    if (this.config.bytes !== undefined) return this.config.bytes;
    const address = parseObjectStore(this.config.objectStore ?? `fs:${join(this.config.home, 'objects')}`);
    if (address.kind !== 'fs') return undefined;
    await mkdir(address.dir, { recursive: true });
    const disk = await statfs(address.dir);
    return Math.floor(disk.blocks * disk.bsize * DEFAULT_SHARE);
  }

  private async loop(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      let ms = TICK_MS;
      try {
        await this.leases.whileHeld('cache-keeper', LEASE_SECONDS, (lease, signal) => this.keep(lease, signal));
      } catch (error) {
        this.logger.warn('the cache is not kept for a while', { code: classifyError(error).code, err: error });
        ms = PUT_OFF_MS;
      }
      await this.pause(ms);
    }
  }

  private async pause(ms: number): Promise<void> {
    if (this.stopping.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = undefined;
  }

  private async keep(lease: HeldLease, lost: AbortSignal): Promise<void> {
    const budget = await this.budget();
    if (budget === undefined) {
      this.logger.warn('the cache has no budget: nothing is evicted until ARCHIPELAGO_CACHE_BYTES is set');
    } else this.metrics.all.budget.set(budget);
    const held = await this.restore(lease, budget ?? Number.MAX_SAFE_INTEGER);
    const signal = AbortSignal.any([lost, this.stopping.signal]);
    let evictAt = 0;
    while (!signal.aborted) {
      await this.reconcile(held, signal);
      await this.applyPins(held);
      const before = held.done.size;
      const told = await this.tellJournal(held, signal);
      if (held.done.size !== before || Date.now() - held.countedAt > COUNT_MS) await this.balance(held);
      if (Date.now() >= evictAt && !(await this.evict(held, signal))) evictAt = Date.now() + PUT_OFF_MS;
      if (held.done.size >= SAVE_ENTRIES || (held.done.size > 0 && Date.now() - held.savedAt > SAVE_MS))
        await this.save(held);
      if (!told) await this.pause(TICK_MS);
    }
    if (!lost.aborted) await this.save(held);
  }

  /** The policy as it was; a damaged or foreign snapshot costs what was learnt. Then what is there now is told to it. */
  private async restore(lease: HeldLease, budget: number): Promise<Held> {
    const { snapshot, lookedAt } = await this.repository.saved();
    let policy = new CachePolicy({ budgetBytes: budget });
    if (snapshot !== null) {
      try {
        policy = CachePolicy.restore(JSON.parse(snapshot));
      } catch (error) {
        this.logger.warn('the cache policy starts anew: its snapshot cannot be used', { err: error });
      }
    }
    const now = Date.now();
    const held: Held = {
      lease,
      policy,
      budget,
      done: new Set(),
      pins: new Set(),
      savedAt: now,
      reconciledAt: 0,
      lookedAt,
      lookedBefore: lookedAt,
      totals: { bytes: 0, studies: 0, keptBytes: 0, leaving: 0 },
      countedAt: 0,
    };
    await this.applyPins(held);
    await this.toGo(policy.setBudget(budget).evict);
    const studies = await this.repository.studies();
    for (const { study, state, bytes, usedAt, fetchMs } of studies.sort((a, b) => +a.usedAt - +b.usedAt)) {
      // of those without a state the journal tells
      if (state !== 'cached') continue;
      if (policy.has(study)) await this.toGo(policy.resize(study, bytes).evict);
      else await this.access(held, study, { time: usedAt, bytes, fetchMs });
    }
    return held;
  }

  private async save(held: Held): Promise<void> {
    const done = [...held.done];
    await this.repository.save(held.lease, JSON.stringify(held.policy.snapshot()), held.lookedBefore, done);
    for (const id of done) held.done.delete(id);
    held.savedAt = Date.now();
  }

  /** Finds the packs that no event told of, such as those that hold nothing new. */
  private async reconcile(held: Held, signal: AbortSignal): Promise<void> {
    if (Date.now() - held.reconciledAt < RECONCILE_MS) return;
    // packs take effect about in their order: those of the last round are looked at again
    let at = held.lookedBefore;
    held.lookedBefore = held.lookedAt;
    while (!signal.aborted) {
      const { packs, last } = await this.database.withClient((client) => fetchedPacksAfter(client, at, PACKS_AT_ONCE));
      if (last === null) break;
      await this.database.withTransaction((client) => this.repository.noteStored(client, packs));
      at = last;
    }
    held.lookedAt = Math.max(held.lookedAt, at);
    for (const study of await this.repository.forget()) held.policy.remove(study);
    held.reconciledAt = Date.now();
  }

  private async applyPins(held: Held): Promise<void> {
    const pins = await this.repository.pins();
    for (const study of pins) if (!held.pins.has(study) && held.policy.pin(study)) held.pins.add(study);
    for (const study of held.pins) {
      if (pins.has(study)) continue;
      held.policy.unpin(study);
      held.pins.delete(study);
    }
  }

  /** @returns whether there may be more */
  private async tellJournal(held: Held, signal: AbortSignal): Promise<boolean> {
    const rows = await this.repository.journal([...held.done], JOURNAL_BATCH);
    for (const row of rows) {
      if (signal.aborted) break;
      if (row.kind === 'access') await this.tellAccess(held, row);
      else await this.tellStored(held, row);
      held.done.add(row.id);
    }
    return rows.length === JOURNAL_BATCH;
  }

  private async tellAccess(held: Held, row: JournalRow): Promise<void> {
    const bytes = (await this.repository.study(row.study))?.bytes ?? 0;
    // own studies are no matter of the cache
    if (bytes === 0 && row.fetchMs === null) {
      this.metrics.all.accesses.inc({ outcome: 'own' });
      return;
    }
    this.metrics.all.accesses.inc({ outcome: row.fetchMs === null ? 'hit' : 'fetched' });
    const fetchMs = row.fetchMs ?? (await this.repository.fetchMsOf(row.study));
    const size = row.fetchMs === null ? bytes : Math.max(bytes, row.bytes);
    await this.access(held, row.study, { time: row.at, bytes: size, fetchMs });
  }

  private async access(
    held: Held,
    study: string,
    { time, bytes, fetchMs }: { time: Date; bytes: number; fetchMs: number },
  ): Promise<void> {
    const started = performance.now();
    const { admit, evict } = held.policy.access(study, { time: time.getTime() / 1000, bytes, fetchMs });
    this.metrics.all.decisionSeconds.observe((performance.now() - started) / 1000);
    await this.repository.setState(study, admit ? 'cached' : 'evict', time, fetchMs);
    await this.toGo(evict);
  }

  private async tellStored(held: Held, { study, at }: JournalRow): Promise<void> {
    const row = await this.repository.study(study);
    if (row === undefined) return;
    if (held.policy.has(study)) await this.toGo(held.policy.resize(study, row.bytes).evict);
    else await this.repository.setPending(study, at);
  }

  /** What was brought without a retrieval that we heard of. */
  private async tellPending(held: Held): Promise<void> {
    const seconds = held.totals.bytes > held.budget ? PENDING_FULL_SECONDS : PENDING_SECONDS;
    for (const study of await this.repository.pendingFor(seconds, JOURNAL_BATCH)) {
      const row = await this.repository.study(study);
      if (row) await this.access(held, study, { time: row.usedAt, bytes: row.bytes, fetchMs: row.fetchMs });
    }
  }

  private evict(held: Held, signal: AbortSignal): Promise<boolean> {
    // the policy has let it go already, unless somebody else asked for it
    return this.evictor.run(signal, (study) => held.policy.remove(study));
  }

  /** What could not go takes of the budget all the same. */
  private async balance(held: Held): Promise<void> {
    held.totals = await this.repository.totals();
    held.countedAt = Date.now();
    await this.tellPending(held);
    const { bytes, studies, keptBytes } = held.totals;
    const budget = Math.max(0, held.budget - keptBytes);
    if (budget !== held.policy.budgetBytes) await this.toGo(held.policy.setBudget(budget).evict);
    this.metrics.all.bytes.set({ kind: 'cached' }, bytes - keptBytes);
    this.metrics.all.bytes.set({ kind: 'kept' }, keptBytes);
    this.metrics.all.studies.set(studies);
  }

  private async toGo(studies: readonly string[]): Promise<void> {
    for (const study of studies) await this.repository.setState(study, 'evict');
  }
}

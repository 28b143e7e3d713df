/**
 * Brings every sealed pack through its life (`pack-lifecycle.ts`): upload, announcement, answer. It never gives up and
 * never stops the acknowledging of new objects: while store, bus or centre are away the packs wait on disk.
 */
import { join } from 'node:path';
import { PackAnswered, type PackAnsweredV1, PackSealed, type PackSealedV1 } from '@archipelago/contracts';
import { FileSource, layoutOf, packDigester, PackReader, type SealedPack } from '@archipelago/pack';
import type { Bus, BusSubscription } from '@archipelago/platform-bus';
import type { Logger } from '@archipelago/platform-service';
import { classifyError } from '@archipelago/platform-service';
import type { ObjectStore } from '@archipelago/platform-storage';
import { backOffMs, FIRST_STEP, nextStep, type PackEvent, type PackState } from './pack-lifecycle';
import { packKey } from './pack-key';

export type PackOutcome = 'indexed' | 'rejected';

interface TrackedPack {
  pack: SealedPack;
  state: PackState;
  /** Failed uploads since the last success, for the back-off. */
  uploads: number;
  /** Announcements made. */
  announcements: number;
  announcing?: boolean;
  /** The stored copy was found damaged: the next upload takes its place. */
  repair?: boolean;
  timer?: NodeJS.Timeout;
  since: number;
}

/** What the keeper needs of the spool: `Spool` of `libs/pack` is one. */
export interface PackShelf {
  list(state: 'sealed' | 'confirmed'): SealedPack[];
  confirm(packId: string): Promise<boolean>;
  unconfirm(packId: string): Promise<boolean>;
  /** @returns the name in the quarantine directory, or null */
  quarantine(packId: string): Promise<string | null>;
  /** Out of quarantine again; null when it is not there, or is no whole pack. */
  unquarantine(packId: string): Promise<SealedPack | null>;
  readonly quarantineDir: string;
}

export interface KeeperOptions {
  edgeId: string;
  site: string;
  shelf: PackShelf;
  store: ObjectStore;
  bus: Pick<Bus, 'publish' | 'subscribe' | 'onConnect'>;
  logger: Logger;
  /** Uploads at a time. */
  uploads?: number;
  /** Source of the jitter of every back-off, 0 to 1 (default Math.random). */
  random?: () => number;
  onEvent?(event: PackEvent, pack: SealedPack, seconds: number): void;
}

export class PackKeeper {
  private readonly packs = new Map<string, TrackedPack>();
  private readonly queue: TrackedPack[] = [];
  private readonly waiting = new Map<string, ((outcome: PackOutcome) => void)[]>();
  private uploading = 0;
  private subscription: BusSubscription | undefined;
  private stopped = false;

  constructor(private readonly options: KeeperOptions) {}

  start(): void {
    const { bus, edgeId, site } = this.options;
    this.subscription = bus.subscribe(PackAnswered, { site }, (answer) =>
      answer.edgeId === edgeId ? this.answered(answer) : undefined,
    );
    // what waits for the bus need not wait for its back-off
    bus.onConnect(() => {
      for (const tracked of this.packs.values()) if (tracked.state === 'uploaded') this.announceNow(tracked);
    });
  }

  stop(): void {
    this.stopped = true;
    this.subscription?.unsubscribe();
    for (const tracked of this.packs.values()) clearTimeout(tracked.timer);
  }

  add(pack: SealedPack): void {
    if (this.stopped || this.packs.has(pack.packId)) return;
    const tracked: TrackedPack = { pack, state: FIRST_STEP.state, uploads: 0, announcements: 0, since: Date.now() };
    this.packs.set(pack.packId, tracked);
    this.enqueue(tracked);
  }

  /** Resolves with what ingest decides about the pack, or with null after `timeoutMs`. For strict mode. */
  outcome(packId: string, timeoutMs: number): Promise<PackOutcome | null> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), timeoutMs);
      const settle = (outcome: PackOutcome): void => {
        clearTimeout(timer);
        resolve(outcome);
      };
      this.waiting.set(packId, [...(this.waiting.get(packId) ?? []), settle]);
    });
  }

  /** Packs in each state, and the age of the oldest that is not confirmed. */
  status(): { uploadQueue: number; unanswered: number; quarantined: number; bytes: number; oldestSeconds: number } {
    const all = [...this.packs.values()];
    const open = all.filter((t) => t.state !== 'quarantined');
    return {
      uploadQueue: open.filter((t) => t.state === 'sealed').length,
      unanswered: open.filter((t) => t.state !== 'sealed').length,
      quarantined: all.length - open.length,
      bytes: all.reduce((sum, t) => sum + t.pack.bytes, 0),
      oldestSeconds: open.reduce((most, t) => Math.max(most, (Date.now() - t.since) / 1000), 0),
    };
  }

  private async answered(answer: PackAnsweredV1): Promise<void> {
    const tracked = this.packs.get(answer.packId) ?? (await this.confirmedAgain(answer));
    if (!tracked) return;
    if (answer.outcome === 'resend') tracked.repair = true;
    // released, or indexed after all: from here on it is a pack like any other
    const again = answer.outcome === 'resend' || answer.outcome === 'indexed';
    if (again && tracked.state === 'quarantined')
      tracked.pack = (await this.leaveQuarantine(answer.packId)) ?? tracked.pack;
    if (answer.outcome === 'rejected') {
      this.options.logger.error('pack rejected', { packId: answer.packId, code: answer.code, reason: answer.reason });
    }
    await this.happened(tracked, answer.outcome);
  }

  /** A pack that is cache already, or in quarantine since before the start, and is asked for once more. */
  private async confirmedAgain(answer: PackAnsweredV1): Promise<TrackedPack | undefined> {
    if (answer.outcome !== 'resend') return undefined;
    const { shelf } = this.options;
    let pack: SealedPack | null = shelf.list('confirmed').find((p) => p.packId === answer.packId) ?? null;
    if (pack && !(await shelf.unconfirm(pack.packId))) pack = null;
    // rejected before this process began
    pack ??= await this.leaveQuarantine(answer.packId);
    if (!pack) {
      this.options.logger.error('pack asked for again is not here any more', { packId: answer.packId });
      return undefined;
    }
    const tracked: TrackedPack = { pack, state: 'confirmed', uploads: 0, announcements: 0, since: Date.now() };
    this.packs.set(pack.packId, tracked);
    return tracked;
  }

  private async leaveQuarantine(packId: string): Promise<SealedPack | null> {
    return this.options.shelf.unquarantine(packId).catch((error: unknown) => {
      this.options.logger.error('pack could not be taken out of the quarantine', { packId, err: error });
      return null;
    });
  }

  private async happened(tracked: TrackedPack, event: PackEvent): Promise<void> {
    const step = nextStep(tracked.state, event);
    if (!step || this.stopped) return;
    tracked.state = step.state;
    this.options.onEvent?.(event, tracked.pack, (Date.now() - tracked.since) / 1000);
    switch (step.action) {
      case 'upload':
        if (step.backOff) this.later(tracked, this.backOff(tracked.uploads++), () => this.enqueue(tracked));
        else this.enqueue(tracked);
        break;
      case 'announce':
        if (step.backOff) this.later(tracked, this.backOff(tracked.announcements), () => this.announce(tracked));
        else this.announceNow(tracked);
        break;
      case 'wait':
        this.later(tracked, this.backOff(tracked.announcements - 1), () => this.happened(tracked, 'unanswered'));
        break;
      case 'confirm':
        await this.confirm(tracked);
        break;
      case 'quarantine':
        await this.quarantine(tracked);
        break;
      case 'none':
        break;
    }
  }

  private async confirm(tracked: TrackedPack): Promise<void> {
    clearTimeout(tracked.timer);
    const { packId } = tracked.pack;
    try {
      await this.options.shelf.confirm(packId);
    } catch (error) {
      // still unconfirmed on disk: announced again at the next start, which is harmless
      this.options.logger.error('pack could not be marked as confirmed', { packId, err: error });
    }
    this.packs.delete(packId);
    this.tell(packId, 'indexed');
  }

  /** Kept aside, whatever the reason: it was acknowledged. */
  private async quarantine(tracked: TrackedPack): Promise<void> {
    clearTimeout(tracked.timer);
    const { packId } = tracked.pack;
    const { shelf, logger } = this.options;
    const name = await shelf.quarantine(packId).catch((error: unknown) => {
      logger.error('pack could not be moved to the quarantine', { packId, err: error });
      return null;
    });
    if (name !== null) tracked.pack = { ...tracked.pack, path: join(shelf.quarantineDir, name) };
    this.tell(packId, 'rejected');
  }

  private tell(packId: string, outcome: PackOutcome): void {
    for (const settle of this.waiting.get(packId) ?? []) settle(outcome);
    this.waiting.delete(packId);
  }

  private backOff(attempt: number): number {
    return backOffMs(attempt, this.options.random);
  }

  private later(tracked: TrackedPack, ms: number, what: () => unknown): void {
    clearTimeout(tracked.timer);
    tracked.timer = setTimeout(() => void what(), ms);
  }

  private enqueue(tracked: TrackedPack): void {
    clearTimeout(tracked.timer);
    tracked.timer = undefined;
    if (!this.queue.includes(tracked)) this.queue.push(tracked);
    this.pump();
  }

  private pump(): void {
    while (!this.stopped && this.uploading < (this.options.uploads ?? 2) && this.queue.length > 0) {
      const tracked = this.queue.shift()!;
      this.uploading++;
      void this.upload(tracked).finally(() => {
        this.uploading--;
        this.pump();
      });
    }
  }

  private async upload(tracked: TrackedPack): Promise<void> {
    const { pack, repair } = tracked;
    const { bytes, sha256 } = pack;
    try {
      const expect = { bytes, sha256, repair, digest: (stored: AsyncIterable<Buffer>) => storedDigest(pack, stored) };
      await this.options.store.putFile(packKey(this.options.site, pack), pack.path, expect);
    } catch (error) {
      this.report('upload failed', tracked, error, tracked.uploads);
      return this.happened(tracked, 'upload-failed');
    }
    // the store is back: the others need not wait for their back-off
    if (tracked.uploads > 0) this.hurryUploads();
    tracked.uploads = 0;
    tracked.repair = false;
    await this.happened(tracked, 'upload-done');
  }

  private hurryUploads(): void {
    for (const other of this.packs.values()) if (other.state === 'sealed' && other.timer) this.enqueue(other);
  }

  private announceNow(tracked: TrackedPack): void {
    clearTimeout(tracked.timer);
    this.announce(tracked);
  }

  /**
   * Announces what is cache already once more. A centre that has it says so, which changes nothing; one that was set back
   * indexes it again, and asks for it where the stored copy is gone as well: then these segments are the last copy.
   * Slow on purpose. Resolves to how many were announced.
   * @throws TransientError when the bus is away: tell again later
   */
  async tellAgain(pauseMs = 10): Promise<number> {
    let told = 0;
    for (const pack of this.options.shelf.list('confirmed')) {
      if (this.stopped) break;
      // asked for meanwhile
      if (this.packs.has(pack.packId)) continue;
      await this.options.bus.publish(PackSealed, this.announcement(pack, 1));
      told++;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    return told;
  }

  private announcement(pack: SealedPack, attempt: number): PackSealedV1 {
    const { packId, bytes, tailOffset, entries, sha256, sealedAt } = pack;
    const { edgeId, site, store } = this.options;
    const key = packKey(site, pack);
    return { packId, edgeId, site, store: store.name, key, bytes, tailOffset, entries, sha256, sealedAt, attempt };
  }

  private announce(tracked: TrackedPack): void {
    if (tracked.announcing || this.stopped) return;
    tracked.announcing = true;
    const attempt = ++tracked.announcements;
    this.options.bus.publish(PackSealed, this.announcement(tracked.pack, attempt)).then(
      () => {
        tracked.announcing = false;
        return this.happened(tracked, 'announce-done');
      },
      (error: unknown) => {
        tracked.announcing = false;
        this.report('announcement failed', tracked, error, attempt - 1);
        return this.happened(tracked, 'announce-failed');
      },
    );
  }

  /** Once when it begins, then every tenth time: an outage is one line, not a flood. */
  private report(message: string, tracked: TrackedPack, error: unknown, before: number): void {
    if (before % 10 !== 0) return;
    const { kind, code } = classifyError(error);
    const fields = { packId: tracked.pack.packId, attempt: before + 1, kind, code, err: error };
    this.options.logger[kind === 'transient' ? 'warn' : 'error'](message, fields);
  }
}

/** Pack digest of the bytes that a store gives back, laid out as the segment on our own disk says. */
async function storedDigest(pack: SealedPack, stored: AsyncIterable<Buffer>): Promise<string> {
  const source = await FileSource.open(pack.path);
  try {
    const { index } = await PackReader.open(source, pack.tailOffset);
    return await packDigester(layoutOf(index, source.size))(stored);
  } finally {
    await source.close();
  }
}

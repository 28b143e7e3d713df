import { createHash } from 'node:crypto';
import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { PackSealedV1, SweepStartV1 } from '@archipelago/contracts';
import { PackError, PackReader, type PackSource } from '@archipelago/pack';
import { Leases } from '@archipelago/platform-bus';
import { classifyError, Logger, TransientError } from '@archipelago/platform-service';
import {
  ObjectDamagedError,
  ObjectNotFoundError,
  ObjectRangeError,
  type ObjectInfo,
  type ObjectStore,
} from '@archipelago/platform-storage';
import { AnswerService } from './answer.service';
import { EvictionService } from './eviction.service';
import { ingestConfig, type IngestConfig } from './ingest.config';
import { IngestMetrics } from './ingest.metrics';
import { IngestRepository, type StoredPlace } from './ingest.repository';
import { IngestService } from './ingest.service';
import { OBJECT_STORE } from './ingest.tokens';

export interface SweepResult {
  /** Packs that are where the catalog says, with the right size (deep: with the right bytes). */
  verified: number;
  /** Packs that the catalog did not know and now does. */
  ingested: number;
  /** Unknown ones that could not be ingested; quarantined or asked for again. */
  refused: number;
  /** Asked for again. */
  missing: number;
  damaged: number;
  /** Objects of evicted packs that were deleted. */
  evicted: number;
}

const BATCH = 500;
const LEASE_SECONDS = 60;
const TIMER_MS = 60_000;

/** Compares the stored packs with the catalog: one sweep at a time over all processes. */
@Injectable()
export class SweepService implements OnApplicationBootstrap, OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;
  private readonly stopping = new AbortController();

  constructor(
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    @Inject(ingestConfig.KEY) private readonly config: IngestConfig,
    private readonly ingest: IngestService,
    private readonly answers: AnswerService,
    private readonly evictions: EvictionService,
    private readonly repository: IngestRepository,
    private readonly leases: Leases,
    private readonly metrics: IngestMetrics,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.sweepMinutes === 0) return;
    this.timer = setInterval(() => void this.runWhenDue(), TIMER_MS);
    this.timer.unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
    this.stopping.abort();
  }

  /** @throws TransientError when another process sweeps now, or the lease was lost on the way */
  async run(options: SweepStartV1): Promise<SweepResult> {
    const result = await this.leases.whileHeld(`ingest-sweep:${this.store.name}`, LEASE_SECONDS, (_lease, signal) =>
      this.sweep(options, AbortSignal.any([signal, this.stopping.signal])),
    );
    if (result === undefined) throw new TransientError('sweep-running', 'another sweep is running');
    return result;
  }

  private async runWhenDue(): Promise<void> {
    try {
      if (await this.repository.sweepDue(this.store.name, this.config.sweepMinutes)) {
        await this.run({ deep: false, graceSeconds: 300 });
      }
    } catch (error) {
      this.logger.warn('sweep put off', { code: classifyError(error).code });
    }
  }

  private async sweep(options: SweepStartV1, signal: AbortSignal): Promise<SweepResult> {
    const result: SweepResult = { verified: 0, ingested: 0, refused: 0, missing: 0, damaged: 0, evicted: 0 };
    const since = await this.repository.now();
    const id = await this.repository.sweepStarted(this.store.name, options.deep);
    result.evicted += await this.evictions.workOff(signal);
    let batch: ObjectInfo[] = [];
    for await (const info of this.store.list('packs/')) {
      batch.push(info);
      if (batch.length < BATCH) continue;
      await this.lookAt(batch, options, result, signal);
      batch = [];
    }
    await this.lookAt(batch, options, result, signal);
    await this.findMissing(since, result, signal);
    await this.repository.sweepFinished(id, result);
    for (const [name, value] of Object.entries(result)) this.metrics.sweep.inc({ result: name }, value as number);
    this.logger.info('sweep finished', {
      verified: result.verified,
      unknown: result.ingested,
      missing: result.missing,
      damaged: result.damaged,
    });
    return result;
  }

  private async lookAt(
    batch: ObjectInfo[],
    options: SweepStartV1,
    result: SweepResult,
    signal: AbortSignal,
  ): Promise<void> {
    const known = await this.repository.placesOf(
      this.store.name,
      batch.map((info) => info.key),
    );
    const unknown = batch.filter((info) => !known.has(info.key)).map((info) => info.key);
    const evicted = await this.evictions.keysAmong(this.store.name, unknown);
    const sound: string[] = [];
    for (const info of batch) {
      if (signal.aborted) throw new TransientError('sweep-stopped', 'the sweep was stopped');
      const place = known.get(info.key);
      if (evicted.has(info.key)) result.evicted += await this.evictions.deleteAgain(info.key);
      else if (place === undefined) await this.unknown(info, options, result);
      else if (await this.isSound(info, place, options.deep)) sound.push(info.key);
      else {
        result.damaged++;
        await this.askAgain(place, 'pack-damaged');
      }
    }
    await this.repository.markVerified(this.store.name, sound);
    result.verified += sound.length;
  }

  private async isSound(info: ObjectInfo, place: StoredPlace, deep: boolean): Promise<boolean> {
    if (info.bytes !== Number(place.bytes)) return false;
    if (!deep) return true;
    try {
      const reader = await PackReader.open(this.source(info));
      await reader.verify(place.sha256);
      return true;
    } catch (error) {
      if (error instanceof PackError || error instanceof ObjectRangeError || error instanceof ObjectDamagedError)
        return false;
      throw error;
    }
  }

  /** A pack says all about itself: what the catalog does not know is ingested as if it were announced now. */
  private async unknown(info: ObjectInfo, options: SweepStartV1, result: SweepResult): Promise<void> {
    if (Date.now() - info.modifiedAt.getTime() < options.graceSeconds * 1000) return;
    let announcement: PackSealedV1;
    try {
      const { index, tail } = await PackReader.open(this.source(info));
      announcement = {
        packId: index.packId,
        edgeId: index.edgeId,
        site: index.site,
        store: this.store.name,
        key: info.key,
        bytes: info.bytes,
        tailOffset: tail.footer.tailOffset,
        entries: index.entries.length,
        sha256: tail.sha256,
        sealedAt: index.sealedAt,
        attempt: 1,
      };
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return;
      if (!(error instanceof PackError) && !(error instanceof ObjectRangeError)) throw error;
      result.refused++;
      this.logger.error('a stored object is no pack', { key: info.key, code: error.code });
      return;
    }
    // the same id for the same pack: two sweeps, or a sweep and its retry, are one event
    const answer = await this.ingest.ingest(announcement, { eventId: eventIdOf(announcement.packId) });
    await this.answers.send(answer, announcement.site);
    if (answer.outcome === 'indexed') result.ingested++;
    else result.refused++;
  }

  private async findMissing(since: Date, result: SweepResult, signal: AbortSignal): Promise<void> {
    let after = '';
    for (;;) {
      const places = await this.repository.unseen(this.store.name, since, after, BATCH);
      for (const place of places) {
        if (signal.aborted) throw new TransientError('sweep-stopped', 'the sweep was stopped');
        after = place.key;
        // a listing may lag behind: ask for the object itself
        const stat = await this.store.stat(place.key);
        if (stat !== null) continue;
        result.missing++;
        await this.askAgain(place, 'pack-missing');
      }
      if (places.length < BATCH) return;
    }
  }

  private async askAgain(place: StoredPlace, code: string): Promise<void> {
    await this.repository.markMissing(this.store.name, place.key);
    this.logger.error('a stored pack is missing or damaged, asked for again', {
      packId: place.packId,
      edgeId: place.edgeId,
      code,
    });
    await this.answers.send({ packId: place.packId, edgeId: place.edgeId, outcome: 'resend', code }, place.site);
  }

  private source(info: ObjectInfo): PackSource {
    const { store } = this;
    return {
      size: info.bytes,
      read: (start, end) => store.readRange(info.key, start, end),
      stream: async function* (start, end): AsyncGenerator<Buffer> {
        yield* (await store.read(info.key, { start, end })) as AsyncIterable<Buffer>;
      },
    };
  }
}

/** A UUID (version 8, RFC 9562 5.8) derived from the pack's id. */
function eventIdOf(packId: string): string {
  const hex = createHash('sha256').update(`sweep ${packId}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

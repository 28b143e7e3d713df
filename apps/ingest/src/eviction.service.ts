import { Inject, Injectable } from '@nestjs/common';
import { ArchiveList, type StudyEvictReplyV1 } from '@archipelago/contracts';
import { evictStudy } from '@archipelago/catalog-store';
import { Bus } from '@archipelago/platform-bus';
import { Logger, TransientError } from '@archipelago/platform-service';
import { Database, type ObjectStore } from '@archipelago/platform-storage';
import { EvictionRepository } from './eviction.repository';
import { IngestMetrics } from './ingest.metrics';
import { OBJECT_STORE } from './ingest.tokens';

const ASK_MS = 3_000;
const BATCH = 500;

/** Cached packs leave the catalog first, in one transaction; their bytes go after it. */
@Injectable()
export class EvictionService {
  constructor(
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    private readonly bus: Bus,
    private readonly database: Database,
    private readonly repository: EvictionRepository,
    private readonly metrics: IngestMetrics,
    private readonly logger: Logger,
  ) {}

  /**
   * Names the packs of the study whose bytes may be deleted, those of earlier evictions too whose deletion is not known.
   * @throws TransientError the registry of archives does not answer: nothing is evicted that might not come again
   */
  async evict(study: string): Promise<StudyEvictReplyV1> {
    const { archives } = await this.bus.request(ArchiveList, {}, { timeoutMs: ASK_MS });
    const reachable = archives.filter((archive) => archive.state === 'active').map((archive) => archive.name);
    const { packs, evicted, kept } = await this.database.withTransaction(async (client) => {
      const result = await evictStudy(client, study, reachable);
      await this.repository.add(client, study, result.places);
      const undeleted = await this.repository.undeleted(client, study);
      return { packs: undeleted, evicted: result.places.length, kept: result.kept };
    });
    this.metrics.evictions.inc({ result: 'evicted' }, evicted);
    this.metrics.evictions.inc({ result: 'kept' }, kept);
    if (evicted > 0) this.logger.info('cached packs left the catalog', { packs: evicted, kept });
    return { packs, bytes: packs.reduce((sum, pack) => sum + pack.bytes, 0), kept };
  }

  /** Deletes what evictions have left in the store. @returns the number of packs */
  async workOff(signal: AbortSignal): Promise<number> {
    await this.repository.removePlaces(this.store.name);
    for (let deleted = 0; ;) {
      const keys = await this.repository.leftOver(this.store.name, BATCH);
      for (const key of keys) {
        if (signal.aborted) throw new TransientError('sweep-stopped', 'the sweep was stopped');
        await this.store.delete(key);
      }
      if (keys.length > 0) await this.repository.markDeleted(this.store.name, keys);
      deleted += keys.length;
      if (keys.length < BATCH) return deleted;
    }
  }

  keysAmong(store: string, keys: readonly string[]): Promise<Set<string>> {
    return this.repository.keysAmong(store, keys);
  }

  /** An evicted pack was uploaded again. */
  async deleteAgain(key: string): Promise<number> {
    await this.store.delete(key);
    return 1;
  }
}

import { Inject, Injectable } from '@nestjs/common';
import { StudyEvict } from '@archipelago/contracts';
import { fetchedPack } from '@archipelago/catalog-store';
import { Bus } from '@archipelago/platform-bus';
import { classifyError, Logger } from '@archipelago/platform-service';
import { Database, type ObjectStore } from '@archipelago/platform-storage';
import { CACHE_OBJECT_STORE } from './cache.config';
import { KeeperMetrics } from './keeper.metrics';
import { KeeperRepository } from './keeper.repository';

const ASK_MS = 30_000;
const AT_ONCE = 50;

/**
 * Has studies evicted: out of the catalog (ingest, one transaction), then out of the object store, then out of our own tables.
 * Whatever is done before a crash is named again when ingest is asked again; deleting twice has no effect.
 */
@Injectable()
export class Evictor {
  constructor(
    @Inject(CACHE_OBJECT_STORE) private readonly store: ObjectStore,
    private readonly bus: Bus,
    private readonly database: Database,
    private readonly repository: KeeperRepository,
    private readonly metrics: KeeperMetrics,
    private readonly logger: Logger,
  ) {}

  /** Works off what is to go. False: something could not be done now and is to be tried later. */
  async run(signal: AbortSignal, gone: (study: string) => void): Promise<boolean> {
    for (;;) {
      const studies = await this.repository.toEvict(AT_ONCE);
      for (const study of studies) {
        if (signal.aborted) return true;
        try {
          if (await this.evict(study)) gone(study);
        } catch (error) {
          this.logger.warn('a study could not be evicted now', { code: classifyError(error).code });
          return false;
        }
      }
      if (studies.length < AT_ONCE) return true;
    }
  }

  /** True: its copies are gone, but for what had to stay. */
  private async evict(study: string): Promise<boolean> {
    // it may have been used, or pinned, since it was put on the list
    if (!(await this.repository.mayGo(study))) return false;
    const { packs, kept } = await this.bus.request(StudyEvict, { studyInstanceUid: study }, { timeoutMs: ASK_MS });
    // of another store: the sweep of those who have it deletes them
    for (const pack of packs) if (pack.store === this.store.name) await this.store.delete(pack.key);
    const gone = new Set(packs.map((pack) => pack.packId));
    const known = await this.repository.packsOf(study);
    for (const packId of known) {
      // the catalog may have lost it in another way
      if (!gone.has(packId) && (await this.unknown(packId))) gone.add(packId);
    }
    await this.repository.evicted(study, [...gone], kept > 0);
    // ingest names packs of earlier evictions again until its sweep has seen that they are gone
    const fresh = packs.filter((pack) => known.includes(pack.packId));
    this.metrics.all.evictions.inc({ result: 'deleted' }, fresh.length);
    this.metrics.all.evictedBytes.inc(fresh.reduce((sum, pack) => sum + pack.bytes, 0));
    if (kept > 0) this.metrics.all.evictions.inc({ result: 'kept' });
    return true;
  }

  private async unknown(packId: string): Promise<boolean> {
    return this.database.withClient(async (client) => (await fetchedPack(client, packId)).length === 0);
  }
}

import { Inject, Injectable } from '@nestjs/common';
import {
  InstanceStored,
  PatientUpdated,
  StudyUpdated,
  type PackAnsweredV1,
  type PackSealedV1,
} from '@archipelago/contracts';
import { datasetHeaderView } from '@archipelago/catalog-model';
import { indexPacks, recordPackLocation, type IndexPackInput, type IndexPackResult } from '@archipelago/catalog-store';
import { readHeader } from '@archipelago/dicom-encoding';
import { LIMITS, PackFormatError, PackTail } from '@archipelago/pack';
import {
  claimInboxes,
  Limiter,
  outboxEvent,
  OutboxRelay,
  writeOutbox,
  type OutboxEvent,
} from '@archipelago/platform-bus';
import { classifyError, Logger, PermanentError, TransientError } from '@archipelago/platform-service';
import {
  Database,
  ObjectNotFoundError,
  ObjectRangeError,
  type ObjectStore,
  type SqlClient,
} from '@archipelago/platform-storage';
import { CatalogRules } from './catalog-rules';
import { CommitQueue } from './commit-queue';
import { ingestConfig, type IngestConfig } from './ingest.config';
import { IngestMetrics } from './ingest.metrics';
import { IngestRepository, type KnownPack } from './ingest.repository';
import { CONSUMER, OBJECT_STORE } from './ingest.tokens';
import { PixelComparison } from './pixel-comparison';
import { RoutingService } from './routing/routing.service';

export interface Cause {
  eventId: string;
  trace?: string;
}

/** A pack whose bytes are there, on its way into the catalog. */
interface Ready {
  announcement: PackSealedV1;
  tail: PackTail;
  cause: Cause;
}

/** Packs up to these are small: what a transaction costs is more than what they bring, so they share one. */
const SMALL_ENTRIES = 16;
const SMALL_TAIL_BYTES = 256 * 1024;

type Answer = Pick<PackAnsweredV1, 'outcome' | 'code' | 'reason'>;

/** The stored bytes are not those announced: the edge still has them. */
class PackDamagedError extends PermanentError {}

/** Packs into catalog rows and events. Decides the answer to each announcement; sends nothing itself. */
@Injectable()
export class IngestService {
  /** Large packs at a time: each has its tail in memory and a transaction of its own. */
  private readonly large: Limiter;
  private readonly small = new CommitQueue<Ready, IndexPackResult | null>((packs) => this.commitSmall(packs));

  constructor(
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    private readonly rules: CatalogRules,
    private readonly database: Database,
    private readonly repository: IngestRepository,
    private readonly pixels: PixelComparison,
    private readonly routing: RoutingService,
    private readonly relay: OutboxRelay,
    private readonly metrics: IngestMetrics,
    private readonly logger: Logger,
    @Inject(ingestConfig.KEY) ingest: IngestConfig,
  ) {
    this.large = new Limiter(ingest.concurrency);
  }

  /**
   * The answer for one announcement; its effects, if any, are committed when this resolves.
   * @throws TransientError store or database away: answer `pending` and try again
   * @throws BugError also `pending`: the message becomes a dead letter, the edge keeps the segment
   */
  async ingest(announcement: PackSealedV1, cause: Cause): Promise<PackAnsweredV1> {
    const answer = await this.decide(announcement, cause);
    // also for one that was indexed before: the process may have ended between the commit and this
    if (answer.outcome === 'indexed') await this.repository.noteReadable(announcement.packId);
    this.metrics.answers.inc({ outcome: answer.outcome });
    return { packId: announcement.packId, edgeId: announcement.edgeId, ...answer };
  }

  private async decide(a: PackSealedV1, cause: Cause): Promise<Answer> {
    if (a.store !== this.store.name) {
      throw new TransientError('store-unknown', 'this process reads another object store than the pack lies in');
    }
    const begun = performance.now();
    const known = await this.repository.knownPack(a.packId, a.store);
    const asked = performance.now() - begun;
    if (known !== null && known.sha256 !== a.sha256) {
      return { outcome: 'rejected', code: 'pack-conflict', reason: 'another pack with this id is in the catalog' };
    }
    // an evicted one is not taken in again: its objects are asked for anew when somebody wants them
    if (known?.present === true || known?.evicted === true) return { outcome: 'indexed' };
    const small = a.entries <= SMALL_ENTRIES && a.bytes - a.tailOffset <= SMALL_TAIL_BYTES;
    const decide = (): Promise<Answer> => this.readAndIndex(a, known, cause, small, asked);
    return small ? decide() : this.large.run(decide);
  }

  private async readAndIndex(
    a: PackSealedV1,
    known: KnownPack | null,
    cause: Cause,
    small: boolean,
    asked: number,
  ): Promise<Answer> {
    const started = performance.now() - asked;
    let tail: PackTail;
    try {
      tail = await this.readTail(a);
      if (known !== null) {
        // in the catalog, but lost in the store: it was sent again
        await recordPackLocation(this.database, a);
        return { outcome: 'indexed' };
      }
    } catch (error) {
      return this.unreadable(a, error);
    }
    const read = performance.now();
    let result: IndexPackResult | null;
    try {
      const ready = { announcement: a, tail, cause };
      // answers of archives go alone
      const together = small && tail.index.entries.every((entry) => entry.harvest === undefined);
      result = together ? await this.small.add(ready) : (await this.commit([ready]))[0]!;
    } catch (error) {
      const classified = classifyError(error);
      if (classified.kind !== 'permanent') throw error;
      return this.quarantine(a, classified.code, classified.message, true);
    }
    if (result !== null) {
      this.relay.nudge();
      const all = performance.now() - started;
      this.metrics.indexed(result, { all: all / 1000, read: (read - started) / 1000 }, a.sealedAt);
      this.logger.info('pack indexed', {
        packId: a.packId,
        entries: a.entries,
        instances: result.newInstances,
        answers: result.answers,
        duplicates: result.duplicates,
        differences: result.differences,
        ms: Math.round(all),
        parseMs: Math.round(result.parseSeconds * 1000),
      });
    }
    return { outcome: 'indexed' };
  }

  private async readTail(a: PackSealedV1): Promise<PackTail> {
    if (a.tailOffset > a.bytes || a.bytes - a.tailOffset > LIMITS.tailBytes) {
      throw new PackFormatError('the announcement names no possible tail');
    }
    const stat = await this.store.stat(a.key);
    if (stat === null) throw new PackDamagedError('pack-missing', 'not in the object store');
    if (stat.bytes !== a.bytes)
      throw new PackDamagedError('pack-damaged', `${stat.bytes} bytes are stored, ${a.bytes} were announced`);
    const tail = await PackTail.parse(await this.store.readRange(a.key, a.tailOffset, a.bytes), a.bytes);
    if (tail.index.packId !== a.packId || tail.sha256 !== a.sha256) {
      throw new PackDamagedError('pack-damaged', 'the stored pack is not the one announced');
    }
    return tail;
  }

  /**
   * Several packs by one transaction, where that can be: what fails for one of them is found out one by one, so that only
   * that one is rejected.
   */
  private async commitSmall(packs: readonly Ready[]): Promise<PromiseSettledResult<IndexPackResult | null>[]> {
    if (packs.length > 1) {
      try {
        const results = await this.commit(packs);
        return results.map((value) => ({ status: 'fulfilled', value }));
      } catch (error) {
        if (classifyError(error).kind === 'transient') return packs.map(() => ({ status: 'rejected', reason: error }));
      }
    }
    const settled: PromiseSettledResult<IndexPackResult | null>[] = [];
    for (const pack of packs) settled.push(...(await Promise.allSettled([this.commit([pack]).then(([one]) => one!)])));
    return settled;
  }

  /** ONE transaction: inbox, catalog rows, outbox. Null: done before. */
  private async commit(packs: readonly Ready[]): Promise<(IndexPackResult | null)[]> {
    return this.database.withTransaction(async (client) => {
      const claimed = await claimInboxes(
        client,
        CONSUMER,
        packs.map(({ cause }) => cause.eventId),
      );
      // a message that was delivered twice is handled once
      const mine = packs.filter(({ cause }) => claimed.delete(cause.eventId));
      if (mine.length === 0) return packs.map(() => null);
      await this.rules.refresh(client);
      const results = await indexPacks(
        client,
        mine.map((pack) => this.input(pack)),
      );
      const events = mine.flatMap(({ announcement, cause }, i) => this.eventsOf(announcement, results[i]!, cause));
      await writeOutbox(client, events);
      await this.routeNew(client, mine, results);
      const byPack = new Map(mine.map((pack, i) => [pack, results[i]!]));
      return packs.map((pack) => {
        const result = byPack.get(pack);
        return result === undefined || result.already ? null : result;
      });
    });
  }

  private async routeNew(
    client: SqlClient,
    packs: readonly Ready[],
    results: readonly IndexPackResult[],
  ): Promise<void> {
    for (const [i, { announcement }] of packs.entries())
      await this.routing.route(client, results[i]!.routable, announcement.site);
  }

  private input({ announcement, tail }: Pick<Ready, 'announcement' | 'tail'>): IndexPackInput {
    return {
      announcement,
      index: tail.index,
      header: (ordinal) => datasetHeaderView(readHeader(tail.header(tail.index.entries[ordinal]!))),
      comparePixels: (incoming, stored) => this.pixels.equal(incoming, stored),
      defaultIssuer: (entry) => this.rules.issuerOf(entry.source, entry.callingAeTitle),
      identity: this.rules.identity,
      attributes: this.rules.attributes,
      archives: this.rules.archives,
      rules: this.rules.rules,
    };
  }

  /**
   * An indexed pack once more, from the store, for the rebuild.
   * @throws PermanentError when its bytes are not there as they were
   */
  async loadPack({ packId, store, key }: { packId: string; store: string; key: string }): Promise<IndexPackInput> {
    if (store !== this.store.name)
      throw new PermanentError('store-unknown', 'this process reads another object store than a pack lies in');
    const announcement = await this.repository.announcementOf(packId, store, key);
    if (announcement === null) throw new PermanentError('pack-missing', 'a pack is not in the catalog any more');
    return this.input({ announcement, tail: await this.readTail(announcement) });
  }

  private eventsOf(a: PackSealedV1, result: IndexPackResult, cause: Cause): OutboxEvent[] {
    const common = { site: a.site, cause: cause.eventId, ...(cause.trace === undefined ? {} : { trace: cause.trace }) };
    const stored = result.studies.map(({ studyId, seriesIds, newInstances, origin, source }) =>
      outboxEvent({
        ...common,
        contract: InstanceStored,
        payload: { packId: a.packId, studyId, seriesIds, instances: newInstances, origin, source },
      }),
    );
    const updated = result.updated.map((study) => outboxEvent({ ...common, contract: StudyUpdated, payload: study }));
    const patients = result.patients.map((patientId) =>
      outboxEvent({ ...common, contract: PatientUpdated, payload: { patientId } }),
    );
    return [...stored, ...updated, ...patients];
  }

  private async unreadable(a: PackSealedV1, error: unknown): Promise<Answer> {
    if (error instanceof PackDamagedError && error.code === 'pack-missing') {
      return { outcome: 'resend', code: error.code, reason: error.message };
    }
    if (error instanceof ObjectNotFoundError)
      return { outcome: 'resend', code: 'pack-missing', reason: 'not in the object store' };
    const damaged =
      error instanceof PackDamagedError || error instanceof ObjectRangeError || error instanceof PackFormatError;
    if (!damaged) throw error;
    return this.quarantine(a, error.code, error.message, false);
  }

  /** Damage in the store heals by sending again; a pack that stays unreadable, or cannot be indexed, needs a person. */
  private async quarantine(a: PackSealedV1, code: string, reason: string, certain: boolean): Promise<Answer> {
    const quarantined = await this.repository.noteUnreadable(a, code, reason, certain);
    this.logger.error(quarantined ? 'pack quarantined' : 'pack damaged in the store, asked for again', {
      packId: a.packId,
      code,
      key: a.key,
    });
    return { outcome: quarantined ? 'rejected' : 'resend', code, reason };
  }
}

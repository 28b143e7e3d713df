import { Inject, Injectable } from '@nestjs/common';
import { DatasetError, HeaderReader, type HeaderResult } from '@archipelago/dicom-encoding';
import type { AssociationInfo, DimseStatus, StoreRequest, StoreSink } from '@archipelago/dimse';
import type { EntryContext } from '@archipelago/pack';
import { Logger, SITE } from '@archipelago/platform-service';
import { associationState } from '../association/association-state';
import { FetchService } from '../fetch/fetch.service';
import { EdgeMetrics } from '../edge.metrics';
import type { Committed, LaneEntry, SegmentLane } from '../segments/segment-lane';
import { SpoolService } from '../segments/spool.service';
import {
  checkCommand,
  checkDataset,
  identityWarnings,
  type StoreCommand,
  storedOutcome,
  trimUid,
} from './store-checks';
import { type StoreOutcome, storeStatus } from './store-status';

/** C-STORE (PS3.4 annex B): the data set goes to the segment and through the header reader as it comes. */
@Injectable()
export class StoreService {
  constructor(
    private readonly spool: SpoolService,
    private readonly fetches: FetchService,
    private readonly metrics: EdgeMetrics,
    private readonly logger: Logger,
    @Inject(SITE) private readonly site: string,
  ) {}

  async store(request: StoreRequest): Promise<StoreSink> {
    const started = performance.now();
    const command: StoreCommand = {
      sopClassUid: request.sopClassUid,
      sopInstanceUid: request.sopInstanceUid,
      abstractSyntax: request.context.abstractSyntax,
    };
    const done = (outcome: StoreOutcome, bytes: number): void =>
      this.metrics.stored(outcome, bytes, (performance.now() - started) / 1000);
    const refusal = checkCommand(command);
    if (refusal) return new RefusingSink(() => done(refusal, 0), storeStatus(refusal));
    let entry: LaneEntry;
    try {
      entry = await this.lane(request.association).begin(this.entryContext(request));
    } catch (error) {
      const outcome = this.outcomeOf(error);
      return new RefusingSink(() => done(outcome, 0), storeStatus(outcome));
    }
    const { archive } = associationState(request.association);
    return new SpoolingSink(entry, command, request.context.transferSyntax, {
      done,
      outcomeOf: (error) => this.outcomeOf(error),
      committed: (seconds, at, header) => {
        this.metrics.all.syncSeconds.observe(seconds);
        if (archive) void this.fetches.landed(archive, at.entry, header, at.packId);
      },
    });
  }

  private lane(association: AssociationInfo): SegmentLane {
    const state = associationState(association);
    state.lane ??= this.spool.lane();
    return state.lane;
  }

  private entryContext(request: StoreRequest): EntryContext {
    const state = associationState(request.association);
    return {
      origin: state.archive ? 'fetched' : (state.peer?.origin ?? 'acquired'),
      source: state.archive?.name ?? 'archipelago',
      callingAeTitle: state.callingAeTitle,
      calledAeTitle: state.calledAeTitle,
      remoteAddress: request.association.request.remoteAddress,
      site: this.site,
      receivedAt: new Date().toISOString(),
      sopClassUid: trimUid(request.sopClassUid),
      sopInstanceUid: trimUid(request.sopInstanceUid),
      transferSyntaxUid: request.context.transferSyntax,
      warnings: [],
    };
  }

  private outcomeOf(error: unknown): StoreOutcome {
    const code = (error as { code?: unknown }).code;
    if (code === 'spool-full') return 'out-of-resources';
    if (code === 'not-confirmed') return 'not-confirmed';
    this.logger.error('object could not be written', { err: error });
    return 'not-durable';
  }
}

interface SinkEvents {
  committed(seconds: number, at: Committed, header: HeaderResult): void;
  done(outcome: StoreOutcome, bytes: number): void;
  outcomeOf(error: unknown): StoreOutcome;
}

const OVER_LIMITS: ReadonlySet<string> = new Set([
  'too-deep',
  'header-too-large',
  'too-many-fragments',
  'inflate-limit',
]);

/** Takes the rest of a data set that is refused, and says why at its end. */
class RefusingSink implements StoreSink {
  constructor(
    private readonly done: () => void,
    private readonly status: DimseStatus,
  ) {}

  write(): void {
    // refused: DIMSE has no answer before the end of the data set
  }

  end(): Promise<DimseStatus> {
    this.done();
    return Promise.resolve(this.status);
  }

  abort(): void {
    this.done();
  }
}

class SpoolingSink implements StoreSink {
  private readonly reader: HeaderReader;
  private bytes = 0;
  private failure: DimseStatus | undefined;
  private outcome: StoreOutcome = 'stored';
  private rolledBack: Promise<void> | undefined;

  constructor(
    private readonly entry: LaneEntry,
    private readonly command: StoreCommand,
    transferSyntaxUid: string,
    private readonly events: SinkEvents,
  ) {
    this.reader = new HeaderReader(transferSyntaxUid);
  }

  write(chunk: Buffer): void | Promise<void> {
    this.bytes += chunk.length;
    if (this.failure) return;
    try {
      this.reader.push(chunk);
      const written = this.entry.write(chunk);
      if (written) return written.catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  async end(): Promise<DimseStatus> {
    const status = await this.finish();
    this.events.done(this.outcome, this.bytes);
    return status;
  }

  private async finish(): Promise<DimseStatus> {
    let header: HeaderResult | undefined;
    if (!this.failure) {
      try {
        header = this.reader.end();
        const refusal = checkDataset(this.command, header);
        if (refusal) this.refuse(refusal);
      } catch (error) {
        this.fail(error);
      }
    }
    if (this.failure || !header) {
      await this.rolledBack;
      return this.failure!;
    }
    try {
      const started = performance.now();
      const at = await this.entry.commit(header, identityWarnings(header));
      this.events.committed((performance.now() - started) / 1000, at, header);
      this.outcome = storedOutcome(this.command, header);
    } catch (error) {
      this.outcome = this.events.outcomeOf(error);
    }
    return storeStatus(this.outcome);
  }

  abort(): void {
    this.events.done('unparsable', this.bytes);
    this.rollback();
  }

  private fail(error: unknown): void {
    if (this.failure) return;
    if (error instanceof DatasetError) {
      const outcome = OVER_LIMITS.has(error.code) ? 'over-limits' : 'unparsable';
      this.refuse(outcome, error.code, error.tag === 0 ? [] : [error.tag]);
    } else {
      this.refuse(this.events.outcomeOf(error));
    }
  }

  private refuse(outcome: StoreOutcome, detail?: string, elements?: number[]): void {
    this.outcome = outcome;
    this.failure = storeStatus(outcome, detail, elements);
    this.rollback();
  }

  private rollback(): void {
    this.rolledBack ??= this.entry.rollback().catch(() => undefined);
  }
}

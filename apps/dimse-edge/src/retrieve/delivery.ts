/** The sub-operations of one C-GET or C-MOVE, page by page of the catalog's answer. */
import type { LocatedInstanceV1, LocateReplyV1 } from '@archipelago/contracts';
import type { RetrieveResponse } from '@archipelago/dimse';
import type { InstanceLoader, LoadedInstance } from './instance-loader';
import { type InstanceSender, type StoreTarget, TargetLostError } from './instance-sender';
import { batches, type MoveDestination } from './move-destination';
import { PendingPace, SubOperationCounter } from './sub-operations';

/** Connections lost in a row, without an instance sent in between, after which a destination is given up. */
const MOST_LOSSES = 2;

export interface DeliveryOptions {
  loader: InstanceLoader;
  sender: InstanceSender;
  target: StoreTarget;
  /** C-MOVE: is prepared before each batch. Absent for C-GET, whose contexts stand. */
  destination?: MoveDestination;
  originator?: { aeTitle: string; messageId: number };
  /** Aborted by C-CANCEL: the sub-operation under way is finished, no other is begun. */
  signal: AbortSignal;
  /**
   * Pages with instances of which no copy here could be read, fetched anew from archives that have them (evicted since they
   * were located, or lost). Absent: they have failed.
   */
  again?(instances: readonly LocatedInstanceV1[]): AsyncIterable<LocateReplyV1>;
  counted(result: 'completed' | 'warning' | 'failed', sopInstanceUid: string): void;
  /** The destination was given up. */
  gaveUp(error: unknown): void;
}

export class Delivery {
  counter: SubOperationCounter | undefined;
  /** Why the rest could not be sent; for the Error Comment. */
  trouble: string | undefined;
  private readonly pace = new PendingPace();
  /** Instances that were counted or put off. */
  private handled = 0;
  private putOff: LocatedInstanceV1[] | undefined;

  constructor(private readonly options: DeliveryOptions) {
    if (options.again) this.putOff = [];
  }

  /** Yields pending responses. @throws CatalogUnavailableError, TargetLostError (C-GET) */
  async *run(pages: AsyncIterable<LocateReplyV1>): AsyncGenerator<RetrieveResponse> {
    yield* this.sendPages(pages);
    const again = this.putOff ?? [];
    this.putOff = undefined;
    if (again.length === 0 || !this.counter || this.options.signal.aborted) return;
    if (this.trouble === undefined) return yield* this.sendPages(this.options.again!(again));
    for (const { sopInstanceUid } of again) this.count(this.counter, sopInstanceUid, 'failed');
  }

  private async *sendPages(pages: AsyncIterable<LocateReplyV1>): AsyncGenerator<RetrieveResponse> {
    const { destination, signal } = this.options;
    for await (const page of pages) {
      this.counter ??= new SubOperationCounter(page.total);
      const parts = destination ? batches(page.instances, destination.transferSyntaxes) : [page.instances];
      for (const part of parts) {
        yield* this.sendPart(part, this.counter);
        if (signal.aborted) return;
      }
    }
  }

  private async *sendPart(
    part: readonly LocatedInstanceV1[],
    counter: SubOperationCounter,
  ): AsyncGenerator<RetrieveResponse> {
    const { destination } = this.options;
    const before = this.handled;
    try {
      if (this.trouble === undefined) yield* this.sendEach(part, counter);
    } catch (error) {
      if (!destination) throw error;
      this.trouble = 'move destination cannot be reached';
      this.options.gaveUp(error);
    }
    if (this.trouble === undefined || this.options.signal.aborted) return;
    // what was not sent has failed, each by its name
    for (const { sopInstanceUid } of part.slice(this.handled - before)) this.count(counter, sopInstanceUid, 'failed');
  }

  private async *sendEach(
    part: readonly LocatedInstanceV1[],
    counter: SubOperationCounter,
  ): AsyncGenerator<RetrieveResponse> {
    const { destination, loader, sender, target, originator, signal } = this.options;
    await destination?.prepare(part);
    let sent = 0;
    let losses = 0;
    for await (const loaded of loader.load(part)) {
      if (this.putOff && isElsewhere(loaded)) {
        this.putOff.push(loaded.instance);
        this.handled++;
        sent++;
        continue;
      }
      while (!signal.aborted) {
        try {
          this.count(counter, loaded.instance.sopInstanceUid, await sender.send(loaded, target, originator));
          break;
        } catch (error) {
          if (!(error instanceof TargetLostError) || !destination || ++losses > MOST_LOSSES) throw error;
          destination.lost();
          await destination.prepare(part.slice(sent));
        }
      }
      if (signal.aborted) return;
      sent++;
      losses = 0;
      if (counter.remaining > 0 && this.pace.due()) yield counter.pending();
    }
  }

  private count(counter: SubOperationCounter, uid: string, result: 'completed' | 'warning' | 'failed'): void {
    this.handled++;
    counter.count(uid, result);
    this.options.counted(result, uid);
  }
}

/** It was here, is not any more, and an archive has it. What no archive could give a moment ago is not asked for again. */
function isElsewhere({ how, instance }: LoadedInstance): boolean {
  return how === 'unreadable' && instance.copies.length > 0 && (instance.archives?.length ?? 0) > 0;
}

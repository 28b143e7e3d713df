import { Inject, Injectable } from '@nestjs/common';
import type { LocatedInstanceV1, LocateReplyV1, LocateV1 } from '@archipelago/contracts';
import { writeDataset } from '@archipelago/dicom-encoding';
import { PixelPool } from '@archipelago/dicom-pixel';
import type { GetRequest, MoveRequest, QueryRequest, RetrieveResponse, SubOperations } from '@archipelago/dimse';
import { Logger, SITE } from '@archipelago/platform-service';
import { associationState, principalOf } from '../association/association-state';
import { type QueryOperation, queryClass } from '../association/query-classes';
import { CatalogClient, CatalogUnavailableError } from '../catalog/catalog-client';
import { EdgeMetrics, statusLabel } from '../edge.metrics';
import { readIdentifier } from '../query/identifier';
import { Delivery, type DeliveryOptions } from './delivery';
import { InstanceSender, TargetLostError } from './instance-sender';
import { AmbiguousPatientError, onePatient } from './one-patient';
import { locateRequest } from './locate-request';
import { OutboundService } from './outbound.service';
import { PackBytesService } from './pack-bytes.service';
import { type Retrieval, ThroughService } from './through.service';
import { RETRIEVE_STATUS, type RetrieveOutcome, type SubOperationCounter } from './sub-operations';

const NOTHING = { remaining: 0, completed: 0, failed: 0, warning: 0 };

type Asked = { ok: true; locate: LocateV1 } | { ok: false; response: RetrieveResponse };

/** C-GET and C-MOVE (PS3.4 C.4.2, C.4.3). */
@Injectable()
export class RetrieveService {
  constructor(
    private readonly catalog: CatalogClient,
    private readonly packs: PackBytesService,
    private readonly outbound: OutboundService,
    private readonly throughs: ThroughService,
    private readonly pool: PixelPool,
    private readonly metrics: EdgeMetrics,
    private readonly logger: Logger,
    @Inject(SITE) private readonly site: string,
  ) {}

  get(request: GetRequest): AsyncGenerator<RetrieveResponse> {
    return this.counted('GET', this.answerGet(request));
  }

  move(request: MoveRequest): AsyncGenerator<RetrieveResponse> {
    return this.counted('MOVE', this.answerMove(request));
  }

  private async *answerGet(request: GetRequest): AsyncGenerator<RetrieveResponse> {
    const asked = this.ask(request, 'GET');
    if (!asked.ok) return yield asked.response;
    const target: DeliveryOptions['target'] = {
      contextsFor: (uid) => request.storeContexts.filter((c) => c.abstractSyntax === uid),
      store: (operation) => request.store(operation),
    };
    yield* this.deliver(request, asked.locate, { target });
  }

  private async *answerMove(request: MoveRequest): AsyncGenerator<RetrieveResponse> {
    const asked = this.ask(request, 'MOVE');
    if (!asked.ok) return yield asked.response;
    const { calledAeTitle, callingAeTitle } = associationState(request.association);
    const destination = this.outbound.destination(request.moveDestination, calledAeTitle);
    if (!destination) return yield this.answer('destination-unknown', 'move destination unknown');
    const originator = { aeTitle: callingAeTitle, messageId: request.messageId };
    try {
      const locate = { ...asked.locate, receivers: this.outbound.namesOf(request.moveDestination) };
      yield* this.deliver(request, locate, { target: destination, destination, originator });
    } finally {
      await destination.close();
    }
  }

  private ask(request: QueryRequest, operation: QueryOperation): Asked {
    const model = queryClass(request.context.abstractSyntax);
    if (model?.operation !== operation) {
      return {
        ok: false,
        response: this.answer('class-mismatch', 'SOP class is not that of the context'),
      };
    }
    const read = readIdentifier(request.identifier, request.context.transferSyntax, model);
    const asked = read.ok ? locateRequest(read.identifier, model, principalOf(request.association, this.site)) : read;
    if (asked.ok) return asked;
    const { status, comment, elements } = asked;
    const offending = elements.length > 0 ? { offendingElements: elements } : {};
    return { ok: false, response: { status, counts: NOTHING, errorComment: comment, ...offending } };
  }

  private async *deliver(
    request: QueryRequest,
    locate: LocateV1,
    to: Pick<DeliveryOptions, 'target' | 'destination' | 'originator'>,
  ): AsyncGenerator<RetrieveResponse> {
    let patients = 0;
    const loader = this.packs.loader();
    const sender = new InstanceSender(loader, this.pool, {
      sent: (bytes) => this.metrics.all.sentBytes.inc(bytes),
      failed: (why, error) => this.logger.warn('sub-operation failed', { reason: why, err: error }),
    });
    const delivery: Delivery = new Delivery({
      ...to,
      loader,
      sender,
      signal: request.signal,
      again: (instances) => {
        this.logger.warn('no copy can be read: fetched again from archives', { count: instances.length });
        second = this.throughs.retrieval(locate, request.signal);
        return second.pages(elsewhereOnly(instances, delivery.counter!.counts, patients));
      },
      counted: (result) => this.metrics.all.subOperations.inc({ result }),
      gaveUp: (error) => this.logger.warn('move destination given up', { err: error }),
    });
    let second: Retrieval | undefined;
    const through = this.throughs.retrieval(locate, request.signal);
    const pages = onePatient(this.catalog.locatePages(locate), locate, (n) => (patients = n));
    try {
      yield* delivery.run(through.pages(pages));
    } catch (error) {
      // the requestor of a C-GET has gone: nobody is there to be answered
      if (error instanceof TargetLostError) return;
      if (!delivery.counter) return yield this.cannotCount(error);
      delivery.trouble = this.describe(error);
    } finally {
      through.end();
      second?.end();
    }
    const trouble =
      delivery.trouble ??
      (delivery.counter?.counts.failed ? (through.trouble ?? second?.trouble) : undefined) ??
      (patients > 1 ? `objects of ${patients} patients` : undefined);
    if (delivery.counter) yield this.final(request, delivery.counter, trouble);
  }

  private final(request: QueryRequest, counter: SubOperationCounter, trouble: string | undefined): RetrieveResponse {
    const cancelled = request.signal.aborted;
    // counted by the catalog and not named by it since: has failed. Only a cancelled operation leaves some remaining.
    if (!cancelled && counter.remaining > 0) counter.countUnnamed(counter.remaining);
    const comment = trouble ?? counter.comment();
    return {
      status: RETRIEVE_STATUS[counter.outcome(cancelled)].status,
      counts: counter.counts,
      ...(comment ? { errorComment: comment } : {}),
      ...(counter.failedList.length > 0
        ? { identifier: failedList(counter.failedList, request.context.transferSyntax) }
        : {}),
    };
  }

  private cannotCount(error: unknown): RetrieveResponse {
    if (error instanceof CatalogUnavailableError) {
      this.logger.warn('retrieval failed: no answer of the catalog', { err: error });
      return this.answer('cannot-count', 'catalog unavailable');
    }
    if (error instanceof AmbiguousPatientError) return this.answer('unable-to-process', error.message);
    this.logger.error('retrieval failed', { err: error });
    return this.answer('unable-to-process', 'retrieval failed');
  }

  private describe(error: unknown): string {
    const away = error instanceof CatalogUnavailableError;
    this.logger[away ? 'warn' : 'error']('retrieval ended early', { err: error });
    return away ? 'catalog unavailable' : 'retrieval failed';
  }

  private answer(outcome: RetrieveOutcome, errorComment: string): RetrieveResponse {
    return { status: RETRIEVE_STATUS[outcome].status, counts: NOTHING, errorComment };
  }

  private async *counted(
    operation: QueryOperation,
    responses: AsyncGenerator<RetrieveResponse>,
  ): AsyncGenerator<RetrieveResponse> {
    let last: number = RETRIEVE_STATUS.pending.status;
    try {
      for await (const response of responses) {
        last = response.status;
        yield response;
      }
    } finally {
      const status = last === RETRIEVE_STATUS.pending.status ? 'aborted' : statusLabel(last);
      this.metrics.all.retrieves.inc({ operation, status });
    }
  }
}

/** One page of instances as if nothing of them were here. */
async function* elsewhereOnly(
  instances: readonly LocatedInstanceV1[],
  { completed, failed, warning, remaining }: SubOperations,
  patients: number,
): AsyncGenerator<LocateReplyV1> {
  const total = completed + failed + warning + remaining;
  yield await Promise.resolve({ total, patients, instances: instances.map((one) => ({ ...one, copies: [] })) });
}

/** FailedSOPInstanceUIDList (0008,0058), the identifier of a final response (PS3.4 C.4.2.1.4.2, C.4.3.1.3.2). */
function failedList(uids: readonly string[], transferSyntaxUid: string): Buffer {
  return writeDataset({ '00080058': { vr: 'UI', Value: [...uids] } }, transferSyntaxUid);
}

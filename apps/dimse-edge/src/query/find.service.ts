import { Inject, Injectable } from '@nestjs/common';
import type { DicomJson, QueryLevel } from '@archipelago/contracts';
import { keywordOf } from '@archipelago/dicom-core';
import type { FindResponse, QueryRequest } from '@archipelago/dimse';
import { Logger, SITE } from '@archipelago/platform-service';
import { associationState, principalOf } from '../association/association-state';
import { findOptions } from '../association/extended-negotiation';
import { queryClass } from '../association/query-classes';
import { CatalogClient, CatalogUnavailableError } from '../catalog/catalog-client';
import { EdgeMetrics } from '../edge.metrics';
import { type Completeness, completenessOf, type Notices } from './completeness';
import { encodeResponse, pendingStatus } from './find-response';
import { QUERY_STATUS } from './find-status';
import { type IdentifierOutcome, mismatch, readIdentifier } from './identifier';
import { liveNotices, LiveQueries } from './live.service';
import { searchRequest } from './search-request';

/** C-FIND (PS3.4 C.4.1): pages of the catalog as pending responses, as fast as the socket takes them. */
@Injectable()
export class FindService {
  constructor(
    private readonly catalog: CatalogClient,
    private readonly live: LiveQueries,
    private readonly metrics: EdgeMetrics,
    private readonly logger: Logger,
    @Inject(SITE) private readonly site: string,
  ) {}

  async *find(request: QueryRequest): AsyncGenerator<FindResponse> {
    const model = queryClass(request.sopClassUid);
    if (model?.operation !== 'FIND' || request.sopClassUid !== request.context.abstractSyntax) {
      yield { status: QUERY_STATUS['class-mismatch'].status, errorComment: 'SOP class is not that of the context' };
      return;
    }
    const read = readIdentifier(request.identifier, request.context.transferSyntax, model);
    if (!read.ok) return yield failure(read);
    const { association } = request;
    const options = findOptions(association.request.extended, request.sopClassUid);
    const asked = searchRequest(read.identifier, model, options, principalOf(association, this.site));
    if (!asked.ok) return yield failure(asked);
    const context = {
      identifier: read.identifier,
      transferSyntaxUid: request.context.transferSyntax,
      retrieveAeTitle: associationState(association).calledAeTitle,
    };
    try {
      const started = Date.now();
      const live = associationState(association).peer?.live ? await this.live.ask(asked.search) : [];
      if (request.signal.aborted) return yield { status: QUERY_STATUS.cancelled.status };
      let completeness: Completeness | undefined;
      let unsupported: ReadonlySet<string> | undefined;
      for await (const page of this.catalog.searchPages(asked.search, Date.now() - started)) {
        // a key left out would widen the question: nothing is better than the answer to another one
        if (page.malformed && page.malformed.length > 0) return yield failure(malformed(page.malformed));
        // what is supported is a matter of the question: the first page says it for all
        unsupported ??= new Set(page.unsupported);
        const first = completeness === undefined;
        completeness ??= this.completeness(association, liveNotices(page.notices, live), read.identifier.level);
        const { marker, extend } = completeness;
        const status = pendingStatus(unsupported);
        const respond = (match: DicomJson): FindResponse => ({
          status,
          identifier: encodeResponse(match, { ...context, unsupported: unsupported!, extend }),
        });
        if (first && marker) yield respond(marker);
        for (const match of page.matches) {
          if (request.signal.aborted) return yield { status: QUERY_STATUS.cancelled.status };
          yield respond(match);
        }
      }
      const { comment, fails } = completeness ?? {};
      const { status } = QUERY_STATUS[fails ? 'incomplete' : 'success'];
      yield { status, ...(comment ? { errorComment: comment } : {}) };
    } catch (error) {
      yield this.failed(error);
    }
  }

  /** Whatever the peer is told, the log and the metrics are told as well. */
  private completeness(
    association: QueryRequest['association'],
    notices: Notices,
    level: QueryLevel | undefined,
  ): Completeness {
    for (const { archive, state } of notices) {
      this.metrics.all.incomplete.inc({ archive, state });
      this.logger.info('answer may miss something', { archive, state });
    }
    return completenessOf(notices, associationState(association).peer?.incomplete ?? 'comment', level);
  }

  private failed(error: unknown): FindResponse {
    const away = error instanceof CatalogUnavailableError;
    this.logger[away ? 'warn' : 'error']('query failed', { err: error });
    const { status } = QUERY_STATUS[away ? 'catalog-unavailable' : 'unable-to-process'];
    return { status, errorComment: away ? 'catalog unavailable' : 'query failed' };
  }
}

/** The comment names the first (64 characters at most, PS3.7 C), the offending elements all; never a value. */
function malformed(tags: readonly string[]): Extract<IdentifierOutcome, { ok: false }> {
  const elements = tags.map((tag) => parseInt(tag, 16));
  const keyword = keywordOf(elements[0] ?? 0) ?? tags[0];
  return mismatch(`value not allowed: ${keyword}`.slice(0, 64), elements);
}

function failure(why: { status: number; comment: string; elements: number[] }): FindResponse {
  return {
    status: why.status,
    errorComment: why.comment,
    ...(why.elements.length > 0 ? { offendingElements: why.elements } : {}),
  };
}

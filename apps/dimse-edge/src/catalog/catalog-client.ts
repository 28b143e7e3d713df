import { Injectable } from '@nestjs/common';
import {
  Locate,
  type LocateReplyV1,
  type LocateV1,
  Search,
  type SearchReplyV1,
  type SearchV1,
} from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { isTransient } from '@archipelago/platform-service';

/** No answer could be had in time: never to be taken for "nothing found". */
export class CatalogUnavailableError extends Error {
  constructor(cause: unknown) {
    super('catalog unavailable', { cause });
    this.name = 'CatalogUnavailableError';
  }
}

/** A query fails within 5 s (design page); what is left is for the answer's way to the peer. */
const WITHIN_MS = 4_000;
/** Until the status must be on its way, and what the catalog gets of it in any case. */
const ANSWER_MS = 4_800;
const LEAST_MS = 500;
const PAUSE_MS = 200;

/** The edge's questions to the catalog. Each page is one request; a page that cannot be had is an error, never an end. */
@Injectable()
export class CatalogClient {
  constructor(private readonly bus: Bus) {}

  /** @throws CatalogUnavailableError; PermanentError when the catalog refuses the question */
  search(request: SearchV1, withinMs = WITHIN_MS): Promise<SearchReplyV1> {
    return this.ask((timeoutMs) => this.bus.request(Search, request, { timeoutMs }), withinMs);
  }

  /** @throws CatalogUnavailableError; PermanentError when the catalog refuses the question */
  locate(request: LocateV1): Promise<LocateReplyV1> {
    return this.ask((timeoutMs) => this.bus.request(Locate, request, { timeoutMs }));
  }

  /**
   * Pages of matches; the next page is asked for while the present one is worked off.
   * @param spentMs what of the time for the first page is gone already
   */
  searchPages(request: SearchV1, spentMs = 0): AsyncGenerator<SearchReplyV1> {
    const first = Math.max(LEAST_MS, Math.min(WITHIN_MS, ANSWER_MS - spentMs));
    return pages((cursor) => this.search({ ...request, cursor }, cursor === undefined ? first : WITHIN_MS));
  }

  locatePages(request: LocateV1): AsyncGenerator<LocateReplyV1> {
    return pages((cursor) => this.locate({ ...request, cursor }));
  }

  private async ask<T>(request: (timeoutMs: number) => Promise<T>, withinMs = WITHIN_MS): Promise<T> {
    const end = Date.now() + withinMs;
    for (;;) {
      try {
        return await request(Math.max(1, end - Date.now()));
      } catch (error) {
        if (!isTransient(error)) throw error;
        if (Date.now() + PAUSE_MS >= end) throw new CatalogUnavailableError(error);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

async function* pages<T extends { cursor?: string }>(ask: (cursor?: string) => Promise<T>): AsyncGenerator<T> {
  let next: Promise<T> | undefined = ask();
  while (next) {
    const page: T = await next;
    next = page.cursor === undefined ? undefined : ask(page.cursor);
    // its failure is thrown when its turn comes; a consumer that stops before never hears of it
    next?.catch(() => undefined);
    yield page;
  }
}

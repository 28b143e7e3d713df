import { Inject, Injectable } from '@nestjs/common';
import { LiveFind, type LiveOutcome, type SearchV1 } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { ARCHIPELAGO_CONFIG, type ArchipelagoConfig, classifyError, Logger } from '@archipelago/platform-service';
import type { Notices } from './completeness';

/** Of the 5 s of an answer: what archives said needs so long into the catalog, and the way there and back. */
const INDEX_MS = 900;
const WAY_MS = 200;

/** What the archives did when they were asked; undefined: nobody could be told to ask them. */
export type LiveOutcomes = readonly { archive: string; outcome: LiveOutcome }[] | undefined;

/** Has the archives asked before the catalog is, for peers that are configured so. */
@Injectable()
export class LiveQueries {
  private readonly deadlineMs: number;

  constructor(
    private readonly bus: Bus,
    private readonly logger: Logger,
    @Inject(ARCHIPELAGO_CONFIG) config: ArchipelagoConfig,
  ) {
    this.deadlineMs = config.limits.liveMs;
  }

  /** Ends in time whatever happens; a query is never refused because the archives could not be asked. */
  async ask(search: SearchV1): Promise<LiveOutcomes> {
    if (search.model === 'patientless') return [];
    const { principal, model, level, keys, fuzzyNames } = search;
    const { deadlineMs } = this;
    const withinMs = deadlineMs + INDEX_MS;
    try {
      const request = { principal, model, level, keys, fuzzyNames, deadlineMs, withinMs };
      const { archives } = await this.bus.request(LiveFind, request, { timeoutMs: withinMs + WAY_MS });
      return archives;
    } catch (error) {
      this.logger.warn('archives could not be asked for a live query', { code: classifyError(error).code });
      return undefined;
    }
  }
}

/**
 * What a live answer may miss: what the catalog says of the archives, and over it what they did now. One that answered is not
 * unreachable, whatever was known of it before.
 */
export function liveNotices(notices: Notices, live: LiveOutcomes): Notices {
  if (live === undefined) return [{ archive: 'archives', state: 'not asked' }, ...notices];
  const now = new Map(live.map(({ archive, outcome }) => [archive, outcome]));
  const failed = live.flatMap(({ archive, outcome }) => {
    if (outcome === 'answered') return [];
    const asOf = notices.find((one) => one.archive === archive)?.asOf;
    return [{ archive, state: outcome as string, ...(asOf === undefined ? {} : { asOf }) }];
  });
  const others = notices.filter(({ archive, state }) => {
    const outcome = now.get(archive);
    return outcome === undefined || (outcome === 'answered' && state !== 'unreachable');
  });
  return [...failed, ...others];
}

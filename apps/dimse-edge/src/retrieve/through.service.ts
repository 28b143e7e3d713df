import { Injectable } from '@nestjs/common';
import { type LocateReplyV1, type LocateV1, StudyAccessed } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';
import { Logger } from '@archipelago/platform-service';
import { BrokerClient } from '../fetch/broker-client';
import { FetchService } from '../fetch/fetch.service';
import { followLeg } from '../fetch/leg-follower';
import { Through } from './through';

export interface Retrieval {
  pages(pages: AsyncIterable<LocateReplyV1>): AsyncGenerator<LocateReplyV1>;
  /** For the final response's comment, when not all could be had. */
  readonly trouble: string | undefined;
  /** The retrieval is over, however: what it read is told to the cache. */
  end(): void;
}

/** Retrievals that reach through to the archives where nothing is at hand. */
@Injectable()
export class ThroughService {
  constructor(
    private readonly broker: BrokerClient,
    private readonly fetches: FetchService,
    private readonly bus: Bus,
    private readonly logger: Logger,
  ) {}

  retrieval(locate: LocateV1, signal: AbortSignal): Retrieval {
    const over = new AbortController();
    const failed = new Map<string, string>();
    const fetched = new Map<string, number>();
    const read = new Map<string, number>();
    const through = new Through(locate, {
      signal: AbortSignal.any([signal, over.signal]),
      ensure: (target, archives, lost) => this.broker.ensure(target, archives, lost),
      follow: (leg, until) => followLeg(leg, this.fetches.leg(leg.legId), until),
      failed: (archive, code) => {
        failed.set(archive, code);
        this.logger.warn('retrieval goes without an archive', { archive, code });
      },
      fetched: (study, milliseconds) => fetched.set(study, milliseconds),
    });
    return {
      pages: (pages) => counting(through.pages(pages), read),
      get trouble() {
        const [first] = failed;
        return first && through.trouble !== undefined ? `archive ${first[0]}: ${first[1]}` : through.trouble;
      },
      end: () => {
        over.abort();
        void this.tell(read, fetched);
      },
    };
  }

  private async tell(read: Map<string, number>, fetched: Map<string, number>): Promise<void> {
    const at = new Date().toISOString();
    try {
      for (const [studyInstanceUid, bytes] of read) {
        const ms = fetched.get(studyInstanceUid);
        await this.bus.publish(StudyAccessed, {
          studyInstanceUid,
          at,
          bytes,
          ...(ms === undefined ? {} : { fetchedMilliseconds: ms }),
        });
      }
    } catch (error) {
      // the cache learns a little less
      this.logger.debug('accesses could not be told', { err: error });
    }
  }
}

async function* counting(
  pages: AsyncGenerator<LocateReplyV1>,
  read: Map<string, number>,
): AsyncGenerator<LocateReplyV1> {
  for await (const page of pages) {
    for (const { studyInstanceUid, copies } of page.instances) {
      if (studyInstanceUid === undefined || !copies[0]) continue;
      read.set(studyInstanceUid, (read.get(studyInstanceUid) ?? 0) + copies[0].datasetLength);
    }
    yield page;
  }
}

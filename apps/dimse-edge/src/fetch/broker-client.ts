import { Injectable } from '@nestjs/common';
import { FetchEnsure, type FetchEnsureReplyV1, type FetchTargetV1 } from '@archipelago/contracts';
import { Bus } from '@archipelago/platform-bus';

/** Long enough for the broker to try every archive of a study. */
const WITHIN_MS = 15_000;

/** The edge's questions to the retrieval broker. */
@Injectable()
export class BrokerClient {
  constructor(private readonly bus: Bus) {}

  /** @throws TransientError when the broker does not answer */
  ensure(target: FetchTargetV1, archives: readonly string[], lost?: string): Promise<FetchEnsureReplyV1> {
    return this.bus.request(
      FetchEnsure,
      { target, archives: [...archives], ...(lost === undefined ? {} : { lost }) },
      { timeoutMs: WITHIN_MS },
    );
  }
}

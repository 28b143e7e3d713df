/**
 * All that this edge asks of archives goes through here: associations within the budget of each archive, its rate of
 * requests, its circuit breaker. A slow or refusing archive holds up nobody but those who want something of it.
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { ArchiveV1 } from '@archipelago/contracts';
import {
  type AssociationOptions,
  type ClientAssociation,
  connect,
  type DimseStatus,
  type FindResponse,
  type RetrieveResponse,
} from '@archipelago/dimse';
import {
  ARCHIPELAGO_CONFIG,
  type ArchipelagoConfig,
  coreConfig,
  type CoreConfig,
  Logger,
} from '@archipelago/platform-service';
import { ArchiveMetrics } from './archive.metrics';
import { archiveFailure, ArchiveUnavailableError } from './archive-errors';
import { type ArchivePurpose, ArchiveSlots } from './archive-slots';
import { CircuitBreaker } from './circuit-breaker';
import { RateLimit } from './rate-limit';

export interface UseOptions {
  contexts: AssociationOptions['contexts'];
  roles?: AssociationOptions['roles'];
  extended?: AssociationOptions['extended'];
  onStore?: AssociationOptions['onStore'];
  maxIdentifierBytes?: number;
  /** Longest wait for a free association (default 30 s). */
  waitMs?: number;
  connectTimeoutMs?: number;
  /** Longest silence of the archive while we wait for it (default 30 s). */
  responseTimeoutMs?: number;
  /** Aborts the association: an archive that never ends is not waited for. */
  signal?: AbortSignal;
}

/** An association to an archive; what it begins counts against the archive's rate. */
export interface ArchiveAssociation {
  readonly contexts: ClientAssociation['contexts'];
  readonly negotiated: ClientAssociation['negotiated'];
  echo(): Promise<DimseStatus>;
  find(sopClassUid: string, identifier: Buffer, signal?: AbortSignal): AsyncIterable<FindResponse>;
  get(sopClassUid: string, identifier: Buffer, signal?: AbortSignal): AsyncIterable<RetrieveResponse>;
  move(sopClassUid: string, identifier: Buffer, to: string, signal?: AbortSignal): AsyncIterable<RetrieveResponse>;
}

interface Idle {
  key: string;
  association: ClientAssociation;
  timer: NodeJS.Timeout;
}

interface Archive {
  slots: ArchiveSlots;
  rate: RateLimit;
  bytes: RateLimit;
  breaker: CircuitBreaker;
  idle: Idle[];
  /** Where it is; an association to another place is not reused. */
  address: string;
}

const IDLE_MS = 3_000;
/** Who may wait for one archive: beyond them the answer is no at once. */
const MOST_WAITING = 1_000;

@Injectable()
export class ArchiveConnections implements BeforeApplicationShutdown {
  private readonly archives = new Map<string, Archive>();
  private readonly tls: ConnectionOptions | undefined;

  constructor(
    @Inject(ARCHIPELAGO_CONFIG) file: ArchipelagoConfig,
    @Inject(coreConfig.KEY) private readonly core: CoreConfig,
    private readonly metrics: ArchiveMetrics,
    private readonly logger: Logger,
  ) {
    const { tls } = file;
    if (tls) {
      const ca = tls.ca === undefined ? undefined : readFileSync(tls.ca);
      this.tls = { cert: readFileSync(tls.cert), key: readFileSync(tls.key), ca };
    }
  }

  /**
   * Runs the work on an association to the archive, which belongs to it alone until it settles. When the work succeeds the
   * association may serve the next one with the same needs; when it throws it is aborted.
   * @throws ArchiveUnavailableError; what the work threw, when it is not a failure of the archive
   */
  async use<T>(
    archive: ArchiveV1,
    purpose: ArchivePurpose,
    work: (association: ArchiveAssociation) => Promise<T>,
    options: UseOptions,
  ): Promise<T> {
    const state = this.stateOf(archive);
    if (archive.state !== 'active' && purpose !== 'probe')
      throw new ArchiveUnavailableError('archive-paused', 'the archive is paused');
    return this.guarded(
      archive,
      purpose,
      state,
      async () => {
        const association = await this.associate(archive, state, options);
        const onAbort = (): void => association.abort();
        options.signal?.addEventListener('abort', onAbort, { once: true });
        try {
          const result = await work(limited(association, state.rate, options.signal));
          this.keep(state, keyOf(archive, options), association, options);
          return result;
        } catch (error) {
          association.abort();
          throw error;
        } finally {
          options.signal?.removeEventListener('abort', onAbort);
        }
      },
      options,
    );
  }

  /** The same for what goes another way to the archive (DICOMweb): budget, rate and breaker, without an association. */
  async guard<T>(
    archive: ArchiveV1,
    purpose: ArchivePurpose,
    work: () => Promise<T>,
    options: { waitMs?: number; signal?: AbortSignal } = {},
  ): Promise<T> {
    const state = this.stateOf(archive);
    if (archive.state !== 'active' && purpose !== 'probe')
      throw new ArchiveUnavailableError('archive-paused', 'the archive is paused');
    return this.guarded(
      archive,
      purpose,
      state,
      async () => {
        await state.rate.take(1, options.signal);
        return work();
      },
      options,
    );
  }

  /** Waits until the archive's byte budget of `full` harvest lets these bytes pass. */
  harvestBytes(archive: ArchiveV1, bytes: number, signal?: AbortSignal): Promise<void> {
    return this.stateOf(archive).bytes.take(bytes, signal);
  }

  /** How the breaker stands, without asking the archive. */
  availability(archive: Pick<ArchiveV1, 'name'>): 'closed' | 'open' | 'half-open' {
    return this.archives.get(archive.name)?.breaker.state ?? 'closed';
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([...this.archives.values()].map((state) => this.closeIdle(state)));
  }

  private async guarded<T>(
    archive: ArchiveV1,
    purpose: ArchivePurpose,
    state: Archive,
    work: () => Promise<T>,
    options: { waitMs?: number; signal?: AbortSignal },
  ): Promise<T> {
    if (state.breaker.state === 'open')
      throw new ArchiveUnavailableError('archive-open', 'the archive failed and is not asked for a while');
    if (state.slots.waiting >= MOST_WAITING)
      throw new ArchiveUnavailableError('archive-busy', 'too many wait for the archive');
    if (!(await state.slots.acquire(purpose, options.waitMs ?? 30_000, options.signal)))
      throw new ArchiveUnavailableError('archive-busy', 'no association of the budget was free in time');
    this.gauge(archive, state);
    try {
      if (!state.breaker.enter())
        throw new ArchiveUnavailableError('archive-open', 'the archive failed and is not asked for a while');
      return await this.judged(archive, state, work, options.signal);
    } finally {
      state.slots.release(purpose);
      this.gauge(archive, state);
    }
  }

  private async judged<T>(
    archive: ArchiveV1,
    state: Archive,
    work: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    try {
      const result = await work();
      state.breaker.succeeded();
      return result;
    } catch (error) {
      const failure = archiveFailure(error);
      if (!failure || signal?.aborted) {
        // ours, or given up by us: a caller that loses patience says nothing about the archive
        state.breaker.undecided();
        throw error;
      }
      const before = state.breaker.state;
      state.breaker.failed();
      this.metrics.failed(archive.name, failure.code);
      if (before === 'closed' && state.breaker.state === 'open') {
        this.logger.warn('archive is not asked for a while', { archive: archive.name, code: failure.code });
      }
      throw failure;
    } finally {
      this.gauge(archive, state);
    }
  }

  private stateOf(archive: ArchiveV1): Archive {
    const { associations, requestsPerSecond, harvestBytesPerSecond } = archive.budget;
    const address = `${archive.aeTitle}@${archive.host}:${archive.port}${archive.tls ? '+tls' : ''}`;
    let state = this.archives.get(archive.name);
    if (!state) {
      state = {
        slots: new ArchiveSlots(associations),
        rate: new RateLimit(requestsPerSecond),
        bytes: new RateLimit(harvestBytesPerSecond),
        breaker: new CircuitBreaker(),
        idle: [],
        address,
      };
      this.archives.set(archive.name, state);
    }
    state.slots.resize(associations);
    state.rate.resize(requestsPerSecond);
    state.bytes.resize(harvestBytesPerSecond);
    if (state.address !== address) {
      // another place: what was learnt of the old one does not hold
      state.address = address;
      state.breaker = new CircuitBreaker();
      void this.closeIdle(state);
    }
    return state;
  }

  private async associate(archive: ArchiveV1, state: Archive, options: UseOptions): Promise<ClientAssociation> {
    const at = state.idle.findIndex((idle) => idle.key === keyOf(archive, options));
    const [found] = at < 0 ? [] : state.idle.splice(at, 1);
    if (found) {
      clearTimeout(found.timer);
      return found.association;
    }
    // an idle one of another kind would count against what the archive allows
    while (state.idle.length > 0 && state.slots.inUse + state.idle.length > archive.budget.associations) {
      const oldest = state.idle.shift()!;
      clearTimeout(oldest.timer);
      await oldest.association.release().catch(() => oldest.association.abort());
    }
    const { host, port, aeTitle, tls } = archive;
    const { contexts, roles, extended, onStore, maxIdentifierBytes, signal } = options;
    return connect({
      host,
      port,
      calledAeTitle: aeTitle,
      callingAeTitle: this.core.aeTitle,
      contexts,
      roles,
      extended,
      onStore,
      maxIdentifierBytes,
      connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
      responseTimeoutMs: options.responseTimeoutMs ?? 30_000,
      signal,
      ...(tls ? { tls: { ...this.tls, servername: host } } : {}),
    });
  }

  private keep(state: Archive, key: string, association: ClientAssociation, options: UseOptions): void {
    // sub-operations are bound to their caller
    if (options.onStore || options.signal) {
      void association.release().catch(() => association.abort());
      return;
    }
    const idle: Idle = { key, association, timer: setTimeout(() => drop(), IDLE_MS) };
    const drop = (): void => {
      const at = state.idle.indexOf(idle);
      if (at < 0) return;
      state.idle.splice(at, 1);
      clearTimeout(idle.timer);
      void association.release().catch(() => association.abort());
    };
    idle.timer.unref();
    state.idle.push(idle);
    // ended by the archive while it lay idle
    void association.closed.then(drop);
  }

  private async closeIdle(state: Archive): Promise<void> {
    await Promise.all(
      state.idle.splice(0).map(async ({ association, timer }) => {
        clearTimeout(timer);
        const late = setTimeout(() => association.abort(), 500);
        await association.release().catch(() => association.abort());
        clearTimeout(late);
      }),
    );
  }

  private gauge({ name }: ArchiveV1, { slots, breaker }: Archive): void {
    this.metrics.state(name, { inUse: slots.inUse, waiting: slots.waiting, open: breaker.state !== 'closed' });
  }
}

function keyOf(archive: ArchiveV1, { contexts, roles, extended }: UseOptions): string {
  return JSON.stringify([
    archive.aeTitle,
    archive.host,
    archive.port,
    contexts,
    roles,
    extended?.map((e) => [e.sopClassUid, e.info.toString('hex')]),
  ]);
}

function limited(association: ClientAssociation, rate: RateLimit, signal: AbortSignal | undefined): ArchiveAssociation {
  async function* after<T>(begin: () => AsyncIterable<T>): AsyncGenerator<T> {
    await rate.take(1, signal);
    yield* begin();
  }
  return {
    contexts: association.contexts,
    negotiated: association.negotiated,
    echo: () => rate.take(1, signal).then(() => association.echo()),
    find: (sopClass, identifier, own) => after(() => association.find(sopClass, identifier, own)),
    get: (sopClass, identifier, own) => after(() => association.get(sopClass, identifier, own)),
    move: (sopClass, identifier, to, own) => after(() => association.move(sopClass, identifier, to, own)),
  };
}

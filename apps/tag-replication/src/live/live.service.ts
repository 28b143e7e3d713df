import { Injectable } from '@nestjs/common';
import {
  type AnswerItem,
  type ArchiveTaskResult,
  type ArchiveV1,
  type LiveFindReply,
  type LiveFindV1,
  type LiveOutcome,
} from '@archipelago/contracts';
import { classifyError, Logger } from '@archipelago/platform-service';
import { EdgeClient } from '../edge-client';
import { maybeCapped } from '../harvest/scope';
import { RegistryService } from '../registry/registry.service';
import { TagReplicationMetrics } from '../tag-replication.metrics';
import { commonKeys, idsAt, MOST_IDS, queriesFor, studyUids } from './live-query';
import { LiveRepository } from './live.repository';
import { failureOutcome, partsOutcome } from './outcome';

/** Answers of one archive to one question; beyond them it is said that there is more. */
const MOST_ANSWERS = 200;
/** What an edge needs beyond the archive's deadline, to give up and to tell of it. */
const EDGE_MS = 400;
const LOOK_MS = 25;
const LEVEL = { PATIENT: 1, STUDY: 1, SERIES: 2, IMAGE: 3 } as const;
const DEPTH = { none: 0, study: 1, series: 2, image: 3, full: 4 } as const;

interface Answered {
  outcome: LiveOutcome;
  packs: readonly string[];
}

/** The archives asked for somebody who waits. What they say goes the way of the harvest, and the catalog answers. */
@Injectable()
export class LiveService {
  /** The same question by several, or again before it is answered, is asked once. */
  private readonly flights = new Map<string, Promise<LiveFindReply>>();

  constructor(
    private readonly repository: LiveRepository,
    private readonly registry: RegistryService,
    private readonly edge: EdgeClient,
    private readonly metrics: TagReplicationMetrics,
    private readonly logger: Logger,
  ) {}

  find(request: LiveFindV1): Promise<LiveFindReply> {
    const { keys, level, principal, model, fuzzyNames, deadlineMs } = request;
    const flight = JSON.stringify([keys, level, principal.issuer, model, fuzzyNames, deadlineMs]);
    const underWay = this.flights.get(flight);
    if (underWay) return underWay;
    const asking = this.ask(request).finally(() => this.flights.delete(flight));
    this.flights.set(flight, asking);
    return asking;
  }

  private async ask(request: LiveFindV1): Promise<LiveFindReply> {
    const end = Date.now() + request.withinMs;
    const all = await this.registry.list();
    const active = all.filter((archive) => archive.state === 'active' && archive.depth !== 'none');
    const asked = await this.repository.identities(request);
    const issuers = new Set(all.map((archive) => archive.issuer ?? ''));
    const common = commonKeys(request);
    const uids = studyUids(request.keys);
    const persons = [...new Set((asked?.identities ?? []).map(({ person }) => person))];
    const outcomes = active.map(async (archive) => {
      const ids = idsAt(archive, request, asked, issuers);
      const queries = queriesFor(common, ids);
      if (queries.length === 0) return { archive: archive.name, outcome: 'answered' as const };
      const cut = asked?.more === true || (ids?.length ?? 0) > MOST_IDS;
      const answer = this.askOne(archive, queries, { uids, persons, request });
      let outcome = await this.inTime(answer, end, request.deadlineMs);
      if (outcome === 'answered' && cut) outcome = 'capped';
      if (outcome === 'answered' && (await this.isShallow(archive, uids, request.level))) outcome = 'reading';
      this.metrics.live(archive.name, outcome);
      return { archive: archive.name, outcome };
    });
    return { archives: await Promise.all(outcomes) };
  }

  /** Until the archive's deadline for its answer, and until the end for its way into the catalog. */
  private async inTime(answer: Promise<Answered>, end: number, deadlineMs: number): Promise<LiveOutcome> {
    const late = Math.min(end, Date.now() + deadlineMs + EDGE_MS);
    const answered = await within(answer, late - Date.now());
    if (answered === undefined) return 'no answer';
    while (answered.packs.length > 0 && !(await this.repository.indexed(answered.packs))) {
      if (Date.now() + LOOK_MS >= end) return answered.outcome === 'answered' ? 'late' : answered.outcome;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return answered.outcome;
  }

  /** Never throws: whatever happens is an outcome. It goes on after its deadline, so that what comes late is kept too. */
  private async askOne(
    archive: ArchiveV1,
    queries: ReturnType<typeof queriesFor>,
    about: { uids: readonly string[]; persons: readonly string[]; request: LiveFindV1 },
  ): Promise<Answered> {
    try {
      const askedAt = await this.repository.now();
      const known = await this.repository.known(archive.name, about.uids, about.persons);
      const { deadlineMs } = about.request;
      const order = { kind: 'live', queries, known, limit: MOST_ANSWERS, deadlineMs } as const;
      const result = await this.edge.run(archive, { ...order, queries: [...queries] }, this.edge.newJob());
      await this.keep(archive, result, known, askedAt);
      const outcome = partsOutcome(result.parts, queries.length);
      if (outcome !== 'answered') return { outcome, packs: result.packs };
      const cap = await this.repository.cap(archive.name);
      const cut = result.parts.some((part) => maybeCapped(part.answers, cap));
      return { outcome: cut ? 'capped' : 'answered', packs: result.packs };
    } catch (thrown) {
      const { kind, code } = classifyError(thrown);
      if (kind !== 'transient')
        this.logger.error('live query of an archive failed', { archive: archive.name, code, err: thrown });
      return { outcome: failureOutcome(code), packs: [] };
    }
  }

  private async keep(
    archive: ArchiveV1,
    { parts, packs }: ArchiveTaskResult,
    known: readonly (readonly [string, string])[],
    askedAt: Date,
  ): Promise<void> {
    const before = new Map(known);
    // two queries may have brought one study
    const fresh = new Map<string, AnswerItem>();
    for (const item of parts.flatMap((part) => part.items))
      if (before.get(item.uid) !== item.digest) fresh.set(item.uid, item);
    if (fresh.size > 0) await this.repository.keep(archive, [...fresh.values()], packs, askedAt);
  }

  /** Asked for what is below a study that is to be read so deep, and is not yet. */
  private async isShallow(archive: ArchiveV1, uids: readonly string[], level: LiveFindV1['level']): Promise<boolean> {
    const needed = Math.min(LEVEL[level], DEPTH[archive.depth]);
    return needed > 1 && uids.length > 0 && (await this.repository.shallow(archive.name, uids, needed));
  }
}

async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), Math.max(0, ms))));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

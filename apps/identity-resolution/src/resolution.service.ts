import { Inject, Injectable } from '@nestjs/common';
import { AssignmentChanged } from '@archipelago/contracts';
import { blockingKeys, type CandidateScore, type PersonRecord } from '@archipelago/identity';
import { claimInbox, outboxEvent, OutboxRelay, writeOutbox } from '@archipelago/platform-bus';
import { Logger, SITE } from '@archipelago/platform-service';
import { Database, type SqlClient } from '@archipelago/platform-storage';
import { AssertionRepository, type StoredAssertion } from './assertion.repository';
import { AssignmentRepository } from './assignment.repository';
import { identityOf, ordered } from './identity-key';
import { IdentityMetrics } from './identity.metrics';
import { ModelService } from './model.service';
import { connected, forbids, holding } from './persons';
import { RecordRepository } from './record.repository';
import { ReviewRepository } from './review.repository';

export const PATIENT_CONSUMER = 'identity-resolution-patient-updated';

interface Cause {
  eventId: string;
  trace?: string;
}

/** Decides who is who: what is certain is linked, what is doubtful queues, and nothing waits for either. */
@Injectable()
export class ResolutionService {
  constructor(
    @Inject(SITE) private readonly site: string,
    private readonly database: Database,
    private readonly assertions: AssertionRepository,
    private readonly assignments: AssignmentRepository,
    private readonly records: RecordRepository,
    private readonly reviews: ReviewRepository,
    private readonly models: ModelService,
    private readonly relay: OutboxRelay,
    private readonly metrics: IdentityMetrics,
    private readonly logger: Logger,
  ) {}

  /** A local identity is new, or what is said of it changed. Takes effect once for each event. */
  async updated(patientId: string, cause: Cause): Promise<void> {
    const matcher = await this.models.matcher();
    await this.database.withTransaction(async (client) => {
      if (!(await claimInbox(client, PATIENT_CONSUMER, cause.eventId))) return;
      const record = await this.records.ofPatient(client, patientId);
      if (!record) return;
      await this.assertions.lock(client);
      const own = matcher.normalise(record);
      const keys = blockingKeys(own);
      await this.records.keep(client, record, keys);
      const candidates = await this.records.candidates(client, record, keys);
      const others = candidates.map((candidate) => matcher.normalise(candidate));
      const about = await this.assertions.around(client, [record.key, ...candidates.map((each) => each.key)]);
      const links = holding(about).filter((one) => one.kind === 'link');
      const together = (a: number, b: number): boolean =>
        connected(links, [candidates[a]!.key]).includes(candidates[b]!.key);
      const scores = matcher.choose(own, others, together);
      const touched = await this.judge(client, record, candidates, scores, about);
      // also without a link of its own: an identity that is seen for the first time may have been linked before it was
      await this.derive(client, [record.key, ...touched], cause);
      if (await this.models.isDue(client)) await this.models.learn(client);
    });
    this.relay.nudge();
  }

  /** @returns identities whose person may be another one now */
  private async judge(
    client: SqlClient,
    record: PersonRecord,
    candidates: readonly PersonRecord[],
    scores: readonly CandidateScore[],
    before: readonly StoredAssertion[],
  ): Promise<string[]> {
    const touched: string[] = [];
    let about = [...before];
    const seen = new Set<string>();
    for (const score of scores) {
      const other = candidates[score.index]!;
      seen.add(other.key);
      const known = this.knowledge(record.key, other.key, about);
      if (score.outcome !== 'link' && known.automatic) {
        await this.takeBack(client, record.key, other.key, known.automatic, score);
        touched.push(record.key, other.key);
        about = await this.assertions.around(client, [record.key, other.key]);
        continue;
      }
      if (score.outcome === 'apart' || known.together || known.apart) continue;
      const doubt = score.outcome === 'review' ? 'score' : this.doubt(record, other, known, about);
      if (doubt !== undefined) {
        await this.review(client, record.key, other.key, score, doubt);
        continue;
      }
      await this.assertions.append(client, {
        kind: 'link',
        a: record.key,
        b: other.key,
        source: score.rule === undefined ? 'score' : 'rule',
        by: 'identity-resolution',
        reason: score.rule ?? `probability ${score.probability.toFixed(6)}`,
        evidence: score.evidence,
      });
      this.metrics.all.decisions.inc({ outcome: 'link' });
      touched.push(record.key, other.key);
      about = await this.assertions.around(client, [record.key, other.key]);
    }
    // linked by us once, and now so different that no key finds the other
    for (const link of this.automaticLinks(record.key, about)) {
      const other = link.a === record.key ? link.b! : link.a;
      if (seen.has(other)) continue;
      await this.takeBack(client, record.key, other, link);
      touched.push(record.key, other);
    }
    return touched;
  }

  private knowledge(
    one: string,
    other: string,
    about: readonly StoredAssertion[],
  ): { together: boolean; apart: boolean; automatic?: StoredAssertion; takenBack: boolean } {
    const held = holding(about);
    const pair = about.filter(({ a, b }) => (a === one && b === other) || (a === other && b === one));
    const heldIds = new Set(held.map((each) => each.id));
    return {
      together: connected(
        held.filter((each) => each.kind === 'link'),
        [one],
      ).includes(other),
      apart: pair.some((each) => each.kind === 'apart' && heldIds.has(each.id)),
      automatic: pair.find((each) => each.kind === 'link' && each.source !== 'person' && heldIds.has(each.id)),
      takenBack: pair.some((each) => each.kind === 'link' && !heldIds.has(each.id)),
    };
  }

  private automaticLinks(key: string, about: readonly StoredAssertion[]): StoredAssertion[] {
    return holding(about).filter(
      ({ kind, source, a, b }) => kind === 'link' && source !== 'person' && (a === key || b === key),
    );
  }

  /** Why a link that the score is sure of is left to a person all the same. */
  private doubt(
    record: PersonRecord,
    other: PersonRecord,
    known: { takenBack: boolean },
    about: readonly StoredAssertion[],
  ): string | undefined {
    const [one, two] = [identityOf(record.key), identityOf(other.key)];
    if (one.issuer === two.issuer) return 'two ids of one issuer';
    if (known.takenBack) return 'linked once and taken back';
    const held = holding(about);
    const links = held.filter((each) => each.kind === 'link');
    const [left, right] = [connected(links, [record.key]), connected(links, [other.key])];
    if (forbids(held, left, right)) return 'would join what was kept apart';
    const issuers = new Set(left.map((key) => identityOf(key).issuer));
    return right.some((key) => issuers.has(identityOf(key).issuer)) ? 'would join two ids of one issuer' : undefined;
  }

  private async takeBack(
    client: SqlClient,
    one: string,
    other: string,
    link: StoredAssertion,
    score?: CandidateScore,
  ): Promise<void> {
    await this.assertions.append(client, {
      kind: 'retract',
      a: link.a,
      b: link.b!,
      retracts: link.id,
      source: 'score',
      by: 'identity-resolution',
      reason: 'what is said of them no longer agrees',
      evidence: score?.evidence,
    });
    this.metrics.all.decisions.inc({ outcome: 'taken-back' });
    await this.review(client, one, other, score, 'what is said of them no longer agrees');
  }

  private async review(
    client: SqlClient,
    one: string,
    other: string,
    score: CandidateScore | undefined,
    why: string,
  ): Promise<void> {
    const [a, b] = ordered(one, other);
    const evidence = (score?.evidence.fields ?? []).map(({ field, level, bits }) => ({ field, level, bits }));
    const fresh = await this.reviews.raise(client, { a, b, probability: score?.probability ?? 0, why, evidence });
    if (fresh) this.metrics.all.decisions.inc({ outcome: 'review' });
  }

  /** Brings the assignments of all whom these identities are connected with to what the assertions say, and tells of it. */
  async derive(client: SqlClient, identities: readonly string[], cause?: Cause): Promise<void> {
    const about = await this.assertions.around(client, identities);
    const held = holding(about);
    const links = held.filter((one) => one.kind === 'link');
    const all = [...new Set([...identities, ...about.flatMap(({ a, b }) => (b === null ? [a] : [a, b]))])];
    const patients = await this.assignments.patients(client, all);
    const persons = new Map<string, string | null>();
    const personOf = new Map<string, string>();
    for (const { patient, key } of patients) {
      const members = new Set(connected(links, [key]));
      // of those whom the catalog knows, the one known for longest names the person
      const founder = patients.find((each) => members.has(each.key))!;
      persons.set(patient, members.size > 1 ? founder.own : null);
      personOf.set(key, founder.own);
    }
    const revision = await this.assignments.revision(client);
    const patientIds = await this.assignments.assign(client, persons, revision);
    const studyIds = await this.deriveStudies(client, about, patients, personOf, revision);
    if (patientIds.length + studyIds.length === 0) return;
    await writeOutbox(client, [
      outboxEvent({
        contract: AssignmentChanged,
        payload: { patientIds, studyIds, revision },
        site: this.site,
        cause: cause?.eventId,
        trace: cause?.trace,
      }),
    ]);
    this.logger.info('persons changed', { count: patientIds.length + studyIds.length });
  }

  private async deriveStudies(
    client: SqlClient,
    about: readonly StoredAssertion[],
    patients: readonly { patient: string; key: string }[],
    personOf: ReadonlyMap<string, string>,
    revision: number,
  ): Promise<string[]> {
    const held = new Set(holding(about).map((one) => one.id));
    const changed: string[] = [];
    // the last that holds decides; what was taken back frees the study
    const last = new Map<string, StoredAssertion>();
    for (const one of about) if (one.kind === 'study') last.set(`${one.a} ${one.study}`, one);
    for (const one of last.values()) {
      const rows = patients.filter(({ key }) => key === one.a).map(({ patient }) => patient);
      const person = held.has(one.id) && one.b !== null ? (personOf.get(one.b) ?? null) : null;
      changed.push(...(await this.assignments.assignStudy(client, rows, one.study!, person, revision)));
    }
    return changed;
  }
}

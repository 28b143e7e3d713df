import { Injectable } from '@nestjs/common';
import type { AssertionV1, IdentityAction, IdentityReplyV1 } from '@archipelago/contracts';
import { OutboxRelay } from '@archipelago/platform-bus';
import { PermanentError } from '@archipelago/platform-service';
import { Database, type SqlClient } from '@archipelago/platform-storage';
import { AssertionRepository, type StoredAssertion } from './assertion.repository';
import { AssignmentRepository } from './assignment.repository';
import { identityKey, identityOf } from './identity-key';
import { ModelService } from './model.service';
import { connected, holding } from './persons';
import { ResolutionService } from './resolution.service';
import { ReviewRepository } from './review.repository';

type Of<A extends IdentityAction['action']> = Extract<IdentityAction, { action: A }>;

/** What people decide and ask. */
@Injectable()
export class CommandsService {
  constructor(
    private readonly database: Database,
    private readonly assertions: AssertionRepository,
    private readonly assignments: AssignmentRepository,
    private readonly reviews: ReviewRepository,
    private readonly models: ModelService,
    private readonly resolution: ResolutionService,
    private readonly relay: OutboxRelay,
  ) {}

  async run(request: IdentityAction): Promise<IdentityReplyV1> {
    const reply = await this.database.withTransaction((client) => this.dispatch(client, request));
    this.relay.nudge();
    return reply;
  }

  private async dispatch(client: SqlClient, request: IdentityAction): Promise<IdentityReplyV1> {
    switch (request.action) {
      case 'link':
      case 'unlink':
        await this.assertions.lock(client);
        await this.pair(client, request);
        return this.show(client, request.a);
      case 'assign-study':
        await this.assertions.lock(client);
        await this.assignStudy(client, request);
        return this.show(client, request.from);
      case 'decide':
        await this.assertions.lock(client);
        return this.decide(client, request);
      case 'reviews':
        return { reviews: await this.reviews.list(client, request.state, request.after, request.limit) };
      case 'show':
        return this.show(client, request.identity, request.at === undefined ? undefined : new Date(request.at));
      case 'history':
        return { assertions: await this.history(client, identityKey(request.identity)) };
      case 'learn':
        return { records: (await this.models.learn(client)).records };
    }
  }

  /** A person's word goes before what was decided without one, and before what was said earlier. */
  private async pair(client: SqlClient, request: Of<'link'> | Of<'unlink'>): Promise<void> {
    const [a, b] = [identityKey(request.a), identityKey(request.b)];
    if (a === b) throw new PermanentError('identity-same', 'that is one identity');
    const about = await this.assertions.around(client, [a, b]);
    const links = request.action === 'link';
    const { by, reason } = request;
    for (const one of holding(about)) {
      const same = (one.a === a && one.b === b) || (one.a === b && one.b === a);
      if (!same || one.kind !== (links ? 'apart' : 'link')) continue;
      await this.assertions.append(client, {
        kind: 'retract',
        a: one.a,
        b: one.b!,
        retracts: one.id,
        source: 'person',
        by,
        reason,
      });
    }
    const kind = links ? 'link' : 'apart';
    await this.assertions.append(client, { kind, a, b, source: 'person', by, reason });
    await this.reviews.decide(client, a, b, links ? 'linked' : 'apart', by);
    if (!links) await this.mustBeApart(client, a, b);
    await this.resolution.derive(client, [a, b]);
  }

  /** Still connected over others: which of these links is wrong, only a person can say. */
  private async mustBeApart(client: SqlClient, a: string, b: string): Promise<void> {
    const links = holding(await this.assertions.around(client, [a, b])).filter((one) => one.kind === 'link');
    const members = connected(links, [a]);
    if (!members.includes(b)) return;
    const between = links
      .filter((one) => members.includes(one.a))
      .map((one) => [one.a, one.b!].map(named).join(' and '))
      .join('; ');
    throw new PermanentError('identity-connected', `still one person by other links: ${between}. Unlink one of these`);
  }

  private async assignStudy(client: SqlClient, request: Of<'assign-study'>): Promise<void> {
    const { studyInstanceUid: study, by, reason } = request;
    const from = identityKey(request.from);
    const known = await this.assignments.patients(client, [from]);
    if (known.length === 0) throw new PermanentError('identity-unknown', 'no patient has this identity');
    const before = holding(await this.assertions.around(client, [from])).filter(
      (one) => one.kind === 'study' && one.a === from && one.study === study,
    );
    for (const one of before) {
      await this.assertions.append(client, {
        kind: 'retract',
        a: from,
        ...(one.b === null ? {} : { b: one.b }),
        retracts: one.id,
        source: 'person',
        by,
        reason,
      });
    }
    const to = request.to && identityKey(request.to);
    if (to !== undefined)
      await this.assertions.append(client, { kind: 'study', a: from, b: to, study, source: 'person', by, reason });
    await this.resolution.derive(client, [from, ...(to === undefined ? [] : [to])]);
  }

  private async decide(client: SqlClient, { review, same, by, reason }: Of<'decide'>): Promise<IdentityReplyV1> {
    const row = await this.reviews.get(client, review);
    if (!row) throw new PermanentError('review-unknown', 'there is no such review');
    await this.pair(client, { action: same ? 'link' : 'unlink', a: row.a, b: row.b, by, reason });
    return this.show(client, row.a);
  }

  private async show(client: SqlClient, identity: Of<'show'>['identity'], at?: Date): Promise<IdentityReplyV1> {
    const key = identityKey(identity);
    const links = holding(await this.assertions.around(client, [key], at), at).filter((one) => one.kind === 'link');
    const members = connected(links, [key]);
    const known = await this.assignments.patients(client, members);
    const assertions = await this.history(client, key);
    return {
      ...(known[0] ? { person: known[0].own } : {}),
      identities: members.map(identityOf),
      assertions: at ? assertions.filter((one) => new Date(one.madeAt) <= at) : assertions,
    };
  }

  private async history(client: SqlClient, key: string): Promise<AssertionV1[]> {
    const about = await this.assertions.around(client, [key]);
    const held = new Set(holding(about).map((one) => one.id));
    return about.map((one) => wire(one, held.has(one.id)));
  }
}

function named(key: string): string {
  const { issuer, patientId } = identityOf(key);
  return `${patientId} of ${issuer || 'no issuer'}`;
}

function wire(one: StoredAssertion, holds: boolean): AssertionV1 {
  const { id, kind, a, b, study, retracts, madeAt, madeBy, reason } = one;
  return {
    id,
    kind,
    a: identityOf(a),
    ...(b === null ? {} : { b: identityOf(b) }),
    ...(study === null ? {} : { studyInstanceUid: study }),
    ...(retracts === null ? {} : { retracts }),
    madeAt: madeAt.toISOString(),
    madeBy,
    reason,
    holds,
  };
}

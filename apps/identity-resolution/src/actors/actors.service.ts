import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { localId } from '@archipelago/catalog-model';
import type { ActorAction, ActorAssertionV1, ActorRef, ActorReplyV1 } from '@archipelago/contracts';
import { ARCHIPELAGO_CONFIG, type ArchipelagoConfig, PermanentError } from '@archipelago/platform-service';
import { Database, type SqlClient } from '@archipelago/platform-storage';
import { connected } from '../persons';
import { ActorAssertionRepository, type NewActorAssertion } from './actor-assertion.repository';
import { actorKey, actorOf } from './actor-key';
import { type ActorAssertion, holdingActors, judgeActor } from './actor-links';
import { ActorRepository } from './actor.repository';
import { sightingsOf, type Sighting } from './sightings';

type Of<A extends ActorAction['action']> = Extract<ActorAction, { action: A }>;

const superIdOf = ({ kind, place, name }: ActorRef): string => localId('AD', [kind, place, name]);
const OWN = { source: 'rule', by: 'identity-resolution' } as const;

/** Which modalities, workstations, servers and users are one under several names (docs/adr/0027). */
@Injectable()
export class ActorsService implements OnApplicationBootstrap {
  constructor(
    @Inject(ARCHIPELAGO_CONFIG) private readonly config: ArchipelagoConfig,
    private readonly database: Database,
    private readonly actors: ActorRepository,
    private readonly assertions: ActorAssertionRepository,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const peers = this.config.peers.map<Sighting>(({ aeTitle, origin }) => ({
      kind: origin === 'acquired' ? 'modality' : 'workstation',
      place: this.config.site,
      name: `ae:${aeTitle}`,
    }));
    await this.see(() => Promise.resolve(peers));
    for (const [i, { name }] of this.config.peers.entries()) await this.configured(peers[i]!, name);
    await this.archivesChanged();
  }

  /** The name that the site file gives; a person's goes before it. All of one kind and name are one. */
  private async configured(peer: ActorRef, label: string | undefined): Promise<void> {
    const { kind, place, name } = peer;
    const key = actorKey({ kind, place, name });
    await this.database.withTransaction(async (client) => {
      await this.assertions.lock(client);
      const held = holdingActors(await this.assertions.around(client, [key])).filter((one) => one.a === key);
      const before = held.filter((one) => one.what === 'name' && one.source === 'rule');
      if (before.length === (label === undefined ? 0 : 1) && before.every((one) => one.label === label)) return;
      const by = { ...OWN, reason: 'the site file' };
      for (const one of before) await this.retract(client, one, by);
      if (label !== undefined) await this.assertions.append(client, { what: 'name', a: key, label, ...by });
      await this.derive(client, [key]);
    });
  }

  /** The registry of archives is another one now. */
  async archivesChanged(): Promise<void> {
    await this.see((client) => this.actors.archives(client));
  }

  /** Something new is said of a study. */
  async studyUpdated(studyId: string): Promise<void> {
    await this.see(async (client) => (await this.actors.seriesOf(client, studyId)).flatMap(sightingsOf));
  }

  private async see(find: (client: SqlClient) => Promise<Sighting[]>): Promise<void> {
    await this.database.withTransaction(async (client) => {
      const news: Sighting[] = [];
      // in one order everywhere: two that see the same actors do not wait for each other in a circle
      const sightings = (await find(client)).map((one) => ({ key: `${actorKey(one)} ${one.mark ?? ''}`, one }));
      sightings.sort((a, b) => (a.key < b.key ? -1 : 1));
      for (const { one } of sightings) if (await this.actors.keep(client, one)) news.push(one);
      const marked = news.filter(({ mark }) => mark !== undefined);
      if (marked.length === 0) return;
      await this.assertions.lock(client);
      for (const one of marked) await this.judge(client, one);
    });
  }

  private async judge(client: SqlClient, ref: ActorRef): Promise<void> {
    const [actor] = await this.actors.known(client, [ref]);
    if (!actor) return;
    const others = await this.actors.sharing(client, ref, actor.marks);
    const all = await this.assertions.around(client, [actor.key, ...others.map((other) => other.key)]);
    const { link, takeBack } = judgeActor(actor, others, all);
    for (const one of takeBack) await this.retract(client, one, { ...OWN, reason: 'it shows more than one device' });
    for (const [a, b] of link)
      await this.assertions.append(client, { what: 'link', a, b, ...OWN, reason: 'the same device by what it shows' });
    const touched = [...link.flat(), ...takeBack.flatMap(({ a, b }) => [a, b!])];
    if (touched.length > 0) await this.derive(client, touched);
    // those whom it stood between may be one without it
    for (const { a, b } of takeBack) await this.judge(client, actorOf(a === actor.key ? b! : a));
  }

  private retract(
    client: SqlClient,
    { id, a, b }: ActorAssertion,
    who: Pick<NewActorAssertion, 'source' | 'by' | 'reason'>,
  ): Promise<void> {
    return this.assertions.append(client, { what: 'retract', a, b, retracts: id, ...who });
  }

  /** Brings the assignments of all whom these are connected with to what the assertions say. */
  private async derive(client: SqlClient, keys: readonly string[]): Promise<void> {
    const held = holdingActors(await this.assertions.around(client, keys));
    const links = held.filter((one) => one.what === 'link');
    const done = new Set<string>();
    for (const key of keys) {
      if (done.has(key)) continue;
      const members = connected(links, [key]);
      for (const member of members) done.add(member);
      const known = await this.actors.known(client, members.map(actorOf));
      const named = nameAmong(held, members);
      const founder = actorOf(known[0]?.key ?? key);
      const refs = members.map(actorOf);
      if (members.length === 1 && !named) await this.actors.unassign(client, refs);
      else await this.actors.assign(client, refs, superIdOf(founder), named?.label ?? null);
    }
  }

  /** What people decide and ask. */
  run(request: ActorAction): Promise<ActorReplyV1> {
    return this.database.withTransaction(async (client) => {
      switch (request.action) {
        case 'list': {
          const { kind, after, limit } = request;
          return { actors: await this.actors.list(client, kind, after, limit, superIdOf) };
        }
        case 'show':
          return this.show(client, request.actor, request.at);
        case 'link':
        case 'unlink':
          return this.pair(client, request);
        case 'name':
          return this.nameIt(client, request);
      }
    });
  }

  private async pair(client: SqlClient, request: Of<'link'> | Of<'unlink'>): Promise<ActorReplyV1> {
    const [a, b] = [actorKey(request.a), actorKey(request.b)];
    if (request.a.kind !== request.b.kind) throw new PermanentError('actor-kind', 'they are not of one kind');
    if (a === b) throw new PermanentError('actor-same', 'that is one actor');
    await this.mustBeKnown(client, [request.a, request.b]);
    await this.assertions.lock(client);
    const links = request.action === 'link';
    const who = { source: 'person' as const, by: request.by, reason: request.reason };
    for (const one of holdingActors(await this.assertions.around(client, [a, b]))) {
      const same = (one.a === a && one.b === b) || (one.a === b && one.b === a);
      if (same && one.what === (links ? 'apart' : 'link')) await this.retract(client, one, who);
    }
    await this.assertions.append(client, { what: links ? 'link' : 'apart', a, b, ...who });
    if (!links) await this.mustBeApart(client, a, b);
    await this.derive(client, [a, b]);
    return this.show(client, request.a);
  }

  /** Still connected over others: which of these links is wrong, only a person can say. */
  private async mustBeApart(client: SqlClient, a: string, b: string): Promise<void> {
    const links = holdingActors(await this.assertions.around(client, [a, b])).filter((one) => one.what === 'link');
    const members = connected(links, [a]);
    if (!members.includes(b)) return;
    const named = (key: string): string => `${actorOf(key).place} ${actorOf(key).name}`;
    const between = links.filter((one) => members.includes(one.a)).map((one) => `${named(one.a)} and ${named(one.b!)}`);
    throw new PermanentError('actor-connected', `still one by other links: ${between.join('; ')}. Unlink one of these`);
  }

  private async nameIt(client: SqlClient, { actor, label, by, reason }: Of<'name'>): Promise<ActorReplyV1> {
    const key = actorKey(actor);
    await this.mustBeKnown(client, [actor]);
    await this.assertions.lock(client);
    const who = { source: 'person' as const, by, reason };
    const held = holdingActors(await this.assertions.around(client, [key]));
    const members = connected(
      held.filter((one) => one.what === 'link'),
      [key],
    );
    for (const one of held)
      if (one.what === 'name' && one.source === 'person' && members.includes(one.a))
        await this.retract(client, one, who);
    if (label !== undefined) await this.assertions.append(client, { what: 'name', a: key, label, ...who });
    await this.derive(client, [key]);
    return this.show(client, actor);
  }

  private async mustBeKnown(client: SqlClient, actors: readonly ActorRef[]): Promise<void> {
    const known = new Set((await this.actors.known(client, actors)).map((one) => one.key));
    const missing = actors.find((actor) => !known.has(actorKey(actor)));
    if (missing) throw new PermanentError('actor-unknown', `${missing.place} has no ${missing.kind} ${missing.name}`);
  }

  private async show(client: SqlClient, actor: ActorRef, at?: string): Promise<ActorReplyV1> {
    const key = actorKey(actor);
    const until = at === undefined ? undefined : new Date(at);
    const all = (await this.assertions.around(client, [key])).filter((one) => !until || one.madeAt <= until);
    const held = holdingActors(all, until);
    const members = connected(
      held.filter((one) => one.what === 'link'),
      [key],
    );
    const actors = await this.actors.among(client, members.map(actorOf), superIdOf);
    const named = nameAmong(held, members);
    const founder = actors[0] ?? actor;
    const ids = new Set(held.map((one) => one.id));
    return {
      identity: named?.label ?? superIdOf(founder),
      actors,
      assertions: all.map((one) => wire(one, ids.has(one.id))),
    };
  }
}

/** A person's word goes before the site file's, the later before the earlier. */
function nameAmong(held: readonly ActorAssertion[], members: readonly string[]): ActorAssertion | undefined {
  const names = held.filter((one) => one.what === 'name' && members.includes(one.a));
  return names.filter((one) => one.source === 'person').at(-1) ?? names.at(-1);
}

function wire(one: ActorAssertion, holds: boolean): ActorAssertionV1 {
  const { id, what, a, b, label, retracts, madeAt, madeBy, reason } = one;
  return {
    ...{ id, what, a: actorOf(a), madeAt: madeAt.toISOString(), madeBy, reason, holds },
    ...(b === null ? {} : { b: actorOf(b) }),
    ...(label === null ? {} : { label }),
    ...(retracts === null ? {} : { retracts }),
  };
}

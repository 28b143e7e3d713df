/** Which actors are one by what is seen of them. Pure. */
import { connected, forbids } from '../persons';

export interface KnownActor {
  key: string;
  marks: readonly string[];
}
export interface ActorAssertion {
  id: string;
  what: 'link' | 'apart' | 'name' | 'retract';
  a: string;
  b: string | null;
  label: string | null;
  retracts: string | null;
  source: 'person' | 'rule';
  madeAt: Date;
  madeBy: string;
  reason: string;
}

/** Assertions made until then that nothing made until then takes back. */
export function holdingActors(all: readonly ActorAssertion[], at?: Date): ActorAssertion[] {
  const made = at ? all.filter((one) => one.madeAt <= at) : all;
  const retracted = new Set(made.flatMap((one) => one.retracts ?? []));
  return made.filter((one) => one.what !== 'retract' && !retracted.has(one.id));
}

/**
 * What one device shows decides: an actor with one mark is it. With several it is a gateway that sends for many, or a station
 * name that many have: then it is nobody in particular.
 */
export function identifiedBy({ marks }: KnownActor): string | undefined {
  return marks.length === 1 ? marks[0] : undefined;
}

export interface Judgement {
  link: [string, string][];
  takeBack: ActorAssertion[];
}

/** What of `actor` is to be linked and taken back, given others with one of its marks and what is asserted about them all. */
export function judgeActor(
  actor: KnownActor,
  others: readonly KnownActor[],
  all: readonly ActorAssertion[],
): Judgement {
  const held = holdingActors(all);
  const own = identifiedBy(actor);
  const same = own === undefined ? [] : others.filter((other) => identifiedBy(other) === own);
  const takeBack = held.filter(
    (one) =>
      one.what === 'link' &&
      one.source === 'rule' &&
      (one.a === actor.key || one.b === actor.key) &&
      !same.some((other) => other.key === one.a || other.key === one.b),
  );
  const pairs = (kept: readonly { what: string; a: string; b: string | null }[]) =>
    kept.map(({ what, a, b }) => ({ kind: what === 'apart' ? ('apart' as const) : ('link' as const), a, b }));
  const about = pairs(held.filter((one) => !takeBack.includes(one) && one.what !== 'name'));
  const links = about.filter((one) => one.kind === 'link');
  const link: [string, string][] = [];
  for (const other of same) {
    const left = connected(links, [actor.key]);
    const right = connected(links, [other.key]);
    if (left.includes(other.key) || forbids(about, left, right)) continue;
    link.push([actor.key, other.key]);
    links.push({ kind: 'link', a: actor.key, b: other.key });
  }
  return { link, takeBack };
}

import type { ActorKind, ActorRef } from '@archipelago/contracts';

/** An actor as one text: for maps, never for people. */
export function actorKey({ kind, place, name }: ActorRef): string {
  return JSON.stringify([kind, place, name]);
}

export function actorOf(key: string): ActorRef {
  const [kind, place, name] = JSON.parse(key) as [ActorKind, string, string];
  return { kind, place, name };
}

/**
 * From assertions to persons: who belongs together is what the links that hold connect. Pure.
 */
export interface Assertion {
  id: string;
  kind: 'link' | 'apart' | 'study' | 'retract';
  /** Keys of local identities (`identityKey`). */
  a: string;
  b: string | null;
  study: string | null;
  retracts: string | null;
  source: 'person' | 'rule' | 'score';
  madeAt: Date;
}

/** Assertions made until then that nothing made until then takes back. */
export function holding<T extends Assertion>(assertions: readonly T[], at?: Date): T[] {
  const made = at ? assertions.filter((one) => one.madeAt <= at) : assertions;
  const retracted = new Set(made.flatMap((one) => one.retracts ?? []));
  return made.filter((one) => one.kind !== 'retract' && !retracted.has(one.id));
}

/** All that the links connect with one of `of`, in the order in which they are reached. */
export function connected(links: readonly Pick<Assertion, 'a' | 'b'>[], of: readonly string[]): string[] {
  const next = new Map<string, string[]>();
  for (const { a, b } of links) {
    if (b === null) continue;
    next.set(a, [...(next.get(a) ?? []), b]);
    next.set(b, [...(next.get(b) ?? []), a]);
  }
  const reached = new Set(of);
  // a Set is walked in the order of insertion, what is added meanwhile included
  for (const one of reached) for (const other of next.get(one) ?? []) reached.add(other);
  return [...reached];
}

/** Whether a link of the two would bring together some whom an assertion keeps apart. */
export function forbids(
  held: readonly Pick<Assertion, 'kind' | 'a' | 'b'>[],
  left: readonly string[],
  right: readonly string[],
): boolean {
  const [l, r] = [new Set(left), new Set(right)];
  return held.some(
    ({ kind, a, b }) => kind === 'apart' && b !== null && ((l.has(a) && r.has(b)) || (l.has(b) && r.has(a))),
  );
}

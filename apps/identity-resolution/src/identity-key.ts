import type { IdentityRef } from '@archipelago/contracts';

/** A local identity as one text: for maps, never for people. */
export function identityKey({ issuer, patientId, scope }: IdentityRef): string {
  return JSON.stringify([issuer, patientId, scope]);
}

export function identityOf(key: string): IdentityRef {
  const [issuer, patientId, scope] = JSON.parse(key) as [string, string, string];
  return { issuer, patientId, scope };
}

/** Of two, the one that stands first in a pair: each pair has one row. */
export function ordered(a: string, b: string): [string, string] {
  return a < b ? [a, b] : [b, a];
}

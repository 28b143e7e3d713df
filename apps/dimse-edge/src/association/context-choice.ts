/** Which presentation contexts and transfer syntaxes are accepted (PS3.8 9.3.3.2, PS3.5 10). */
import {
  DEFLATED_EXPLICIT_VR_LE,
  EXPLICIT_VR_BE,
  EXPLICIT_VR_LE,
  IMPLICIT_VR_LE,
  VERIFICATION_SOP_CLASS,
} from '@archipelago/dicom-core';
import type { ContextResult, ProposedContext, RoleSelection } from '@archipelago/dimse';
import { queryClass } from './query-classes';

/** Identifiers travel in these only. */
export const QUERY_SYNTAXES: readonly string[] = [
  EXPLICIT_VR_LE,
  IMPLICIT_VR_LE,
  EXPLICIT_VR_BE,
  DEFLATED_EXPLICIT_VR_LE,
];

/** What this edge can store and send; built from the registry of `libs/dicom/core` and from configuration. */
export interface Capabilities {
  isStorage(sopClassUid: string): boolean;
  /** Transfer syntaxes that can be stored: all of the standard (retired ones too) that carry datasets. */
  isKnownSyntax(uid: string): boolean;
  /** Transfer syntaxes that every stored object can be sent in: the uncompressed. Lossless codings have bounds (16 bit, …). */
  canAlwaysSendIn(uid: string): boolean;
  /** False: nothing but storage and verification on this association. Default true. */
  answersQueries?: boolean;
}

/**
 * - Storage: the first known syntax in the proposer's order, so that a sender keeps its own form.
 * - Storage with the requestor as receiver (C-GET): the first of its syntaxes into which every object can be
 *   turned, else the first known: a context has one syntax and must take every instance of its class. A receiver that
 *   wants objects in the syntax they are stored in proposes a context for each.
 * - Query/retrieve and verification: the first of the uncompressed ones.
 */
export function chooseContexts(
  proposed: readonly ProposedContext[],
  roles: readonly RoleSelection[],
  can: Capabilities,
): ContextResult[] {
  const receivers = new Set(roles.filter((r) => r.scpRole).map((r) => r.sopClassUid));
  return proposed.map((context) => chooseContext(context, receivers.has(context.abstractSyntax), can));
}

function chooseContext(context: ProposedContext, receives: boolean, can: Capabilities): ContextResult {
  const { id, abstractSyntax, transferSyntaxes } = context;
  const none = transferSyntaxes[0] ?? IMPLICIT_VR_LE;
  const storage = can.isStorage(abstractSyntax);
  const query = can.answersQueries !== false && queryClass(abstractSyntax) !== undefined;
  if (!storage && abstractSyntax !== VERIFICATION_SOP_CLASS && !query) {
    return { id, result: 3, transferSyntax: none };
  }
  const chosen = storage
    ? chooseStorageSyntax(transferSyntaxes, receives, can)
    : transferSyntaxes.find((uid) => QUERY_SYNTAXES.includes(uid));
  return chosen ? { id, result: 0, transferSyntax: chosen } : { id, result: 4, transferSyntax: none };
}

function chooseStorageSyntax(offered: readonly string[], receives: boolean, can: Capabilities): string | undefined {
  const known = offered.filter((uid) => can.isKnownSyntax(uid));
  return (receives ? known.find((uid) => can.canAlwaysSendIn(uid)) : undefined) ?? known[0];
}

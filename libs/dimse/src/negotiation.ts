/** What both sides agree on when an association is made (PS3.8 9.3.2-9.3.3, PS3.7 annex D.3). */
import type { AcceptedContext, AssociateDecision, ContextResult, ProposedContext, RoleSelection } from './api';
import { aeTitleProblem } from './pdu/ae-title';
import type { AssociateAcPdu, AssociateRqPdu } from './pdu/types';
import { REJECTION, type Rejection } from './reasons';
import { UID } from './uids';

type Acceptance = Extract<AssociateDecision, { accept: true }>;

/** Smaller maximum lengths would have us send a header of 12 bytes for a handful of data. */
const SMALLEST_PDU = 64;

/** Why the upper layer itself refuses, before the application is asked. */
export function refusalOf(request: AssociateRqPdu): Rejection | undefined {
  if (request.applicationContext !== UID.applicationContext) return REJECTION.applicationContextNotSupported;
  if (aeTitleProblem(request.callingAeTitle)) return REJECTION.callingAeNotRecognized;
  if (aeTitleProblem(request.calledAeTitle)) return REJECTION.calledAeNotRecognized;
  if (request.user.maxPduLength > 0 && request.user.maxPduLength < SMALLEST_PDU) return REJECTION.noReason;
  return undefined;
}

/** One result per proposed context: what the application left out, or got wrong, is not accepted. */
export function completeResults(proposed: ProposedContext[], decided: ContextResult[]): ContextResult[] {
  return proposed.map(({ id, transferSyntaxes }) => {
    const found = decided.find((result) => result.id === id);
    // Not significant when refused (PS3.8 table 9-18), but some peers want to see one that they proposed.
    const transferSyntax = transferSyntaxes[0] ?? UID.implicitVrLittleEndian;
    if (!found) return { id, result: 3, transferSyntax };
    if (found.result !== 0) return { id, result: found.result, transferSyntax };
    if (!transferSyntaxes.includes(found.transferSyntax)) return { id, result: 4, transferSyntax };
    return { id, result: 0, transferSyntax: found.transferSyntax };
  });
}

/** A role is granted where it was proposed and the application agrees (PS3.7 D.3.3.4.2). */
export function grantedRoles(proposed: RoleSelection[], decided: RoleSelection[] = []): RoleSelection[] {
  const granted: RoleSelection[] = [];
  for (const role of decided) {
    const asked = proposed.find((candidate) => candidate.sopClassUid === role.sopClassUid);
    if (!asked) continue;
    const { sopClassUid } = role;
    granted.push({ sopClassUid, scuRole: role.scuRole && asked.scuRole, scpRole: role.scpRole && asked.scpRole });
  }
  return granted;
}

/** Without role selection the requestor is SCU and nothing else. */
export function acceptedContexts(
  proposed: ProposedContext[],
  results: ContextResult[],
  roles: RoleSelection[],
): AcceptedContext[] {
  const accepted: AcceptedContext[] = [];
  for (const { id, result, transferSyntax } of results) {
    const context = proposed.find((candidate) => candidate.id === id);
    if (result !== 0 || !context) continue;
    const { abstractSyntax } = context;
    const role = roles.find((candidate) => candidate.sopClassUid === abstractSyntax);
    const { scuRole, scpRole } = role ?? { scuRole: true, scpRole: false };
    accepted.push({ id, abstractSyntax, transferSyntax, scuRole, scpRole });
  }
  return accepted;
}

/** PS3.7 D.3.3.3: the acceptor may lower what was proposed; 0 means no limit. Nothing proposed: one at a time. */
export function agreedWindow(
  proposed: AssociateRqPdu['user']['asyncOps'],
  wish: { invoked: number; performed: number } = { invoked: 1, performed: 1 },
): { invoked: number; performed: number } | undefined {
  if (!proposed) return undefined;
  const least = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b));
  return { invoked: least(proposed.invoked, wish.invoked), performed: least(proposed.performed, wish.performed) };
}

/** Operations of ours at a time, bounded where the peer names no limit. */
export function windowSize(agreed: number | undefined): number {
  if (agreed === undefined) return 1;
  return agreed === 0 ? 64 : Math.min(agreed, 64);
}

export interface AcceptOptions {
  maxPduLength: number;
  implementationClassUid: string;
  implementationVersionName: string;
}

/** The A-ASSOCIATE-AC for the application's decision. */
export function buildAccept(request: AssociateRqPdu, decision: Acceptance, own: AcceptOptions): AssociateAcPdu {
  return {
    protocolVersion: 1,
    calledAeTitle: request.calledAeTitle,
    callingAeTitle: request.callingAeTitle,
    titleBytes: request.titleBytes,
    applicationContext: UID.applicationContext,
    contexts: completeResults(request.contexts, decision.contexts),
    user: {
      maxPduLength: own.maxPduLength,
      implementationClassUid: own.implementationClassUid,
      implementationVersionName: own.implementationVersionName,
      asyncOps: agreedWindow(request.user.asyncOps, decision.asyncOps),
      roles: grantedRoles(request.user.roles, decision.roles),
      extended: decision.extended ?? [],
      commonExtended: [],
      userIdentityResponse: request.user.userIdentity?.responseRequested ? decision.userIdentityResponse : undefined,
    },
  };
}

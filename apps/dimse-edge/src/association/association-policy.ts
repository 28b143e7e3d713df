/** Decides about every association request (PS3.8 9.3.4, 7.1.1): pure, so that each rule can be tested by itself. */
import type { ArchiveV1 } from '@archipelago/contracts';
import type { AssociateDecision, AssociateRequest } from '@archipelago/dimse';
import { type Capabilities, chooseContexts } from './context-choice';
import { answerExtended, answerRoles } from './extended-negotiation';
import { type Peer, type PeerTable, sameAeTitle } from './peers';

export type RefusalReason = 'called-ae' | 'calling-ae' | 'too-many' | 'application-context';

/** PS3.8 table 9-21: (result, source, reason). */
export const REFUSALS: Readonly<
  Record<RefusalReason, { result: 1 | 2; source: 1 | 2 | 3; reason: number; text: string }>
> = {
  'application-context': { result: 1, source: 1, reason: 2, text: 'application context name not supported' },
  'called-ae': { result: 1, source: 1, reason: 7, text: 'called AE title not recognised' },
  'calling-ae': { result: 1, source: 1, reason: 3, text: 'calling AE title not recognised' },
  'too-many': { result: 2, source: 3, reason: 2, text: 'local limit exceeded' },
};

export const APPLICATION_CONTEXT = '1.2.840.10008.3.1.1.1';

/**
 * What we answer to. An AE title with a view (obscured, de-identified) is left out while views do not exist: whoever
 * calls it must never be shown more than it stands for.
 */
export function ownAeTitles(first: string, further: readonly { aeTitle: string; view?: string }[]): string[] {
  const hidden = new Set(further.filter((ae) => ae.view !== undefined).map((ae) => ae.aeTitle));
  return [first, ...further.map((ae) => ae.aeTitle)].filter((aeTitle) => !hidden.has(aeTitle));
}

export interface AssociationRules {
  /** AE titles that we answer to. */
  ownAeTitles: readonly string[];
  peers: PeerTable;
  acceptUnknownPeers: boolean;
  capabilities: Capabilities;
  limits: AssociationLimits;
}

/**
 * For an archive that calls on its fetch AE title: it may send what it was asked for (C-STORE, C-ECHO), and nothing else.
 */
export function fetchRules(rules: AssociationRules, archive: ArchiveV1): AssociationRules {
  return {
    ...rules,
    ownAeTitles: [archive.fetchAeTitle],
    acceptUnknownPeers: true,
    capabilities: { ...rules.capabilities, answersQueries: false },
    limits: { ...rules.limits, unknownPeers: Number.MAX_SAFE_INTEGER },
  };
}

export interface AssociationLimits {
  /** Associations of one caller (AE title and address) at a time; a peer's own setting wins. */
  perPeer: number;
  /** Associations of all unknown callers together: known peers always find room. */
  unknownPeers: number;
  idleTimeoutMs: number;
}

/** Associations open now. */
export interface OpenAssociations {
  ofCaller(key: string): number;
  ofUnknown(): number;
}

export type PolicyDecision =
  | { accepted: false; why: RefusalReason; decision: AssociateDecision }
  | { accepted: true; peer?: Peer; callerKey: string; decision: AssociateDecision };

export function decideAssociation(
  request: AssociateRequest,
  rules: AssociationRules,
  open: OpenAssociations,
): PolicyDecision {
  if (request.applicationContext !== APPLICATION_CONTEXT) return refuse('application-context');
  if (!rules.ownAeTitles.some((own) => sameAeTitle(own, request.calledAeTitle))) return refuse('called-ae');
  const peer = rules.peers.caller({
    callingAeTitle: request.callingAeTitle,
    remoteAddress: request.remoteAddress,
    fingerprint256: request.tls?.fingerprint256,
  });
  if (!peer && !rules.acceptUnknownPeers) return refuse('calling-ae');
  const callerKey = `${request.callingAeTitle.trim()}@${request.remoteAddress}`;
  const most = peer?.maxAssociations ?? rules.limits.perPeer;
  if (open.ofCaller(callerKey) >= most) return refuse('too-many');
  if (!peer && open.ofUnknown() >= rules.limits.unknownPeers) return refuse('too-many');
  return { accepted: true, peer, callerKey, decision: accept(request, peer, rules) };
}

function refuse(why: RefusalReason): PolicyDecision {
  const { result, source, reason } = REFUSALS[why];
  return { accepted: false, why, decision: { accept: false, result, source, reason } };
}

function accept(request: AssociateRequest, peer: Peer | undefined, rules: AssociationRules): AssociateDecision {
  const isStorage = (uid: string): boolean => rules.capabilities.isStorage(uid);
  const roles = answerRoles(request.roles, isStorage);
  return {
    accept: true,
    contexts: chooseContexts(request.contexts, roles, rules.capabilities),
    roles,
    extended: answerExtended(request.extended, isStorage),
    idleTimeoutMs: peer?.idleSeconds !== undefined ? peer.idleSeconds * 1000 : rules.limits.idleTimeoutMs,
  };
}

import type { ArchiveV1, Principal } from '@archipelago/contracts';
import type { AssociationInfo } from '@archipelago/dimse';
import type { SegmentLane } from '../segments/segment-lane';
import type { Peer } from './peers';

/** What the edge keeps of an open association. */
export interface AssociationState {
  peer?: Peer;
  callerKey: string;
  callingAeTitle: string;
  calledAeTitle: string;
  /** Issuer that an unqualified PatientID of this caller means: its own, else the site's. */
  homeIssuer?: string;
  /** The archive that calls, on its fetch AE title: what it sends is fetched, and it may do nothing else. */
  archive?: ArchiveV1;
  /** Made by the first C-STORE. */
  lane?: SegmentLane;
}

export function associationState(info: AssociationInfo): AssociationState {
  return info.data as AssociationState;
}

export function principalOf(info: AssociationInfo, site: string): Principal {
  const { homeIssuer, callingAeTitle, peer } = associationState(info);
  return {
    // as it is configured: spaces around a title do not make another peer, to rules neither
    ...{ kind: 'peer', site, name: peer?.aeTitle ?? callingAeTitle.trim() },
    ...(peer?.name !== undefined ? { workstation: peer.name } : {}),
    ...(homeIssuer !== undefined ? { issuer: homeIssuer } : {}),
  };
}

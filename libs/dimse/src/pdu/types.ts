/** Decoded PDUs of PS3.8 section 9.3 and the user information sub-items of PS3.7 annex D.3. */
import type {
  CommonExtendedNegotiation,
  ContextResult,
  ExtendedNegotiation,
  ProposedContext,
  RoleSelection,
  UserIdentity,
} from '../api';

export const PDU = {
  associateRq: 0x01,
  associateAc: 0x02,
  associateRj: 0x03,
  pData: 0x04,
  releaseRq: 0x05,
  releaseRp: 0x06,
  abort: 0x07,
} as const;

export interface UserInformation {
  /** 0: no limit, also when the item is missing. */
  maxPduLength: number;
  implementationClassUid: string;
  implementationVersionName: string;
  asyncOps?: { invoked: number; performed: number };
  roles: RoleSelection[];
  extended: ExtendedNegotiation[];
  commonExtended: CommonExtendedNegotiation[];
  userIdentity?: UserIdentity;
  /** In an A-ASSOCIATE-AC only. */
  userIdentityResponse?: Buffer;
}

export interface AssociateBase {
  protocolVersion: number;
  /** Without padding; check with aeTitleProblem() before use. */
  calledAeTitle: string;
  callingAeTitle: string;
  applicationContext: string;
  user: UserInformation;
}
export interface AssociateRqPdu extends AssociateBase {
  contexts: ProposedContext[];
  /** The 32 bytes of both titles as received: an A-ASSOCIATE-AC repeats them (PS3.8 table 9-17). */
  titleBytes?: Buffer;
}
export interface AssociateAcPdu extends AssociateBase {
  contexts: ContextResult[];
  titleBytes?: Buffer;
}

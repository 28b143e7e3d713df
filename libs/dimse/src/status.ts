/** Status codes of PS3.7 annex C and of the storage and query/retrieve services (PS3.4 annexes B and C). */
export const Status = {
  Success: 0x0000,
  Cancel: 0xfe00,
  Pending: 0xff00,
  /** C-FIND: one or more optional keys were not supported. */
  PendingWithoutOptionalKeys: 0xff01,

  AttributeListError: 0x0107,
  ProcessingFailure: 0x0110,
  DuplicateSopInstance: 0x0111,
  NoSuchObjectInstance: 0x0112,
  NoSuchEventType: 0x0113,
  NoSuchArgument: 0x0114,
  InvalidArgumentValue: 0x0115,
  AttributeValueOutOfRange: 0x0116,
  InvalidObjectInstance: 0x0117,
  NoSuchSopClass: 0x0118,
  ClassInstanceConflict: 0x0119,
  MissingAttribute: 0x0120,
  MissingAttributeValue: 0x0121,
  SopClassNotSupported: 0x0122,
  NoSuchActionType: 0x0123,
  NotAuthorized: 0x0124,
  DuplicateInvocation: 0x0210,
  UnrecognizedOperation: 0x0211,
  MistypedArgument: 0x0212,
  ResourceLimitation: 0x0213,

  OutOfResources: 0xa700,
  OutOfResourcesMatches: 0xa701,
  OutOfResourcesSubOperations: 0xa702,
  MoveDestinationUnknown: 0xa801,
  DataSetDoesNotMatchSopClass: 0xa900,
  CannotUnderstand: 0xc000,
  UnableToProcess: 0xc000,

  /** C-STORE warnings (PS3.4 table B.2-1). */
  CoercionOfDataElements: 0xb000,
  DataSetDoesNotMatchSopClassWarning: 0xb007,
  ElementsDiscarded: 0xb006,
  /** C-MOVE and C-GET: one or more sub-operations failed or warned. */
  SubOperationsCompleteWithFailures: 0xb000,
} as const;

export type StatusKind = 'success' | 'pending' | 'cancel' | 'warning' | 'failure';

/** PS3.7 annex C: the class of a status. */
export function statusKind(status: number): StatusKind {
  if (status === 0) return 'success';
  if (status === 0xff00 || status === 0xff01) return 'pending';
  if (status === 0xfe00) return 'cancel';
  if (status === 0x0001 || status === 0x0107 || status === 0x0116 || status >> 12 === 0xb) return 'warning';
  return 'failure';
}

/** Reasons of A-ASSOCIATE-RJ (PS3.8 table 9-21) and A-ABORT (PS3.8 table 9-26). */

export const ABORT_SOURCE = { user: 0, provider: 2 } as const;
export const ABORT_REASON = {
  notSpecified: 0,
  unrecognizedPdu: 1,
  unexpectedPdu: 2,
  unrecognizedParameter: 4,
  unexpectedParameter: 5,
  invalidParameter: 6,
} as const;

export interface Rejection {
  result: 1 | 2;
  source: 1 | 2 | 3;
  reason: number;
}
/** Every rejection that the standard names. */
export const REJECTION = {
  noReason: { result: 1, source: 1, reason: 1 },
  applicationContextNotSupported: { result: 1, source: 1, reason: 2 },
  callingAeNotRecognized: { result: 1, source: 1, reason: 3 },
  calledAeNotRecognized: { result: 1, source: 1, reason: 7 },
  acseNoReason: { result: 1, source: 2, reason: 1 },
  protocolVersionNotSupported: { result: 1, source: 2, reason: 2 },
  temporaryCongestion: { result: 2, source: 3, reason: 1 },
  localLimitExceeded: { result: 2, source: 3, reason: 2 },
  transientNoReason: { result: 2, source: 1, reason: 1 },
} as const satisfies Record<string, Rejection>;

const USER = new Map([
  [1, 'no reason given'],
  [2, 'application context name not supported'],
  [3, 'calling AE title not recognized'],
  [7, 'called AE title not recognized'],
]);
const ACSE = new Map([
  [1, 'no reason given'],
  [2, 'protocol version not supported'],
]);
const PRESENTATION = new Map([
  [1, 'temporary congestion'],
  [2, 'local limit exceeded'],
]);
const ABORT = new Map([
  [0, 'reason not specified'],
  [1, 'unrecognized PDU'],
  [2, 'unexpected PDU'],
  [4, 'unrecognized PDU parameter'],
  [5, 'unexpected PDU parameter'],
  [6, 'invalid PDU parameter value'],
]);

/** A line for people, for example "permanent, called AE title not recognized (source 1, reason 7)". */
export function describeRejection(result: number, source: number, reason: number): string {
  const table = source === 1 ? USER : source === 2 ? ACSE : PRESENTATION;
  const kind = result === 2 ? 'transient' : 'permanent';
  return `${kind}, ${table.get(reason) ?? 'unknown reason'} (source ${source}, reason ${reason})`;
}

export function describeAbort(source: number, reason: number): string {
  return source === ABORT_SOURCE.provider
    ? `by the service provider, ${ABORT.get(reason) ?? `reason ${reason}`}`
    : 'by the service user';
}

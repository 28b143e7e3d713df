/**
 * Errors of the upper layer and the DIMSE services. `transient` tells a caller whether the same request may succeed
 * later without anyone changing anything.
 */
import { describeAbort, describeRejection } from './reasons';

export abstract class DimseError extends Error {
  abstract readonly transient: boolean;
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A-ASSOCIATE-RJ (PS3.8 9.3.4): result 1 permanent, 2 transient. */
export class AssociationRejectedError extends DimseError {
  readonly transient: boolean;
  constructor(
    readonly result: number,
    readonly source: number,
    readonly reason: number,
  ) {
    super(`association rejected: ${describeRejection(result, source, reason)}`);
    this.transient = result === 2;
  }
}

/** A-ABORT or A-P-ABORT (PS3.8 9.3.8): source 0 user, 2 provider. */
export class AssociationAbortedError extends DimseError {
  readonly transient = true;
  constructor(
    readonly source: number,
    readonly reason: number,
    detail?: string,
  ) {
    super(`association aborted: ${detail ?? describeAbort(source, reason)}`);
  }
}

/** The transport could not be opened, or was lost. `code` is the system's or TLS's code where there is one. */
export class ConnectionError extends DimseError {
  readonly transient: boolean;
  readonly code: string | undefined;
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.code = (cause as NodeJS.ErrnoException | undefined)?.code;
    // A certificate that does not verify stays that way until someone acts; a refused connection may open again.
    this.transient = !/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(this.code ?? '');
  }
}

/** Connecting, an answer, or the taking of our data took longer than allowed. */
export class TimeoutError extends DimseError {
  readonly transient = true;
}

/** The caller asked for something that the association or the protocol does not allow: not transient, a mistake. */
export class UsageError extends DimseError {
  readonly transient = false;
}

/** What the peer sent breaks PS3.7 or PS3.8; `abortReason` is the reason of the A-ABORT (PS3.8 table 9-26). */
export class ProtocolError extends DimseError {
  readonly transient = false;
  constructor(
    message: string,
    readonly abortReason: number,
  ) {
    super(message);
  }
}

import type { DimseStatus } from '../api';
import { DimseError } from '../errors';
import { Status } from '../status';

/**
 * Thrown by a handler or a sink to choose the status of the response, for example out of resources (A700) in the
 * middle of a data set: the rest of it is drained, then this status is sent.
 */
export class StatusError extends DimseError {
  readonly transient: boolean;
  constructor(readonly status: DimseStatus) {
    super(`DIMSE status 0x${status.status.toString(16).padStart(4, '0')}`);
    this.transient = status.status >> 8 === 0xa7 || status.status === Status.ResourceLimitation;
  }
}

/** The status for what a handler threw; unknown errors say nothing about the inside. */
export function statusOf(error: unknown, fallback: number): DimseStatus {
  if (error instanceof StatusError) return error.status;
  return { status: fallback, errorComment: 'The service failed internally' };
}

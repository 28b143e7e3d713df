/** Why an archive could not be asked. The classes follow `libs/platform/service` (kind, code), the codes are for people. */
import { AssociationAbortedError, AssociationRejectedError, DimseError, TimeoutError } from '@archipelago/dimse';
import { TransientError } from '@archipelago/platform-service';

export type ArchiveFailureCode =
  | 'archive-open'
  | 'archive-busy'
  | 'archive-paused'
  | 'archive-refused'
  | 'archive-unreachable'
  | 'archive-aborted'
  | 'archive-timeout'
  | 'archive-protocol';

/** The archive cannot be asked now, or failed while it was asked. Never holds more of the peer's words than its codes. */
export class ArchiveUnavailableError extends TransientError {
  constructor(code: ArchiveFailureCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
  }
}

/** An error of the association or below as one of the archive; others (our own mistakes) stay what they are. */
export function archiveFailure(error: unknown): ArchiveUnavailableError | undefined {
  if (error instanceof ArchiveUnavailableError) return error;
  if (!(error instanceof DimseError) || error.name === 'UsageError') return undefined;
  const options = { cause: error };
  if (error instanceof AssociationRejectedError)
    return new ArchiveUnavailableError('archive-refused', error.message, options);
  if (error instanceof TimeoutError)
    return new ArchiveUnavailableError('archive-timeout', 'the archive did not answer in time', options);
  if (error instanceof AssociationAbortedError)
    return new ArchiveUnavailableError('archive-aborted', error.message, options);
  if (error.name === 'ConnectionError')
    return new ArchiveUnavailableError('archive-unreachable', 'the archive cannot be reached', options);
  return new ArchiveUnavailableError('archive-protocol', 'the archive does not keep to the protocol', options);
}

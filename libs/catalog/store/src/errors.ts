import { PermanentError, TransientError } from '@archipelago/platform-service';

/** The query took longer than it may; the requester gets a failure status, never an empty success. */
export class QueryTimeoutError extends TransientError {
  constructor(cause?: unknown) {
    super('query-timeout', 'the catalog did not answer in time', { cause });
  }
}

/** A cursor that this catalog did not make, or that belongs to another query. */
export class InvalidCursorError extends PermanentError {
  constructor() {
    super('invalid-cursor', 'the cursor does not belong to this query');
  }
}

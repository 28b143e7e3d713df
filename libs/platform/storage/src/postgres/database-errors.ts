import {
  ArchipelagoError,
  BugError,
  classifyError,
  errorCode,
  PermanentError,
  TransientError,
} from '@archipelago/platform-service';

/** SQLSTATE classes (PostgreSQL documentation, appendix A) of failures that pass by themselves. */
const TRANSIENT_CLASSES = new Set(['08', '53', '57', '58']);
/** Serialization failure, deadlock, lock not available: the transaction as a whole may be tried again. */
export const RETRY_STATES = new Set(['40001', '40P01', '55P03']);

/** What `pg` says when a connection is lost or cannot be had; it gives these no code. */
const CONNECTION_MESSAGES =
  /Connection terminated|connection error and is not queryable|timeout exceeded when trying to connect|Client was closed|Query read timeout|pool after calling end|server closed the connection|ECONN/i;

/** SQLSTATE of a driver error, also of one that TypeORM wrapped. */
export function sqlState(error: unknown): string | undefined {
  const inner = (error as { driverError?: unknown } | null)?.driverError ?? error;
  const code = errorCode(inner);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** True when the connection that the error came over must not be used again. */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return state.startsWith('08') || state.startsWith('57P');
  const message = error instanceof Error ? error.message : '';
  return CONNECTION_MESSAGES.test(message) || classifyError(error).kind === 'transient';
}

/** Sorts any error of a database call into transient, permanent or bug; values that PostgreSQL quotes are not repeated. */
export function toDatabaseError(error: unknown): ArchipelagoError {
  if (error instanceof ArchipelagoError) return error;
  const state = sqlState(error);
  const options = { cause: error };
  if (state === undefined) {
    if (isConnectionLost(error)) return new TransientError('database-away', 'PostgreSQL cannot be reached', options);
    return classifyError(error);
  }
  if (RETRY_STATES.has(state))
    return new TransientError('database-conflict', `PostgreSQL ${state}: concurrent change`, options);
  if (state === '57014') return new TransientError('database-timeout', 'a statement took too long', options);
  if (TRANSIENT_CLASSES.has(state.slice(0, 2))) {
    return new TransientError('database-away', `PostgreSQL ${state}: cannot serve now`, options);
  }
  // a cold standby, a restart into recovery
  if (state === '25006') return new TransientError('database-read-only', 'PostgreSQL is read-only now', options);
  if (state.startsWith('22'))
    return new PermanentError('database-data', `PostgreSQL ${state}: a value does not fit`, options);
  if (state.startsWith('23'))
    return new PermanentError('database-integrity', `PostgreSQL ${state}: a constraint says no`, options);
  return new BugError('database-statement', `PostgreSQL ${state}`, options);
}

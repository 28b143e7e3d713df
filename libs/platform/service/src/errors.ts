/**
 * Three classes of failure; the class alone decides whether to try again.
 * Messages are written by us and never hold patient data: they may be logged and sent to operators as they are.
 */
export abstract class ArchipelagoError extends Error {
  abstract readonly kind: 'transient' | 'permanent' | 'bug';

  constructor(
    /** Stable, kebab-case: for machines, metrics labels and run books. */
    readonly code: string,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The same call may succeed later: a server is away, a lock was lost, a disk is full. Retried with back-off. */
export class TransientError extends ArchipelagoError {
  readonly kind = 'transient' as const;
}

/** The same call can never succeed: the input is wrong or refers to what does not exist. Never retried. */
export class PermanentError extends ArchipelagoError {
  readonly kind = 'permanent' as const;
}

/** Our own assumption was broken. Never retried, always alarmed. */
export class BugError extends ArchipelagoError {
  readonly kind = 'bug' as const;
}

/** Node system errors that mean "the other side is away", not "the request is wrong". */
const TRANSIENT_SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
  'EAGAIN',
  'EBUSY',
  'EMFILE',
  'ENFILE',
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'ESTALE',
]);

/** The `code` of any error value, or undefined. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/**
 * The error itself when it already has a class (by `kind`, so that domain libraries may throw their own classes with a
 * `kind` and `code` without knowing this one), else a system error of an absent peer as transient, all else as a bug.
 */
export function classifyError(error: unknown): ArchipelagoError {
  if (error instanceof ArchipelagoError) return error;
  const message = error instanceof Error ? error.message : 'a value that is not an Error was thrown';
  const code = errorCode(error);
  const kind = (error as { kind?: unknown } | null | undefined)?.kind;
  if (kind === 'transient') return new TransientError(code ?? 'transient', message, { cause: error });
  if (kind === 'permanent') return new PermanentError(code ?? 'permanent', message, { cause: error });
  if (code !== undefined && TRANSIENT_SYSTEM_CODES.has(code)) {
    return new TransientError(code.toLowerCase(), 'a server that this depends on cannot be reached', { cause: error });
  }
  return new BugError('unexpected', message, { cause: error });
}

export function isTransient(error: unknown): boolean {
  return classifyError(error).kind === 'transient';
}

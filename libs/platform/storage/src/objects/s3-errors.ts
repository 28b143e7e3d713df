import {
  ObjectNotFoundError,
  ObjectRangeError,
  StoreFullError,
  StoreRefusedError,
  StoreUnavailableError,
} from './errors';
import { ArchipelagoError, errorCode } from '@archipelago/platform-service';

const NOT_FOUND = new Set(['NoSuchKey', 'NotFound', 'NoSuchVersion']);
const FULL = new Set(['XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded', 'QuotaExceeded', 'InsufficientStorage']);
const REFUSED = new Set([
  'AccessDenied',
  'AllAccessDisabled',
  'InvalidAccessKeyId',
  'InvalidTokenId',
  'SignatureDoesNotMatch',
  'NoSuchBucket',
  'InvalidBucketName',
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'MethodNotAllowed',
  'EntityTooLarge',
]);
/** Codes of S3 that say "not now"; MinIO names its own with a prefix. */
const BUSY = new Set([
  'SlowDown',
  'InternalError',
  'ServiceUnavailable',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'OperationAborted',
  'BadDigest',
  'IncompleteBody',
  'NoSuchUpload',
  'InvalidPart',
]);

/** What the client or its socket threw, in our classes. @param key for the message */
export function translateS3Error(key: string, error: unknown): unknown {
  if (error instanceof ArchipelagoError || isAbort(error)) return error;
  const code = errorCode(error) ?? '';
  if (NOT_FOUND.has(code)) return new ObjectNotFoundError(key, { cause: error });
  if (code === 'InvalidRange') return new ObjectRangeError(key, { cause: error });
  if (FULL.has(code)) return new StoreFullError({ cause: error });
  if (REFUSED.has(code)) return new StoreRefusedError(`the object store refuses: ${code}`, { cause: error });
  if (BUSY.has(code) || code.startsWith('XMinio')) {
    return new StoreUnavailableError(`the object store is not ready: ${code}`, { cause: error });
  }
  // Sockets, name resolution, TLS, a connection cut in the middle of an answer.
  if (/^E[A-Z_]+$/.test(code) || /^(ERR|CERT|UNABLE|DEPTH|SELF)_/.test(code)) {
    return new StoreUnavailableError(`the object store cannot be reached (${code})`, { cause: error });
  }
  // The client throws plain errors for statuses like 503, and for answers that are not XML (a proxy in between).
  if (error instanceof Error && !(error instanceof TypeError) && !(error instanceof RangeError)) {
    return new StoreUnavailableError('the object store gave an answer that cannot be used', { cause: error });
  }
  return error;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

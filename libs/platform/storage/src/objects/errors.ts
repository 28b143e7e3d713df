import { BugError, PermanentError, TransientError } from '@archipelago/platform-service';

/** There is no object under the key. */
export class ObjectNotFoundError extends PermanentError {
  constructor(key: string, options?: { cause?: unknown }) {
    super('object-not-found', `no object ${key}`, options);
  }
}

/** Other bytes lie under the key already: objects are immutable. */
export class ObjectConflictError extends PermanentError {
  constructor(key: string, options?: { cause?: unknown }) {
    super('object-conflict', `other bytes are stored as ${key}`, options);
  }
}

/** The object does not have the bytes asked for. */
export class ObjectRangeError extends PermanentError {
  constructor(key: string, options?: { cause?: unknown }) {
    super('object-range', `${key} does not have these bytes`, options);
  }
}

/** What was read back is not what was stored. The caller keeps its copy and tries again. */
export class ObjectDamagedError extends TransientError {
  constructor(key: string, detail: string) {
    super('object-damaged', `${key} is not what was stored: ${detail}`);
  }
}

/** The store cannot be reached, is overloaded, or broke off. */
export class StoreUnavailableError extends TransientError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('store-unavailable', message, options);
  }
}

/** The store has no space left: nothing is lost, but someone must act. */
export class StoreFullError extends TransientError {
  constructor(options?: { cause?: unknown }) {
    super('store-full', 'the object store is full', options);
  }
}

/** The store refuses us: wrong credentials, missing bucket or rights. */
export class StoreRefusedError extends PermanentError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('store-refused', message, options);
  }
}

/** A key that cannot be one: keys are made by us, so this is a mistake of ours. */
export class InvalidKeyError extends BugError {
  constructor() {
    super('invalid-object-key', 'not an object key');
  }
}

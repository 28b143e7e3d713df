import type { Readable } from 'node:stream';

export interface ObjectInfo {
  key: string;
  bytes: number;
  modifiedAt: Date;
}

/** What a file must turn out to be once it is stored. */
export interface ExpectedObject {
  bytes: number;
  /** Hex digest of what is stored: plain SHA-256, or what `digest` computes. */
  sha256: string;
  /**
   * Computes the digest from the stored bytes, read back in order; plain SHA-256 without it. Packs have a digest of
   * their own (packDigester() of `@archipelago/pack`), which spares the edge a second pass over every image.
   */
  digest?: (stream: AsyncIterable<Buffer>) => Promise<string>;
  /** Replace what lies under the key if it is different: only for a stored copy that was found damaged. */
  repair?: boolean;
  signal?: AbortSignal;
}

/**
 * Immutable objects by key. Keys: 1 to 512 of A-Z a-z 0-9 . _ - /, no empty, `.` or `..` part.
 * Errors: ObjectNotFoundError, ObjectConflictError, ObjectRangeError, StoreRefusedError (permanent);
 * StoreUnavailableError, ObjectDamagedError (transient: retry); StoreFullError (transient, alarmed); InvalidKeyError (bug).
 */
export interface ObjectStore {
  /** Name in configuration and in pack_location.store. */
  readonly name: string;
  /**
   * Stores the file under the key, whole or not at all, and reads back what was stored to compare it with sha256
   * (the fs driver adopts by hard link where it can: the same bytes on the same disk, no second copy, then compares inodes).
   * Storing the same bytes again is success; other bytes under an existing key is an error.
   */
  putFile(key: string, path: string, expect: ExpectedObject): Promise<void>;
  /** The same for bytes in memory. Storing the same again is success, other bytes under an existing key an error. */
  putBuffer(key: string, body: Buffer): Promise<void>;
  /**
   * Bytes [start, end) of the object (all of it without a range; ObjectRangeError when it does not have them), as a stream with
   * back-pressure. It fails, and never just ends, when fewer bytes come.
   */
  read(key: string, range?: { start: number; end: number }, signal?: AbortSignal): Promise<Readable>;
  /** Small ranges, in memory. */
  readRange(key: string, start: number, end: number): Promise<Buffer>;
  stat(key: string): Promise<ObjectInfo | null>;
  /** In key order. */
  list(prefix: string, after?: string): AsyncIterable<ObjectInfo>;
  /** No error when it is not there. */
  delete(key: string): Promise<void>;
  /** Rejects when the store cannot be used now. */
  ping(): Promise<void>;
}

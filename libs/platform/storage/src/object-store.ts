import type { Readable } from 'node:stream';

export interface ObjectInfo {
  key: string;
  bytes: number;
  modifiedAt: Date;
}

/**
 * Immutable objects by key. Keys: 1 to 512 of A-Z a-z 0-9 . _ - /, no empty, `.` or `..` part.
 * Errors: ObjectNotFoundError; StoreUnavailableError (transient: retry); StoreFullError (transient, alarmed).
 */
export interface ObjectStore {
  /** Name in configuration and in pack_location.store. */
  readonly name: string;
  /**
   * Stores the file under the key, whole or not at all, and reads back what was stored to compare it with sha256
   * (the fs driver adopts by hard link where it can: the same bytes on the same disk, no second copy, then compares inodes).
   * Storing the same bytes again is success; other bytes under an existing key is an error.
   */
  putFile(key: string, path: string, expect: { bytes: number; sha256: string }): Promise<void>;
  putBuffer(key: string, body: Buffer): Promise<void>;
  /** Bytes [start, end) of the object, as a stream with back-pressure. */
  read(key: string, range?: { start: number; end: number }, signal?: AbortSignal): Promise<Readable>;
  /** Small ranges, in memory. */
  readRange(key: string, start: number, end: number): Promise<Buffer>;
  stat(key: string): Promise<ObjectInfo | null>;
  /** In key order. */
  list(prefix: string, after?: string): AsyncIterable<ObjectInfo>;
  delete(key: string): Promise<void>;
  /** Rejects when the store cannot be used now. */
  ping(): Promise<void>;
}

import { z } from 'zod';
import { defineConfig, envInteger, type ConfigOf } from '@archipelago/platform-service';
import { parseObjectStore } from '@archipelago/platform-storage';

function isObjectStore(text: string): boolean {
  try {
    parseObjectStore(text);
    return true;
  } catch {
    return false;
  }
}

export const cacheConfig = defineConfig(
  'cache',
  z.object({
    home: z.string().default('./data'),
    objectStore: z.string().refine(isObjectStore, 'fs:<dir> or s3:http(s)://host:port/bucket').optional(),
    /**
     * Bytes that fetched studies may take in the object store. Without it a fifth of the disk of an `fs` store; with an `s3`
     * store nothing is evicted until it is set.
     */
    bytes: envInteger(0, Number.MAX_SAFE_INTEGER).optional(),
  }),
  { home: 'ARCHIPELAGO_HOME', objectStore: 'ARCHIPELAGO_OBJECT_STORE', bytes: 'ARCHIPELAGO_CACHE_BYTES' },
);
export type CacheConfig = ConfigOf<typeof cacheConfig>;

/** Injection token of the ObjectStore that evicted packs are deleted from. */
export const CACHE_OBJECT_STORE = Symbol('cache-object-store');

/** Names of the durable consumers and of their inboxes: equal in every composition of services. */
export const ACCESSED_CONSUMER = 'cache-study-accessed';
export const STORED_CONSUMER = 'cache-instance-stored';

import { isIP } from 'node:net';
import { join } from 'node:path';
import {
  coreConfig,
  defineConfig,
  envBoolean,
  envInteger,
  envPort,
  type ConfigOf,
} from '@archipelago/platform-service';
import { parseObjectStore } from '@archipelago/platform-storage';
import { z } from 'zod';

/** Settings of the edge. The names are in docs (design page, "Names that stay"); those with a unit end in it. */
export const edgeConfig = defineConfig(
  'edge',
  z.object({
    dimseHost: z.string().default('127.0.0.1'),
    dimsePort: envPort().default(11112),
    /** Default: only on a loopback listener. */
    acceptUnknownPeers: envBoolean().optional(),
    /** Default: `spool` below the home. */
    spoolDir: z.string().optional(),
    /** `fs:<dir>` or `s3:http(s)://host:port/bucket`; default `objects` below the home. */
    objectStore: z.string().refine(isObjectStore, 'fs:<dir> or s3:http(s)://host:port/bucket').optional(),
    /** Least free bytes of the spool's volume; default max(2 GiB, 5 %). */
    spoolMinFreeBytes: envInteger(0, Number.MAX_SAFE_INTEGER).optional(),
    /** Confirmed segments are dropped after so many hours (at least 24), and earlier only when space is short. */
    spoolKeepHours: envInteger(24, 24 * 366).default(24 * 7),
    /** Answer C-STORE only after the catalog's commit. */
    strict: envBoolean().default(false),
    strictTimeoutSeconds: envInteger(1, 600).default(30),
    uploads: envInteger(1, 64).default(2),
    /** Compare what is read for a retrieval with its digest before it is sent. */
    verifyReads: envBoolean().default(true),
  }),
  {
    dimseHost: 'ARCHIPELAGO_DIMSE_HOST',
    dimsePort: 'ARCHIPELAGO_DIMSE_PORT',
    acceptUnknownPeers: 'ARCHIPELAGO_ACCEPT_UNKNOWN_PEERS',
    spoolDir: 'ARCHIPELAGO_SPOOL_DIR',
    objectStore: 'ARCHIPELAGO_OBJECT_STORE',
    spoolMinFreeBytes: 'ARCHIPELAGO_SPOOL_MIN_FREE_BYTES',
    spoolKeepHours: 'ARCHIPELAGO_SPOOL_KEEP_HOURS',
    strict: 'ARCHIPELAGO_STRICT',
    strictTimeoutSeconds: 'ARCHIPELAGO_STRICT_TIMEOUT_SECONDS',
    uploads: 'ARCHIPELAGO_UPLOADS',
    verifyReads: 'ARCHIPELAGO_VERIFY_READS',
  },
);
export type EdgeConfig = ConfigOf<typeof edgeConfig>;

function isObjectStore(text: string): boolean {
  try {
    parseObjectStore(text);
    return true;
  } catch {
    return false;
  }
}

export function objectStoreAddress(config: EdgeConfig): string {
  return config.objectStore ?? `fs:${join(coreConfig.load().home, 'objects')}`;
}

/** Unknown AE titles are refused unless a setting allows them; on a loopback listener only this machine can call. */
export function acceptsUnknownPeers(config: Pick<EdgeConfig, 'acceptUnknownPeers' | 'dimseHost'>): boolean {
  return config.acceptUnknownPeers ?? isLoopback(config.dimseHost);
}

export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

export function spoolDir(config: EdgeConfig): string {
  return config.spoolDir ?? join(coreConfig.load().home, 'spool');
}

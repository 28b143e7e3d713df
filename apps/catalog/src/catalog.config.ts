import { join } from 'node:path';
import { coreConfig, defineConfig, envInteger, type ConfigOf } from '@archipelago/platform-service';
import { parseObjectStore } from '@archipelago/platform-storage';
import { z } from 'zod';

function isObjectStore(text: string): boolean {
  try {
    parseObjectStore(text);
    return true;
  } catch {
    return false;
  }
}

export const catalogConfig = defineConfig(
  'catalog',
  z.object({
    /** `fs:<dir>` or `s3:http(s)://host:port/bucket`; default `objects` below the home. */
    objectStore: z.string().refine(isObjectStore, 'fs:<dir> or s3:http(s)://host:port/bucket').optional(),
    /** A series without news for so long gets its metadata object. */
    metadataQuietSeconds: envInteger(0, 86_400).default(30),
  }),
  { objectStore: 'ARCHIPELAGO_OBJECT_STORE', metadataQuietSeconds: 'ARCHIPELAGO_METADATA_QUIET_SECONDS' },
);
export type CatalogConfig = ConfigOf<typeof catalogConfig>;

export function objectStoreAddress(config: CatalogConfig): string {
  return config.objectStore ?? `fs:${join(coreConfig.load().home, 'objects')}`;
}

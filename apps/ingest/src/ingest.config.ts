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

export const ingestConfig = defineConfig(
  'ingest',
  z.object({
    home: z.string().default('./data'),
    objectStore: z.string().refine(isObjectStore, 'fs:<dir> or s3:http(s)://host:port/bucket').optional(),
    /** Large packs indexed at once by this process; small ones share a transaction. */
    concurrency: envInteger(1, 64).default(4),
    /** Minutes between sweeps, whoever runs them; 0 leaves them to commands. */
    sweepMinutes: envInteger(0, 100_000).default(60),
    /** A file of rules (docs/rules); a change of it takes effect at the next start. */
    rules: z.string().optional(),
  }),
  {
    home: 'ARCHIPELAGO_HOME',
    objectStore: 'ARCHIPELAGO_OBJECT_STORE',
    concurrency: 'ARCHIPELAGO_INGEST_CONCURRENCY',
    sweepMinutes: 'ARCHIPELAGO_SWEEP_MINUTES',
    rules: 'ARCHIPELAGO_RULES',
  },
);
export type IngestConfig = ConfigOf<typeof ingestConfig>;

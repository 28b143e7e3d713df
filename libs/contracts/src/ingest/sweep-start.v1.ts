import { z } from 'zod';
import type { Contract } from '../subject';

/** Compare the stored packs with the catalog now; `deep` reads and checks every byte. One sweep runs at a time. */
export const SweepStartV1Schema = z.object({
  deep: z.boolean().default(false),
  /** Packs younger than this are left to their own announcement. */
  graceSeconds: z.number().int().min(0).max(86_400).default(60),
});
export type SweepStartV1 = z.infer<typeof SweepStartV1Schema>;

export const SweepStart = {
  kind: 'cmd',
  context: 'ingest',
  aggregate: 'sweep',
  name: 'start',
  version: 1,
  privacy: 'none',
  schema: SweepStartV1Schema,
} as const satisfies Contract;

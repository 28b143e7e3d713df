import { z } from 'zod';
import type { Contract } from '../subject';

/**
 * Ingest's answer to an announcement (sent on core NATS, partition = edge id, for repeated announcements too).
 * `indexed`: in the catalog, the segment may become cache. `pending`: not yet, keep it. `rejected`: quarantined
 * (code and reason), keep it and raise the alarm. `resend`: the stored pack is missing or damaged, upload it again.
 */
export const PackAnsweredV1Schema = z.object({
  packId: z.uuid(),
  edgeId: z.uuid(),
  outcome: z.enum(['indexed', 'pending', 'rejected', 'resend']),
  code: z.string().optional(),
  reason: z.string().optional(),
});
export type PackAnsweredV1 = z.infer<typeof PackAnsweredV1Schema>;

export const PackAnswered = {
  kind: 'evt',
  context: 'ingest',
  aggregate: 'pack',
  name: 'answered',
  version: 1,
  privacy: 'none',
  orderingKey: 'edgeId',
  schema: PackAnsweredV1Schema,
} as const satisfies Contract;

import { z } from 'zod';
import type { Contract } from '../subject';

export const QuarantinedPackV1Schema = z.object({
  packId: z.uuid(),
  edgeId: z.uuid(),
  site: z.string(),
  store: z.string(),
  key: z.string(),
  code: z.string(),
  reason: z.string(),
  /** `suspect`: asked for again once; `healed`: indexed after all. */
  state: z.enum(['suspect', 'quarantined', 'healed']),
  failures: z.int(),
  lastAt: z.iso.datetime(),
});
export type QuarantinedPackV1 = z.infer<typeof QuarantinedPackV1Schema>;

/** Packs that could not be read or indexed, latest first. `before`: only those whose last failure is earlier. */
export const QuarantineList = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'quarantine',
  name: 'list',
  version: 1,
  privacy: 'none',
  schema: z.object({
    /** Also suspects and healed ones. */
    all: z.boolean().default(false),
    before: z.iso.datetime().optional(),
    limit: z.int().min(1).max(100).default(100),
  }),
  reply: z.object({ packs: z.array(QuarantinedPackV1Schema) }),
} as const satisfies Contract;

/**
 * One more try for a pack in quarantine, its cause being repaired: its edge is asked to send it again, and its failures
 * count anew. It stays in the list until it is indexed. May be repeated, for an edge that did not hear it.
 * Refused (permanent) with the code `pack-not-quarantined`.
 */
export const QuarantineRelease = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'quarantine',
  name: 'release',
  version: 1,
  privacy: 'none',
  schema: z.object({ packId: z.uuid() }),
  reply: z.object({ packId: z.uuid(), edgeId: z.uuid() }),
} as const satisfies Contract;

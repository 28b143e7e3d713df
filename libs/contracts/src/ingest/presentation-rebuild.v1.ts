import { z } from 'zod';
import type { Contract } from '../subject';

/**
 * Derives what is shown (patients, studies, series, instances) anew from the stored packs and the decisions, in one
 * transaction: searches go on with the old rows until it ends, new packs wait. Answered when it is done; asked for twice,
 * the second waits. Refused with the code `pack-missing` when a pack cannot be read: nothing has changed then.
 */
export const PresentationRebuild = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'presentation',
  name: 'rebuild',
  version: 1,
  privacy: 'none',
  schema: z.object({}),
  reply: z.object({ packs: z.int().nonnegative(), seconds: z.number().nonnegative() }),
} as const satisfies Contract;

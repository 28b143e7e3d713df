import { z } from 'zod';
import type { Contract } from '../subject';

/**
 * An archive no longer has what it had (found by a drift audit): ingest marks its source rows `vanished` and derives the
 * presentation anew. A later harvest that sees them again makes them present.
 */
export const SourceVanishedV1Schema = z.object({
  archive: z.string(),
  level: z.enum(['STUDY', 'SERIES', 'IMAGE']),
  uids: z.array(z.string().min(1).max(64)).min(1).max(1000),
  /** When the archive was asked. Rows said to be present later than this stay. */
  asOf: z.iso.datetime(),
});
export type SourceVanishedV1 = z.infer<typeof SourceVanishedV1Schema>;

export const SourceVanished = {
  kind: 'cmd',
  context: 'ingest',
  aggregate: 'source',
  name: 'vanished',
  version: 1,
  privacy: 'patient',
  orderingKey: 'archive',
  schema: SourceVanishedV1Schema,
} as const satisfies Contract;

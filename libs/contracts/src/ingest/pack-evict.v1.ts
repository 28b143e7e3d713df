import { z } from 'zod';
import type { Contract } from '../subject';

/**
 * Cached copies of a study that are to go: ingest takes the places of the packs that hold nothing but fetched objects of
 * it, each of which an archive still says it has, out of the catalog; their bytes are deleted after the commit.
 */
export const StudyEvict = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'study',
  name: 'evict',
  version: 1,
  privacy: 'patient',
  schema: z.object({ studyInstanceUid: z.string().min(1).max(64) }),
  reply: z.object({
    /** Taken out of the catalog; their objects may be deleted. */
    packs: z.array(z.object({ packId: z.uuid(), store: z.string(), key: z.string(), bytes: z.number() })),
    bytes: z.number().int().nonnegative(),
    /** Packs that stay: another study in them, an object that no archive has any more, or own objects. */
    kept: z.number().int().nonnegative(),
  }),
} as const satisfies Contract;
export type StudyEvictReplyV1 = z.infer<typeof StudyEvict.reply>;

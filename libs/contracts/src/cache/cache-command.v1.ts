import { z } from 'zod';
import type { Contract } from '../subject';

const Uid = z.string().min(1).max(64);

export const CacheCommandV1Schema = z.discriminatedUnion('action', [
  z.object({ action: z.literal('status') }),
  /** Its cached copies go as soon as the keeper comes to it, unless it is pinned. */
  z.object({ action: z.literal('evict'), studyInstanceUid: Uid }),
  /** It stays whatever comes. */
  z.object({ action: z.literal('pin'), studyInstanceUid: Uid }),
  z.object({ action: z.literal('unpin'), studyInstanceUid: Uid }),
]);
export type CacheCommandV1 = z.infer<typeof CacheCommandV1Schema>;

/** A command to the keeper of the cache, answered with its state after it; `known`: cached copies of the study are here. */
export const CacheCommand = {
  kind: 'qry',
  context: 'cache',
  aggregate: 'study',
  name: 'command',
  version: 1,
  privacy: 'patient',
  schema: CacheCommandV1Schema,
  reply: z.object({
    known: z.boolean(),
    /** Absent: no budget, nothing is evicted by itself. */
    budgetBytes: z.number().int().nonnegative().optional(),
    bytes: z.number().int().nonnegative(),
    /** Of these what could not be evicted. */
    keptBytes: z.number().int().nonnegative(),
    studies: z.number().int().nonnegative(),
    pinned: z.number().int().nonnegative(),
    /** Studies that are to go. */
    leaving: z.number().int().nonnegative(),
  }),
} as const satisfies Contract;
export type CacheCommandReplyV1 = z.infer<typeof CacheCommand.reply>;

import { z } from 'zod';
import { Principal, QueryKey, QueryLevel } from '../catalog/search.v1';
import type { Contract } from '../subject';

/** A C-FIND of a peer that wants the archives asked now: what the catalog will be asked, before it is. */
export const LiveFindV1Schema = z.object({
  principal: Principal,
  model: z.enum(['patient-root', 'study-root']),
  level: QueryLevel,
  keys: z.array(QueryKey),
  fuzzyNames: z.boolean().default(false),
  /** How long each archive may take, connecting included. */
  deadlineMs: z.number().int().min(100).max(10_000),
  /** How long the whole may take: the deadline, and the way of what was answered into the catalog. */
  withinMs: z.number().int().min(100).max(20_000),
});
export type LiveFindV1 = z.infer<typeof LiveFindV1Schema>;

/**
 * `answered`: all it has is in the catalog. All else is what the answer may miss: `no answer` (deadline), `unreachable`,
 * `not asked` (circuit open, no association free, no edge), `refused` (a failure status), `capped` (there is more), `late`
 * (answered, not in the catalog yet), `reading` (its series or images are being read).
 */
export const LiveOutcome = z.enum([
  'answered',
  'no answer',
  'unreachable',
  'not asked',
  'refused',
  'capped',
  'late',
  'reading',
]);
export type LiveOutcome = z.infer<typeof LiveOutcome>;

export const LiveFindReplySchema = z.object({
  /** Active archives, in the order of the configuration. One that cannot have what was asked for is `answered` unasked. */
  archives: z.array(z.object({ archive: z.string(), outcome: LiveOutcome })),
});
export type LiveFindReply = z.infer<typeof LiveFindReplySchema>;

/**
 * Has all active archives asked now, in parallel, and what they say written on the way of the harvest. Answered within
 * `withinMs`, whatever the archives do; the catalog is asked afterwards.
 */
export const LiveFind = {
  kind: 'qry',
  context: 'replication',
  aggregate: 'live',
  name: 'find',
  version: 1,
  privacy: 'patient',
  schema: LiveFindV1Schema,
  reply: LiveFindReplySchema,
} as const satisfies Contract;

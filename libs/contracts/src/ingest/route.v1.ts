import { z } from 'zod';
import type { Contract } from '../subject';

export const RouteV1Schema = z.object({
  id: z.string(),
  kind: z.enum(['workstation', 'archive']),
  destination: z.string(),
  studyInstanceUid: z.string(),
  /** Instances that are still to be sent. */
  instances: z.int().nonnegative(),
  /** The rule that asked for it. */
  rule: z.string(),
  /** `waiting`: will be tried, or is being sent; `failed`: given up until somebody retries. */
  state: z.enum(['waiting', 'failed']),
  /** Why the last try did not bring all of it. */
  code: z.string().optional(),
  createdAt: z.iso.datetime(),
  dueAt: z.iso.datetime(),
});
export type RouteV1 = z.infer<typeof RouteV1Schema>;

/** What rules route and has not arrived, in the order of ids. */
export const RouteList = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'route',
  name: 'list',
  version: 1,
  privacy: 'patient',
  schema: z.object({
    /** Only what was given up. */
    failed: z.boolean().default(false),
    destination: z.string().max(64).optional(),
    after: z.string().regex(/^\d+$/).default('0'),
    limit: z.int().min(1).max(500).default(100),
  }),
  reply: z.object({ routes: z.array(RouteV1Schema) }),
} as const satisfies Contract;

/** What was given up is tried again at once, and what waits need not wait; by id, or all of a destination. */
export const RouteRetry = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'route',
  name: 'retry',
  version: 1,
  privacy: 'none',
  schema: z.object({
    ids: z.array(z.string().regex(/^\d+$/)).max(500).optional(),
    destination: z.string().max(64).optional(),
  }),
  reply: z.object({ count: z.int().nonnegative() }),
} as const satisfies Contract;

/** Forgets what was to be sent: it is not sent by this rule any more. Only what was given up. */
export const RouteDrop = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'route',
  name: 'drop',
  version: 1,
  privacy: 'none',
  schema: z.object({ ids: z.array(z.string().regex(/^\d+$/)).min(1).max(500) }),
  reply: z.object({ count: z.int().nonnegative() }),
} as const satisfies Contract;

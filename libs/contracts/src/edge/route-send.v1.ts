import { z } from 'zod';
import { ArchiveV1Schema } from '../replication/archive.v1';
import type { Contract } from '../subject';

const Uid = z.string().min(1).max(64);

/** Most instances of one order: what it costs to do one again. */
export const MOST_ROUTED = 100;

export const RouteDestinationV1Schema = z.discriminatedUnion('kind', [
  /** As rules call it: AE title or name of a configured peer with an address. */
  z.object({ kind: z.literal('workstation'), name: z.string().min(1).max(64) }),
  z.object({ kind: z.literal('archive'), archive: ArchiveV1Schema }),
]);
export type RouteDestinationV1 = z.infer<typeof RouteDestinationV1Schema>;

/**
 * Instances of one study for an edge of the destination's site to send there, with the values that the destination is shown
 * when it asks. Answered when all were tried, or `withinMs` are over. Refused (permanent): `destination-unknown`.
 */
export const RouteSend = {
  kind: 'qry',
  context: 'edge',
  aggregate: 'route',
  name: 'send',
  version: 1,
  privacy: 'patient',
  schema: z.object({
    destination: RouteDestinationV1Schema,
    studyInstanceUid: Uid,
    sopInstanceUids: z.array(Uid).min(1).max(MOST_ROUTED),
    withinMs: z.int().min(1_000).max(600_000),
  }),
  reply: z.object({
    /** Taken by the destination. */
    sent: z.int().nonnegative(),
    /** There is nothing of these for the destination: rules keep them from it, or they are not there any more. */
    withheld: z.int().nonnegative(),
    /** Tried, and not taken. */
    failed: z.array(Uid),
    /** Not tried: the destination was lost, or the time was over. */
    left: z.array(Uid),
    /** Why the destination could not be reached, or not to the end. */
    unreachable: z.string().max(200).optional(),
  }),
} as const satisfies Contract;
export type RouteSendV1 = z.infer<typeof RouteSend.schema>;
export type RouteSentV1 = z.infer<typeof RouteSend.reply>;

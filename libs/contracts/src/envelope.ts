import { z } from 'zod';

/** What every message on the bus is wrapped in. Belongs to `libs/platform/bus`; handlers see the payload and this. */
export const Envelope = z.object({
  /** UUID; the inbox table makes the effect of one id happen once. */
  id: z.uuid(),
  /** ISO 8601 UTC time of publication. */
  time: z.iso.datetime(),
  site: z.string().min(1).max(64),
  /** W3C trace id (32 hex digits) carried through everything that one cause led to. */
  trace: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
  /** Event id of the direct cause. */
  cause: z.uuid().optional(),
  payload: z.unknown(),
});
export type Envelope = z.infer<typeof Envelope>;

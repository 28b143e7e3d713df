import { z } from 'zod';
import type { Contract } from '../subject';

/** A local identity as people name it. */
export const IdentityRef = z.object({
  issuer: z.string().max(64),
  patientId: z.string().max(64),
  /** StudyInstanceUID, for ids that name nobody and form one identity per study. */
  scope: z.string().max(64).default(''),
});
export type IdentityRef = z.infer<typeof IdentityRef>;

const Id = z.string().regex(/^\d{1,18}$/);
/** Who decides, and why: kept with the assertion for ever. */
const By = { by: z.string().min(1).max(64), reason: z.string().max(500).default('') };

export const IdentityActionSchema = z.discriminatedUnion('action', [
  z.object({ action: z.literal('link'), a: IdentityRef, b: IdentityRef, ...By }),
  /** They are two persons: takes back what links them, and keeps them apart from now on. */
  z.object({ action: z.literal('unlink'), a: IdentityRef, b: IdentityRef, ...By }),
  /** One study belongs to another identity's person than its own says (misfiled); `to` left out takes that back. */
  z.object({
    action: z.literal('assign-study'),
    studyInstanceUid: z.string().min(1).max(64),
    from: IdentityRef,
    to: IdentityRef.optional(),
    ...By,
  }),
  z.object({ action: z.literal('decide'), review: Id, same: z.boolean(), ...By }),
  z.object({
    action: z.literal('reviews'),
    state: z.enum(['open', 'linked', 'apart']).default('open'),
    after: Id.default('0'),
    limit: z.number().int().min(1).max(100).default(50),
  }),
  z.object({ action: z.literal('show'), identity: IdentityRef, at: z.iso.datetime().optional() }),
  z.object({ action: z.literal('history'), identity: IdentityRef }),
  z.object({ action: z.literal('learn') }),
]);
export type IdentityAction = z.infer<typeof IdentityActionSchema>;

export const AssertionV1Schema = z.object({
  id: Id,
  kind: z.enum(['link', 'apart', 'study', 'retract']),
  a: IdentityRef,
  b: IdentityRef.optional(),
  studyInstanceUid: z.string().optional(),
  retracts: Id.optional(),
  madeAt: z.iso.datetime(),
  madeBy: z.string(),
  reason: z.string(),
  /** False: taken back by a later one. */
  holds: z.boolean(),
});
export type AssertionV1 = z.infer<typeof AssertionV1Schema>;

export const ReviewV1Schema = z.object({
  id: Id,
  a: IdentityRef,
  b: IdentityRef,
  probability: z.number(),
  state: z.enum(['open', 'linked', 'apart']),
  raisedAt: z.iso.datetime(),
  why: z.string(),
  /** Field by field, for the person who decides. */
  evidence: z.array(z.object({ field: z.string(), level: z.string(), bits: z.number() })),
  decidedBy: z.string().optional(),
});
export type ReviewV1 = z.infer<typeof ReviewV1Schema>;

/** People's work on who is who: decisions, the queue, and the answer to who was who on any past day. */
export const IdentityCommand = {
  kind: 'qry',
  context: 'identity',
  aggregate: 'person',
  name: 'command',
  version: 1,
  privacy: 'patient',
  schema: z.object({ request: IdentityActionSchema }),
  reply: z.object({
    person: z.string().optional(),
    identities: z.array(IdentityRef).optional(),
    reviews: z.array(ReviewV1Schema).optional(),
    assertions: z.array(AssertionV1Schema).optional(),
    records: z.number().int().nonnegative().optional(),
  }),
} as const satisfies Contract;
export type IdentityReplyV1 = z.infer<typeof IdentityCommand.reply>;

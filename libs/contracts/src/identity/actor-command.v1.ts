import { z } from 'zod';
import type { Contract } from '../subject';

/** What appears in images and associations beside patients. */
export const ActorKind = z.enum(['modality', 'workstation', 'server', 'user']);
export type ActorKind = z.infer<typeof ActorKind>;

/** An actor as one place calls it: two places may both have a `station:CT1`. */
export const ActorRef = z.object({
  kind: ActorKind,
  /** Source that says so: a site or an archive. */
  place: z.string().min(1).max(64),
  /** `station:` StationName, `ae:` AE title, `archive:` name, `operator:` or `physician:` name. */
  name: z.string().min(1).max(400),
});
export type ActorRef = z.infer<typeof ActorRef>;

const By = { by: z.string().min(1).max(64), reason: z.string().max(500).default('') };

export const ActorActionSchema = z.discriminatedUnion('action', [
  z.object({
    action: z.literal('list'),
    kind: ActorKind.optional(),
    after: ActorRef.optional(),
    limit: z.number().int().min(1).max(500).default(100),
  }),
  z.object({ action: z.literal('show'), actor: ActorRef, at: z.iso.datetime().optional() }),
  z.object({ action: z.literal('link'), a: ActorRef, b: ActorRef, ...By }),
  /** Two of them: takes back what links them, and keeps them apart from now on. */
  z.object({ action: z.literal('unlink'), a: ActorRef, b: ActorRef, ...By }),
  /** What the super-identity is called, and rules know it by; left out: its super-id again. */
  z.object({ action: z.literal('name'), actor: ActorRef, label: z.string().min(1).max(64).optional(), ...By }),
]);
export type ActorAction = z.infer<typeof ActorActionSchema>;

/** What was seen of a piece of equipment: DICOM General Equipment (PS3.3 C.7.5.1). */
export const EquipmentV1Schema = z.object({ manufacturer: z.string(), model: z.string(), serial: z.string() });
export type EquipmentV1 = z.infer<typeof EquipmentV1Schema>;

export const ActorV1Schema = ActorRef.extend({
  /** Super-id, or the name that a person gave. */
  identity: z.string(),
  equipment: z.array(EquipmentV1Schema),
  firstSeen: z.iso.datetime(),
  lastSeen: z.iso.datetime(),
});
export type ActorV1 = z.infer<typeof ActorV1Schema>;

export const ActorAssertionV1Schema = z.object({
  id: z.string().regex(/^\d+$/),
  what: z.enum(['link', 'apart', 'name', 'retract']),
  a: ActorRef,
  b: ActorRef.optional(),
  label: z.string().optional(),
  retracts: z.string().optional(),
  madeAt: z.iso.datetime(),
  madeBy: z.string(),
  reason: z.string(),
  /** False: taken back by a later one. */
  holds: z.boolean(),
});
export type ActorAssertionV1 = z.infer<typeof ActorAssertionV1Schema>;

/** Super-identities of modalities, workstations, servers and users: what is known, and people's decisions. */
export const ActorCommand = {
  kind: 'qry',
  context: 'identity',
  aggregate: 'actor',
  name: 'command',
  version: 1,
  privacy: 'technical',
  schema: z.object({ request: ActorActionSchema }),
  reply: z.object({
    /** Super-id or name of the one that was asked for. */
    identity: z.string().optional(),
    actors: z.array(ActorV1Schema).optional(),
    assertions: z.array(ActorAssertionV1Schema).optional(),
  }),
} as const satisfies Contract;
export type ActorReplyV1 = z.infer<typeof ActorCommand.reply>;

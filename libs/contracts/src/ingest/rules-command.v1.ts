import { z } from 'zod';
import type { Contract } from '../subject';

/** Bounded by what one message may carry. */
const Source = z.string().max(700_000);
const Version = z.int().min(1);
const Uid = z.string().min(1).max(64);

export const RulesActionSchema = z.discriminatedUnion('action', [
  /** What is wrong with it; nothing changes. */
  z.object({ action: z.literal('check'), source: Source }),
  /** Brings it into force, as a whole; refused with an error in it. */
  z.object({
    action: z.literal('apply'),
    source: Source,
    by: z.string().min(1).max(64),
    reason: z.string().max(500).default(''),
  }),
  /** An earlier one again, as a version of its own. */
  z.object({
    action: z.literal('restore'),
    version: Version,
    by: z.string().min(1).max(64),
    reason: z.string().max(500).default(''),
  }),
  /** The one in force, or of that version, with its text. */
  z.object({ action: z.literal('show'), version: Version.optional() }),
  z.object({ action: z.literal('history'), before: Version.optional(), limit: z.int().min(1).max(100).default(50) }),
  /** What it would do to the newest studies, and change against the one in force. */
  z.object({
    action: z.literal('dry-run'),
    source: Source,
    studies: z.int().min(1).max(50_000).default(2_000),
    examples: z.int().min(0).max(200).default(20),
  }),
  /** Which rules act on a study and its series, why, and who brought them into force. */
  z.object({ action: z.literal('explain'), studyInstanceUid: Uid, values: z.boolean().default(false) }),
  /** Looks at all rows again, as after a new rule set: names of devices have changed. */
  z.object({ action: z.literal('derive') }),
]);
export type RulesAction = z.infer<typeof RulesActionSchema>;

export const RuleProblemV1Schema = z.object({
  severity: z.enum(['error', 'warning']),
  code: z.string(),
  message: z.string(),
  /** In the text, from 1. */
  line: z.int(),
  column: z.int(),
  rule: z.string().optional(),
});
export type RuleProblemV1 = z.infer<typeof RuleProblemV1Schema>;

export const RuleSetV1Schema = z.object({
  version: Version,
  /** The number that its author gave it. */
  authorVersion: z.int(),
  /** SHA-256, hex: two with one digest do the same. */
  digest: z.string(),
  rules: z.int(),
  origin: z.enum(['file', 'command']),
  madeBy: z.string(),
  reason: z.string(),
  madeAt: z.iso.datetime(),
});
export type RuleSetV1 = z.infer<typeof RuleSetV1Schema>;

const Counted = z.object({ name: z.string(), count: z.int() });

export const RulesReplySchema = z.object({
  problems: z.array(RuleProblemV1Schema).optional(),
  /** The one that came into force, or was asked for; absent where there is none, or it was refused. */
  set: RuleSetV1Schema.optional(),
  source: z.string().optional(),
  sets: z.array(RuleSetV1Schema).optional(),
  /** How far the rows that were there have come to the one in force. */
  derivation: z
    .object({
      version: Version,
      changed: z.number(),
      waiting: z.number(),
      startedAt: z.iso.datetime(),
      doneAt: z.iso.datetime().optional(),
    })
    .optional(),
  dryRun: z
    .object({
      studies: z.int(),
      samples: z.int(),
      changed: z.int(),
      rules: z.array(z.object({ rule: z.string(), applied: z.int(), overruled: z.int(), failed: z.int() })),
      differences: z.array(Counted),
      examples: z.array(z.object({ sample: z.int(), what: z.string(), old: z.string(), new: z.string() })),
    })
    .optional(),
  /** A line each. */
  explanation: z.array(z.string()).optional(),
});
export type RulesReplyV1 = z.infer<typeof RulesReplySchema>;

/**
 * Rule sets: checked, brought into force and asked about. A set with an error
 * is answered with its problems and no `set`. Refused (permanent): `rules-unknown`, there is no such version, or none at all;
 * `study-unknown`.
 */
export const RulesCommand = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'rules',
  name: 'command',
  version: 1,
  privacy: 'patient',
  schema: z.object({ request: RulesActionSchema }),
  reply: RulesReplySchema,
} as const satisfies Contract;

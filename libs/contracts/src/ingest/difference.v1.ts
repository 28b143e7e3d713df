import { z } from 'zod';
import type { Contract } from '../subject';

const Id = z.string().regex(/^\d{1,18}$/);

/** Same identity, other content: a row of ingest's list of what waits for a person, or was decided. */
export const DifferenceV1Schema = z.object({
  id: Id,
  /** A stable name; the runbook on differences explains each. */
  kind: z.string(),
  /** What it is about, in UIDs, digests and ids. */
  subject: z.string(),
  evidence: z.record(z.string(), z.unknown()),
  state: z.enum(['open', 'decided']),
  createdAt: z.iso.datetime(),
  decidedAt: z.iso.datetime().optional(),
  decidedBy: z.string().optional(),
  decision: z.record(z.string(), z.unknown()).optional(),
});
export type DifferenceV1 = z.infer<typeof DifferenceV1Schema>;

/** Differences by id, oldest first: those of a state, or the ones named. */
export const DifferenceList = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'difference',
  name: 'list',
  version: 1,
  privacy: 'patient',
  schema: z.object({
    state: z.enum(['open', 'decided']).optional(),
    ids: z.array(Id).max(100).optional(),
    /** Only those with a higher id. */
    after: Id.default('0'),
    limit: z.int().min(1).max(100).default(100),
  }),
  reply: z.object({ differences: z.array(DifferenceV1Schema) }),
} as const satisfies Contract;

/**
 * A person's decision about one difference. `keep`: it stays as it is shown. `take` (`same-uid-other-content` only): the
 * content that came later becomes the answer of its UID; both are kept. May be decided again, also the other way.
 * Refused (permanent) with the codes `difference-unknown`, `difference-not-takeable`, `content-gone`.
 */
export const DifferenceDecide = {
  kind: 'qry',
  context: 'ingest',
  aggregate: 'difference',
  name: 'decide',
  version: 1,
  privacy: 'patient',
  schema: z.object({
    id: Id,
    decision: z.enum(['keep', 'take']),
    /** Who decided, as a person would be named in a log book. */
    by: z.string().min(1).max(64),
    note: z.string().max(1000).optional(),
  }),
  reply: z.object({
    difference: DifferenceV1Schema,
    /** Studies whose answer changed. */
    studies: z.array(z.object({ studyId: z.string(), revision: z.int() })),
  }),
} as const satisfies Contract;

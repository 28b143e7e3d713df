import { z } from 'zod';
import { ArchiveCapabilitiesV1Schema, ArchiveV1Schema } from '../replication/archive.v1';
import type { Contract } from '../subject';

const Uid = z.string().min(1).max(64);
/** First 12 hex digits of the header digest of an answer: equal answers, equal digests. */
const AnswerDigest = z.string().regex(/^[0-9a-f]{12}$/);
const Milliseconds = z.number().int().min(1).max(3_600_000);
const Day = z.string().regex(/^\d{8}$/);
const TimeOfDay = z.string().regex(/^\d{6}$/);

/** Part of an archive's studies: keys that all of its answers match. Nothing given: all of them. */
export const StudyScopeV1Schema = z.object({
  /** StudyDate, both ends inclusive; one of them may be left out. */
  from: Day.optional(),
  to: Day.optional(),
  timeFrom: TimeOfDay.optional(),
  timeTo: TimeOfDay.optional(),
  /** Beginning of the PatientID or PatientName; with `exact` the whole of the last one given. */
  patientId: z.string().max(64).optional(),
  patientName: z.string().max(64).optional(),
  exact: z.boolean().optional(),
  modality: z.string().max(16).optional(),
  /** These studies, asked for one by one: a part of the result for each. */
  uids: z.array(Uid).max(200).optional(),
  /** Only studies without a StudyDate: no key can ask for them, the edge leaves the others out as they come. */
  undated: z.boolean().optional(),
});
export type StudyScopeV1 = z.infer<typeof StudyScopeV1Schema>;

/** What is known already: (UID, digest). An answer that is the same is reported, and not written again. */
const Known = z.array(z.tuple([Uid, AnswerDigest])).max(20_000);

export const ArchiveTaskOrderSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('probe') }),
  z.object({
    kind: z.literal('studies'),
    scope: StudyScopeV1Schema,
    /** False: only counted and reported. */
    write: z.boolean(),
    known: Known.default([]),
    /** Answers after which the query is cancelled; what comes then has to be asked for in smaller parts. */
    limit: z.number().int().min(1).max(5000),
    deadlineMs: Milliseconds,
  }),
  /** For somebody who waits: studies that match one of the queries. A part of the result for each query. */
  z.object({
    kind: z.literal('live'),
    /** Matching keys by keyword, as they go to the archive. */
    queries: z
      .array(z.record(z.string().max(64), z.array(z.string().max(1024)).max(200)))
      .min(1)
      .max(50),
    known: Known.default([]),
    /** Answers of all queries together. */
    limit: z.number().int().min(1).max(5000),
    /** Connecting, and waiting for a free association, included. */
    deadlineMs: Milliseconds,
  }),
  z.object({
    kind: z.literal('series'),
    studies: z.array(Uid).min(1).max(200),
    known: Known.default([]),
    deadlineMs: Milliseconds,
  }),
  z.object({
    kind: z.literal('images'),
    /** `series` empty: asked for by the study alone (relational query). */
    studies: z
      .array(z.object({ study: Uid, series: z.array(Uid).max(10_000) }))
      .min(1)
      .max(200),
    known: Known.default([]),
    deadlineMs: Milliseconds,
  }),
  z.object({
    kind: z.literal('full'),
    method: z.enum(['wado', 'get-without-bulk', 'get']),
    studies: z
      .array(z.object({ study: Uid, sopClasses: z.array(Uid).max(120) }))
      .min(1)
      .max(50),
    deadlineMs: Milliseconds,
  }),
]);
export type ArchiveTaskOrder = z.infer<typeof ArchiveTaskOrderSchema>;

/** How a query ended: `status` with another status than success, `limit` and `deadline` by us, `failed` without an end. */
export const AnswerEnd = z.enum(['complete', 'limit', 'deadline', 'status', 'failed']);
export type AnswerEnd = z.infer<typeof AnswerEnd>;

export const AnswerItemSchema = z.object({
  uid: Uid,
  digest: AnswerDigest,
  /** Of series: their study; of images: their series. */
  parent: Uid.optional(),
  /** Studies: StudyDate, StudyTime as far as they are values. */
  date: Day.optional(),
  time: TimeOfDay.optional(),
  series: z.number().int().nonnegative().optional(),
  instances: z.number().int().nonnegative().optional(),
  sopClass: z.string().max(64).optional(),
  /** The first characters of the PatientID and PatientName: what to split by next. */
  patientId: z.string().max(64).optional(),
  patientName: z.string().max(64).optional(),
  modality: z.string().max(16).optional(),
});
export type AnswerItem = z.infer<typeof AnswerItemSchema>;

/** One query, or all queries of one study. */
export const AnswerPartSchema = z.object({
  /** Of series and images: the study asked for. */
  study: Uid.optional(),
  end: AnswerEnd,
  status: z.number().int().optional(),
  code: z.string().max(64).optional(),
  /** Answers that came, kept or not. */
  answers: z.number().int().nonnegative(),
  /** Answers left out, by reason: no answer of an archive is silently dropped. */
  leftOut: z.record(z.string(), z.number().int().nonnegative()),
  items: z.array(AnswerItemSchema),
});
export type AnswerPart = z.infer<typeof AnswerPartSchema>;

export const ArchiveTaskResultSchema = z.object({
  /** In a reply only some of them: see `next`. A part with many items comes in several pieces, one after the other. */
  parts: z.array(AnswerPartSchema),
  /** Packs that hold what was written. What is in them is in the catalog once they are indexed. */
  packs: z.array(z.uuid()),
  bytes: z.number().int().nonnegative(),
  capabilities: ArchiveCapabilitiesV1Schema.optional(),
});
export type ArchiveTaskResult = z.infer<typeof ArchiveTaskResultSchema>;

export const ArchiveTaskV1Schema = z.object({
  jobId: z.uuid(),
  /** Wait so long for the end, then answer `running`: ask the edge that answered again, without `begin`. */
  waitMs: z.number().int().min(0).max(30_000),
  /** Items of the result that have been had already (the last reply's `next`). */
  after: z.number().int().nonnegative().default(0),
  begin: z.object({ archive: ArchiveV1Schema, order: ArchiveTaskOrderSchema }).optional(),
});
export type ArchiveTaskV1 = z.infer<typeof ArchiveTaskV1Schema>;

export const ArchiveTaskReplySchema = z.object({
  edgeId: z.uuid(),
  state: z.enum(['running', 'done', 'failed']),
  result: ArchiveTaskResultSchema.optional(),
  /** There are more items: ask again with this as `after`. */
  next: z.number().int().positive().optional(),
  error: z
    .object({ kind: z.enum(['transient', 'permanent', 'bug']), code: z.string(), message: z.string() })
    .optional(),
});
export type ArchiveTaskReply = z.infer<typeof ArchiveTaskReplySchema>;

/**
 * Work at an archive for an edge of its site (partition `any`), and the question how it stands to the edge that took it
 * (partition: its id). An edge that does not know the job says so (`job-unknown`): it has to be begun again. A job that
 * nobody asks for is given up.
 */
export const ArchiveTask = {
  kind: 'qry',
  context: 'edge',
  aggregate: 'archive',
  name: 'task',
  version: 1,
  privacy: 'patient',
  schema: ArchiveTaskV1Schema,
  reply: ArchiveTaskReplySchema,
} as const satisfies Contract;

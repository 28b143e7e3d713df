import { z } from 'zod';
import { ArchiveV1Schema } from '../replication/archive.v1';
import type { Contract } from '../subject';

const Uid = z.string().min(1).max(64);

/** What of one study is to be fetched: all of it, or some of its series. */
export const FetchTargetV1Schema = z.object({
  studyInstanceUid: Uid,
  seriesInstanceUids: z.array(Uid).max(1000).optional(),
  /** Storage SOP classes that the catalog knows of it; empty: not known, the archive is asked first. */
  sopClasses: z.array(Uid).max(200).default([]),
});
export type FetchTargetV1 = z.infer<typeof FetchTargetV1Schema>;

/**
 * One fetch under way, which any number of callers follow: they read `url/internal/legs/<legId>` (lines of JSON) and
 * the bytes from the edges that it names, each with the grant as bearer token.
 */
export const FetchLegV1Schema = z.object({
  legId: z.uuid(),
  archive: z.string(),
  edgeId: z.uuid(),
  url: z.string(),
  grant: z.string(),
});
export type FetchLegV1 = z.infer<typeof FetchLegV1Schema>;

/**
 * Have it fetched: joins the fetch of the same target that is under way, else begins one with the first archive that can
 * be asked now. No leg: none can; `refused` says why, for the log and the caller's error comment.
 */
export const FetchEnsure = {
  kind: 'qry',
  context: 'cache',
  aggregate: 'fetch',
  name: 'ensure',
  version: 1,
  privacy: 'patient',
  schema: z.object({
    target: FetchTargetV1Schema,
    /** Best first; those that failed this caller already are left out by it. */
    archives: z.array(z.string()).min(1).max(100),
    /** A leg that its edge does not know any more, or that cannot be followed. */
    lost: z.uuid().optional(),
  }),
  reply: z.object({
    leg: FetchLegV1Schema.optional(),
    refused: z.array(z.object({ archive: z.string(), code: z.string() })),
  }),
} as const satisfies Contract;
export type FetchEnsureV1 = z.input<typeof FetchEnsure.schema>;
export type FetchEnsureReplyV1 = z.infer<typeof FetchEnsure.reply>;

/** To any edge of the archive's site: begin this leg, or say that you have it. Refused when the archive cannot be asked now. */
export const FetchStart = {
  kind: 'qry',
  context: 'edge',
  aggregate: 'fetch',
  name: 'start',
  version: 1,
  privacy: 'patient',
  schema: z.object({ legId: z.uuid(), archive: ArchiveV1Schema, target: FetchTargetV1Schema }),
  reply: z.object({ edgeId: z.uuid(), url: z.string(), grant: z.string() }),
} as const satisfies Contract;
export type FetchStartV1 = z.output<typeof FetchStart.schema>;

export const FetchEndedV1Schema = z.object({
  legId: z.uuid(),
  archive: z.string(),
  outcome: z.enum(['complete', 'partial', 'failed']),
  code: z.string().optional(),
  instances: z.number().int().nonnegative(),
  bytes: z.number().int().nonnegative(),
  milliseconds: z.number().nonnegative(),
});
export type FetchEndedV1 = z.infer<typeof FetchEndedV1Schema>;

/** A leg is over (core NATS; a lost one is noticed by the age of the leg). */
export const FetchEnded = {
  kind: 'evt',
  context: 'edge',
  aggregate: 'fetch',
  name: 'ended',
  version: 1,
  privacy: 'none',
  orderingKey: 'legId',
  schema: FetchEndedV1Schema,
} as const satisfies Contract;

/** Where an object that has just arrived lies: in a segment of that edge, whole, readable with a grant for its study. */
export const ArrivedCopyV1Schema = z.object({
  sopInstanceUid: Uid,
  sopClassUid: Uid,
  studyInstanceUid: Uid,
  seriesInstanceUid: z.string().max(64),
  packId: z.uuid(),
  edgeId: z.uuid(),
  url: z.string(),
  datasetOffset: z.number().int().nonnegative(),
  datasetLength: z.number().int().nonnegative(),
  transferSyntaxUid: Uid,
  wireDigest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ArrivedCopyV1 = z.infer<typeof ArrivedCopyV1Schema>;

/**
 * An archive has sent an object to the fetch AE title of a site (C-MOVE). Its association may have landed on any edge:
 * the one that asked for it listens (core NATS; what is lost there is found in the catalog afterwards).
 */
export const ObjectArrived = {
  kind: 'evt',
  context: 'edge',
  aggregate: 'object',
  name: 'arrived',
  version: 1,
  privacy: 'patient',
  orderingKey: 'archive',
  schema: z.object({ archive: z.string(), copy: ArrivedCopyV1Schema }),
} as const satisfies Contract;
export type ObjectArrivedV1 = z.infer<typeof ObjectArrived.schema>;

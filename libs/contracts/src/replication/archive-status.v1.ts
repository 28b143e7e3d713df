import { z } from 'zod';
import type { Contract } from '../subject';
import { ArchiveV1Schema, HarvestDepth } from './archive.v1';

const Time = z.iso.datetime();
const Count = z.number().int().nonnegative();

/** How far an archive's tags are replicated. */
export const ArchiveStatusV1Schema = z.object({
  archive: ArchiveV1Schema,
  /** False: the last contact failed. Absent: never tried. */
  reachable: z.boolean().optional(),
  /** Everything the archive had at this time is known at study depth; absent while the first load is under way. */
  asOf: Time.optional(),
  /** The depth down to which all known studies are read. */
  completeTo: HarvestDepth,
  /** Last error of a contact, without patient data. */
  lastError: z.object({ code: z.string(), at: Time }).optional(),
  studies: Count,
  /** Studies that still wait for a depth, by depth. */
  waiting: z.record(z.string(), Count),
  /** Parts of the archive that cannot be listed (more answers than it gives, and no key splits them further). */
  unlistable: Count,
  /** Answers that were no answers, since ever, by reason. */
  leftOut: z.record(z.string(), Count),
  /** Most answers that it gives to one query, where it was seen to cap them. */
  cap: Count.optional(),
});
export type ArchiveStatusV1 = z.infer<typeof ArchiveStatusV1Schema>;

export const ArchiveStatus = {
  kind: 'qry',
  context: 'replication',
  aggregate: 'archive',
  name: 'status',
  version: 1,
  privacy: 'technical',
  schema: z.object({ name: z.string().optional() }),
  reply: z.object({ archives: z.array(ArchiveStatusV1Schema) }),
} as const satisfies Contract;

export const DriftReportV1Schema = z.object({
  id: z.string(),
  archive: z.string(),
  full: z.boolean(),
  startedAt: Time,
  finishedAt: Time.optional(),
  /** Studies, series and images compared. */
  compared: z.record(z.string(), Count),
  appeared: z.record(z.string(), Count),
  changed: z.record(z.string(), Count),
  vanished: z.record(z.string(), Count),
  /** Parts that could not be compared. */
  failed: Count,
  /** UIDs, at most 20 of each kind. */
  examples: z.array(
    z.object({ what: z.enum(['appeared', 'changed', 'vanished']), level: z.string(), uid: z.string() }),
  ),
});
export type DriftReportV1 = z.infer<typeof DriftReportV1Schema>;

/** Reports of drift audits, newest first. */
export const DriftList = {
  kind: 'qry',
  context: 'replication',
  aggregate: 'drift',
  name: 'list',
  version: 1,
  privacy: 'patient',
  schema: z.object({ archive: z.string().optional(), limit: z.number().int().min(1).max(100).default(10) }),
  reply: z.object({ reports: z.array(DriftReportV1Schema) }),
} as const satisfies Contract;

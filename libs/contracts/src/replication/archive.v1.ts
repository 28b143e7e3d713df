import { z } from 'zod';
import type { Contract } from '../subject';

/** How deep an archive's tags are replicated; each depth holds those before it. */
export const HarvestDepth = z.enum(['none', 'study', 'series', 'image', 'full']);
export type HarvestDepth = z.infer<typeof HarvestDepth>;

/** What probing found an archive to offer. Absent: not probed yet. */
export const ArchiveCapabilitiesV1Schema = z.object({
  probedAt: z.iso.datetime(),
  reachable: z.boolean(),
  /** Information models and levels that answer C-FIND. */
  find: z.object({ patientRoot: z.boolean(), studyRoot: z.boolean(), relational: z.boolean() }),
  get: z.boolean(),
  move: z.boolean(),
  /** Composite Instance Retrieve Without Bulk Data (PS3.4 Z). */
  getWithoutBulkData: z.boolean(),
  dicomWeb: z.boolean(),
});
export type ArchiveCapabilitiesV1 = z.infer<typeof ArchiveCapabilitiesV1Schema>;

/** One island as the registry knows it. Budgets bound all that we ask of it, harvest and retrieval together. */
export const ArchiveV1Schema = z.object({
  /** Token of ours; also the name of the source in the catalog. */
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  site: z.string().min(1).max(64),
  aeTitle: z.string().min(1).max(16),
  host: z.string().min(1).max(253),
  port: z.number().int().min(1).max(65_535),
  tls: z.boolean().default(false),
  /** Assigning authority of its unqualified PatientIDs. */
  issuer: z.string().max(64).optional(),
  dicomWebUrl: z.url().optional(),
  depth: HarvestDepth.default('full'),
  /** AE title that its C-MOVE sub-operations are to be sent to: the site's fetch AE. */
  fetchAeTitle: z.string().min(1).max(16),
  budget: z.object({
    associations: z.number().int().min(1).max(100).default(4),
    /** Requests (queries and retrievals begun) a second; 0: unbounded. */
    requestsPerSecond: z.number().min(0).default(0),
    /** Bytes a second that `full` harvest may read; 0: unbounded. */
    harvestBytesPerSecond: z.number().min(0).default(0),
    /** Hours of the day (0-23, local time of the site) in which harvest may run; empty: always. */
    harvestHours: z.array(z.number().int().min(0).max(23)).default([]),
  }),
  state: z.enum(['active', 'paused', 'removed']),
  capabilities: ArchiveCapabilitiesV1Schema.optional(),
  revision: z.number().int().nonnegative(),
});
export type ArchiveV1 = z.infer<typeof ArchiveV1Schema>;

export const ArchiveListV1Schema = z.object({ name: z.string().optional() });
export type ArchiveListV1 = z.infer<typeof ArchiveListV1Schema>;

/** The archives as they are now, removed ones left out. */
export const ArchiveList = {
  kind: 'qry',
  context: 'replication',
  aggregate: 'archive',
  name: 'list',
  version: 1,
  privacy: 'technical',
  schema: ArchiveListV1Schema,
  reply: z.object({ archives: z.array(ArchiveV1Schema) }),
} as const satisfies Contract;

export const ArchiveChangedV1Schema = z.object({
  name: z.string(),
  revision: z.number().int().nonnegative(),
});
export type ArchiveChangedV1 = z.infer<typeof ArchiveChangedV1Schema>;

/** An archive was added, changed, paused, removed or probed: who keeps the list asks again (core NATS, may be lost). */
export const ArchiveChanged = {
  kind: 'evt',
  context: 'replication',
  aggregate: 'archive',
  name: 'changed',
  version: 1,
  privacy: 'none',
  orderingKey: 'name',
  schema: ArchiveChangedV1Schema,
} as const satisfies Contract;

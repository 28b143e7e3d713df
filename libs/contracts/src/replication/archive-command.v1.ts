import { z } from 'zod';
import type { Contract } from '../subject';
import { ArchiveV1Schema, HarvestDepth } from './archive.v1';

/** What is said of an archive when it is added; all but the name may be changed later. */
export const ArchiveSettingsV1Schema = ArchiveV1Schema.omit({
  name: true,
  state: true,
  capabilities: true,
  revision: true,
});
const Name = ArchiveV1Schema.shape.name;
/** Goes to the archive as a key: no wildcards, no list. */
const Uid = z.string().regex(/^[0-9.]{1,64}$/);
/** Studies that one command may name. */
const MOST_STUDIES = 50;

export const ArchiveCommandV1Schema = z.discriminatedUnion('action', [
  z.object({ action: z.literal('add'), name: Name, settings: ArchiveSettingsV1Schema }),
  z.object({
    action: z.literal('change'),
    name: Name,
    settings: z.object({
      site: ArchiveV1Schema.shape.site.optional(),
      aeTitle: ArchiveV1Schema.shape.aeTitle.optional(),
      host: ArchiveV1Schema.shape.host.optional(),
      port: ArchiveV1Schema.shape.port.optional(),
      tls: z.boolean().optional(),
      issuer: z.string().max(64).nullable().optional(),
      dicomWebUrl: z.url().nullable().optional(),
      depth: HarvestDepth.optional(),
      fetchAeTitle: ArchiveV1Schema.shape.fetchAeTitle.optional(),
      budget: z
        .object({
          associations: z.number().int().min(1).max(100),
          requestsPerSecond: z.number().min(0),
          harvestBytesPerSecond: z.number().min(0),
          harvestHours: z.array(z.number().int().min(0).max(23)),
        })
        .partial()
        .optional(),
    }),
  }),
  /** No more harvest and no fetch; what is known of it stays and says how old it is. */
  z.object({ action: z.literal('pause'), name: Name }),
  z.object({ action: z.literal('resume'), name: Name }),
  /** Its sources vanish from the catalog; nothing that is held is deleted. */
  z.object({ action: z.literal('remove'), name: Name }),
  z.object({ action: z.literal('probe'), name: Name }),
  /** Looks for what is new at once; `again` reads everything anew; `studies`: these only, anew, before all else. */
  z.object({
    action: z.literal('harvest'),
    name: Name,
    again: z.boolean().default(false),
    studies: z.array(Uid).min(1).max(MOST_STUDIES).optional(),
  }),
  /** Compares with the archive what is known of it: a sample, or all of it. */
  z.object({ action: z.literal('audit'), name: Name, full: z.boolean().default(false) }),
]);
export type ArchiveCommandV1 = z.infer<typeof ArchiveCommandV1Schema>;

/** A command to the registry of archives, answered when it is written (a probe: when it is over). */
export const ArchiveCommand = {
  kind: 'qry',
  context: 'replication',
  aggregate: 'archive',
  name: 'command',
  version: 1,
  privacy: 'technical',
  orderingKey: 'name',
  schema: ArchiveCommandV1Schema,
  reply: z.object({ archive: ArchiveV1Schema }),
} as const satisfies Contract;

import { z } from 'zod';
import type { Contract } from '../subject';
import { Origin } from '../edge/pack-sealed.v1';

/** New instances of one study from one pack are in the catalog. Ids are the catalog's surrogates; read current rows. */
export const InstanceStoredV1Schema = z.object({
  packId: z.uuid(),
  studyId: z.string().regex(/^\d+$/),
  seriesIds: z.array(z.string().regex(/^\d+$/)),
  instances: z.number().int().nonnegative(),
  origin: Origin,
  source: z.string(),
});
export type InstanceStoredV1 = z.infer<typeof InstanceStoredV1Schema>;
export const InstanceStored = {
  kind: 'evt',
  context: 'catalog',
  aggregate: 'instance',
  name: 'stored',
  version: 1,
  privacy: 'none',
  orderingKey: 'studyId',
  schema: InstanceStoredV1Schema,
} as const satisfies Contract;

export const StudyUpdatedV1Schema = z.object({
  studyId: z.string().regex(/^\d+$/),
  revision: z.number().int().nonnegative(),
});
export type StudyUpdatedV1 = z.infer<typeof StudyUpdatedV1Schema>;
export const StudyUpdated = {
  kind: 'evt',
  context: 'catalog',
  aggregate: 'study',
  name: 'updated',
  version: 1,
  privacy: 'none',
  orderingKey: 'studyId',
  schema: StudyUpdatedV1Schema,
} as const satisfies Contract;

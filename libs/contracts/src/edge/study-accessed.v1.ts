import { z } from 'zod';
import type { Contract } from '../subject';

/** A study was retrieved (any part of it). What the cache learns from; who asked is the audit's matter. */
export const StudyAccessedV1Schema = z.object({
  studyInstanceUid: z.string().min(1).max(64),
  at: z.iso.datetime(),
  bytes: z.number().int().nonnegative(),
  /** Some of it had to be fetched, and how long that took. */
  fetchedMilliseconds: z.number().nonnegative().optional(),
});
export type StudyAccessedV1 = z.infer<typeof StudyAccessedV1Schema>;

export const StudyAccessed = {
  kind: 'evt',
  context: 'edge',
  aggregate: 'study',
  name: 'accessed',
  version: 1,
  privacy: 'patient',
  orderingKey: 'studyInstanceUid',
  schema: StudyAccessedV1Schema,
} as const satisfies Contract;

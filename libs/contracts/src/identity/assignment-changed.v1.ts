import { z } from 'zod';
import type { Contract } from '../subject';

const Id = z.string().regex(/^\d+$/);

/** The person of these local identities (`patient.id`) or of single studies (`study.id`) is another one now; read current rows. */
export const AssignmentChangedV1Schema = z.object({
  patientIds: z.array(Id).max(1000),
  studyIds: z.array(Id).max(1000),
  revision: z.number().int().nonnegative(),
});
export type AssignmentChangedV1 = z.infer<typeof AssignmentChangedV1Schema>;

export const AssignmentChanged = {
  kind: 'evt',
  context: 'identity',
  aggregate: 'assignment',
  name: 'changed',
  version: 1,
  privacy: 'none',
  schema: AssignmentChangedV1Schema,
} as const satisfies Contract;

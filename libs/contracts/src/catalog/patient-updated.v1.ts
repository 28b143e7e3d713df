import { z } from 'zod';
import type { Contract } from '../subject';

/** A local identity (`patient.id`) is new, or its demographics, further ids or studies changed; read current rows. */
export const PatientUpdatedV1Schema = z.object({ patientId: z.string().regex(/^\d+$/) });
export type PatientUpdatedV1 = z.infer<typeof PatientUpdatedV1Schema>;

export const PatientUpdated = {
  kind: 'evt',
  context: 'catalog',
  aggregate: 'patient',
  name: 'updated',
  version: 1,
  privacy: 'none',
  orderingKey: 'patientId',
  schema: PatientUpdatedV1Schema,
} as const satisfies Contract;

import type { LocateReplyV1, LocateV1 } from '@archipelago/contracts';

/** A request by PatientID that means several local patients (a shared id like UNKNOWN): never handed over as one's. */
export class AmbiguousPatientError extends Error {}

/**
 * The pages as they are, unless a PATIENT level request brings objects of several patients. Below that level a study may
 * have two patients (docs/adr/0003): `several` is told how many, for the final response to say.
 * @throws AmbiguousPatientError before anything was sent
 */
export async function* onePatient(
  pages: AsyncIterable<LocateReplyV1>,
  { level }: LocateV1,
  several: (patients: number) => void,
): AsyncGenerator<LocateReplyV1> {
  for await (const page of pages) {
    const patients = page.patients ?? 0;
    if (patients > 1 && level === 'PATIENT') {
      throw new AmbiguousPatientError('PatientID names several patients: retrieve by study');
    }
    several(patients);
    yield page;
  }
}

import type { LocateReplyV1, LocateV1 } from '@archipelago/contracts';
import { AmbiguousPatientError, onePatient } from './one-patient';

const principal = { kind: 'peer' as const, site: 'main', name: 'WS' };
const page = (patients?: number): LocateReplyV1 => ({ total: 2, patients, instances: [] });

async function run(level: LocateV1['level'], patients?: number): Promise<{ pages: number; several: number }> {
  let several = 0;
  let pages = 0;
  async function* given(): AsyncGenerator<LocateReplyV1> {
    yield page(patients);
    yield page(patients);
  }
  const request: LocateV1 = { principal, model: 'patient-root', level };
  for await (const _ of onePatient(given(), request, (n) => (several = n))) pages++;
  return { pages, several };
}

describe('one patient', () => {
  it('refuses a PatientID that several patients share, before the first page is worked on', async () => {
    await expect(run('PATIENT', 2)).rejects.toThrow(AmbiguousPatientError);
  });

  it('lets one patient pass, and a catalog that does not say', async () => {
    expect(await run('PATIENT', 1)).toEqual({ pages: 2, several: 1 });
    expect(await run('PATIENT')).toEqual({ pages: 2, several: 0 });
  });

  it('tells of a study that two patients have', async () => {
    expect(await run('STUDY', 2)).toEqual({ pages: 2, several: 2 });
  });
});

import { generateStudy, type TestOrthanc } from '@archipelago/testing';

/** Invented people, each with a number in each archive; the first has a study that both archives hold. */
export const PEOPLE = [
  { name: 'HAUSMANN^HEDWIG', dob: '19311104', sex: 'F', north: 'N-1001', south: 'S-77', shared: true },
  { name: 'ZIELINSKI^MAREK', dob: '19790130', sex: 'M', north: 'N-1002', south: 'S-78', shared: true },
] as const;

const IMAGES = 6;

/** @returns images stored: of each person one study that only this archive has, and the copy of the shared one */
export async function fill(archive: TestOrthanc, where: 'north' | 'south'): Promise<number> {
  let stored = 0;
  for (const person of PEOPLE) {
    const header = {
      PatientName: person.name,
      PatientID: person[where],
      PatientBirthDate: person.dob,
      PatientSex: person.sex,
      IssuerOfPatientID: null,
    };
    const own = { seed: `${where} ${person.north}`, date: where === 'north' ? '20240110' : '20250310' };
    const copy = { seed: `shared ${person.north}`, date: '20230505' };
    for (const { seed, date } of person.shared ? [own, copy] : [own]) {
      const made = generateStudy({
        kind: 'ct',
        seed,
        count: IMAGES,
        rows: 128,
        columns: 128,
        charset: 'default',
        adjust: ({ header: tags }) => tags.put({ ...header, StudyDate: date }),
      });
      for (const instance of made) {
        await archive.rest('POST', '/instances', instance.part10());
        stored++;
      }
    }
  }
  return stored;
}

import { createHash } from 'node:crypto';
import { HeaderReader } from '@archipelago/dicom-encoding';
import { CHARACTER_SETS } from './charset';
import { KINDS } from './kinds';
import { mutateDataset } from './mutate';
import { generateInstance, generateStudy } from './study';

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('generator', () => {
  it.each(Object.keys(KINDS))('%s: read back in every native encoding with the same header digest', (kind) => {
    const digests = ['explicit-le', 'implicit-le', 'explicit-be', 'deflated-le'].map((transferSyntax) => {
      const instance = generateInstance({ kind, seed: 9, rows: 16, columns: 16, transferSyntax });
      const reader = new HeaderReader(instance.transferSyntaxUid);
      reader.push(instance.dataset());
      const result = reader.end();
      expect([result.sopInstanceUid, result.studyInstanceUid, result.patientId]).toEqual([
        instance.sopInstanceUid,
        instance.studyInstanceUid,
        instance.patientId,
      ]);
      return result.sopClassUid;
    });
    expect(new Set(digests).size).toBe(1);
  });

  it('gives the same bytes for the same seed, others for another', () => {
    const bytes = (seed: number): string => sha(generateInstance({ kind: 'mr', seed, rows: 32, columns: 32 }).part10());
    expect(bytes(1)).toBe(bytes(1));
    expect(bytes(1)).not.toBe(bytes(2));
  });

  it('keeps a study together and its instances apart', () => {
    const all = [...generateStudy({ count: 12, seriesCount: 3, rows: 16, columns: 16 })];
    expect(new Set(all.map((each) => each.studyInstanceUid)).size).toBe(1);
    expect(new Set(all.map((each) => each.seriesInstanceUid)).size).toBe(3);
    expect(new Set(all.map((each) => each.sopInstanceUid)).size).toBe(12);
    expect(new Set(all.map((each) => sha(each.dataset()))).size).toBe(12);
  });

  it.each(Object.keys(CHARACTER_SETS))('writes names in %s', (charset) => {
    const instance = generateInstance({ kind: 'sr-basic', charset, seed: 4 });
    expect(instance.dataset().length).toBeGreaterThan(500);
    expect(CHARACTER_SETS[charset]!.names).toContain(instance.header.text('PatientName'));
  });

  it('mutates the same way for the same seed, and differently for others', () => {
    const bytes = generateInstance({ rows: 16, columns: 16 }).dataset();
    const before = sha(bytes);
    expect(sha(mutateDataset(bytes, 5).bytes)).toBe(sha(mutateDataset(bytes, 5).bytes));
    expect(
      new Set(Array.from({ length: 40 }, (_, seed) => sha(mutateDataset(bytes, seed).bytes))).size,
    ).toBeGreaterThan(30);
    expect(sha(bytes)).toBe(before);
  });
});

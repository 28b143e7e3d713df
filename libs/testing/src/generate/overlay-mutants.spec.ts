import { DatasetError, HeaderReader, overlayDataset, peekHeader, readHeader } from '@archipelago/dicom-encoding';
import { mutateDataset } from './mutate';
import { generateInstance } from './study';

const KINDS = ['ct', 'sr-comprehensive', 'enhanced-mr', 'rtplan'];
const SYNTAXES = ['implicit-le', 'explicit-le', 'explicit-be', 'deflated-le'];
const CHARSETS = ['latin1', 'japanese', 'utf8'];

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 777) yield bytes.subarray(at, at + 777);
}

describe('overlay of damaged datasets', () => {
  it('is refused, or holds what was wanted', async () => {
    const counts = { whole: 0, refused: 0 };
    for (let seed = 1; seed <= 150; seed++) {
      const instance = generateInstance({
        seed,
        kind: KINDS[seed % 4],
        transferSyntax: SYNTAXES[(seed >> 2) % 4],
        charset: CHARSETS[seed % 3],
        rows: 16,
        columns: 16,
      });
      const syntax = instance.transferSyntaxUid;
      const reader = new HeaderReader(syntax);
      try {
        const peeked = await peekHeader(pieces(mutateDataset(instance.dataset(), seed).bytes), syntax);
        const body = overlayDataset(peeked.dataset, syntax, {
          header: peeked.header,
          leftOut: peeked.leftOut,
          changes: [
            { tag: 'PatientName', values: [seed % 2 === 0 ? 'SHOWN' : 'Ἀθηνᾶ'] },
            { tag: 'PatientID', values: ['Q1'] },
            { tag: 'StudyDescription', values: null },
          ],
          modifyingSystem: 'ARCHIPELAGO',
          dateTime: '20261126120000+0000',
        });
        for await (const piece of body) reader.push(piece);
      } catch (error) {
        expect(error).toBeInstanceOf(DatasetError);
        counts.refused++;
        continue;
      }
      const view = readHeader(reader.end().header);
      expect([seed, view.strings('PatientID'), view.has('StudyDescription')]).toEqual([seed, ['Q1'], false]);
      counts.whole++;
    }
    expect(counts.whole).toBeGreaterThan(10);
    expect(counts.refused).toBeGreaterThan(10);
  });
});

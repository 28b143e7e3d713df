import { EXPLICIT_VR_BE, EXPLICIT_VR_LE, IMPLEMENTATION_CLASS_UID, IMPLICIT_VR_LE } from '@archipelago/dicom-core';
import { readPart10, readPart10Meta, writePart10Meta, type Part10MetaRead } from './index';
import { explicitElement, implicitElement, u32 } from './test-support/bytes';
import { collect, inPieces } from './test-support/read';

const META = {
  sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
  sopInstanceUid: '1.2.3.4',
  transferSyntaxUid: EXPLICIT_VR_LE,
  sourceAeTitle: 'CT1',
};
const DATASET = explicitElement(0x00100020, 'LO', 'abcd');

describe('Part 10', () => {
  it('writes a zero preamble, and a group 0002 whose length is right', () => {
    const bytes = writePart10Meta(META);
    expect(bytes.subarray(0, 128).every((byte) => byte === 0)).toBe(true);
    expect(bytes.toString('latin1', 128, 132)).toBe('DICM');
    expect(bytes.readUInt32LE(140)).toBe(bytes.length - 144);
    const read = readPart10Meta(Buffer.concat([bytes, DATASET])) as Part10MetaRead;
    expect(read).toMatchObject({ ...META, datasetOffset: bytes.length, warnings: [], receivingAeTitle: '' });
    expect(read.implementationClassUid).toBe(IMPLEMENTATION_CLASS_UID);
  });

  it('asks for more bytes until group 0002 is whole, and never misreads a part', () => {
    const meta = writePart10Meta(META);
    const file = Buffer.concat([meta, DATASET]);
    for (let length = 0; length <= file.length; length++) {
      const read = readPart10Meta(file.subarray(0, length));
      if (read) expect([length, read.datasetOffset]).toEqual([length, meta.length]);
      else expect(length).toBeLessThan(meta.length + 8);
    }
  });

  it('streams a file in pieces of any size', async () => {
    const file = Buffer.concat([writePart10Meta(META), DATASET]);
    for (const size of [1, 7, 131, 133, 1000]) {
      const { meta, dataset } = await readPart10(inPieces(file, size));
      expect(meta.sopInstanceUid).toBe('1.2.3.4');
      expect((await collect(dataset)).equals(DATASET)).toBe(true);
    }
  });

  it('tolerates a missing preamble, missing and wrong group lengths, a missing transfer syntax', () => {
    const whole = writePart10Meta(META);
    const group = whole.subarray(132);
    const cases: [Buffer, string[], number][] = [
      [group, ['no-preamble'], group.length],
      [whole.subarray(128), ['no-preamble'], group.length + 4],
      [Buffer.concat([whole.subarray(0, 132), group.subarray(12)]), ['no-group-length'], whole.length - 12],
      [Buffer.concat([whole.subarray(0, 140), u32(9999), whole.subarray(144)]), ['wrong-group-length'], whole.length],
      [Buffer.concat([Buffer.from('MZ'), whole.subarray(2)]), ['preamble-in-use'], whole.length],
    ];
    for (const [head, warnings, offset] of cases) {
      const read = readPart10Meta(Buffer.concat([head, DATASET]), true);
      expect(read).toMatchObject({ warnings, datasetOffset: offset, transferSyntaxUid: EXPLICIT_VR_LE });
    }
  });

  it('guesses the syntax of a dataset without meta information', () => {
    const big = Buffer.from([0, 0x10, 0, 0x20, 0x4c, 0x4f, 0, 2, 0x61, 0x62]);
    const guesses = [DATASET, implicitElement(0x00100020, 'abcd'), big].map((bytes) => {
      const read = readPart10Meta(bytes, true);
      expect(read).toMatchObject({ datasetOffset: 0, warnings: ['no-preamble', 'no-meta', 'no-transfer-syntax'] });
      return read?.transferSyntaxUid;
    });
    expect(guesses).toEqual([EXPLICIT_VR_LE, IMPLICIT_VR_LE, EXPLICIT_VR_BE]);
  });

  it('refuses what is no DICOM, and a group 0002 without end', () => {
    const refused = (bytes: Buffer, end: boolean): unknown => {
      try {
        return readPart10Meta(bytes, end);
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(refused(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n'.repeat(20)), false)).toBe('not-dicom');
    expect(refused(Buffer.alloc(0), true)).toBe('not-dicom');
    const huge = Buffer.concat([
      Buffer.alloc(128),
      Buffer.from('DICM'),
      explicitElement(0x00020001, 'OB', 'ab', 0xfffffff0),
    ]);
    expect(refused(Buffer.concat([huge, Buffer.alloc(100)]), false)).toBe('truncated');
    const many = Buffer.concat(Array.from({ length: 40_000 }, () => explicitElement(0x00020016, 'AE', 'AB')));
    expect(refused(Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), many]), false)).toBe('header-too-large');
  });
});

import { dicomJson, EXPLICIT_VR_BE, EXPLICIT_VR_LE, IMPLICIT_VR_LE, type DicomJson } from '@archipelago/dicom-core';
import { compressHeader, DatasetError, decompressHeader, parseDataset, readHeader, writeDataset } from './index';
import { explicitElement, item } from './test-support/bytes';

describe('Dataset', () => {
  const bytes = Buffer.concat([
    explicitElement(0x00080005, 'CS', 'ISO_IR 144'),
    explicitElement(0x00080008, 'CS', 'ORIGINAL\\PRIMARY\\'),
    explicitElement(0x00081110, 'SQ', item(explicitElement(0x00104000, 'LT', '\xbb '))),
    explicitElement(
      0x00081111,
      'SQ',
      item(
        Buffer.concat([
          explicitElement(0x00080005, 'CS', 'ISO_IR 100'),
          explicitElement(0x00100010, 'PN', 'M\xfcller'),
          explicitElement(0x00081110, 'SQ', item(explicitElement(0x00104000, 'LT', '\xe4\xf6'))),
        ]),
      ),
    ),
    explicitElement(0x00100010, 'PN', '\xbb\xee'),
    explicitElement(0x00180050, 'DS', ' 1.50\\x\\-2e1 '),
    explicitElement(0x00201206, 'IS', ''),
    explicitElement(0x00280009, 'AT', Buffer.of(0x18, 0, 0x63, 0x10)),
    explicitElement(0x00280010, 'US', Buffer.of(0, 2)),
    explicitElement(0x00291010, 'FD', Buffer.concat([Buffer.from('000000000000f87f', 'hex'), Buffer.alloc(8)])),
    explicitElement(0x00420011, 'OB', Buffer.of(1, 2)),
  ]);
  const view = parseDataset(bytes, EXPLICIT_VR_LE);

  it('decodes with the character set of the level', () => {
    expect(view.string('PatientName')).toBe('Лю');
    expect(view.items('ReferencedStudySequence')[0].string('PatientComments')).toBe('Л');
    const inner = view.items('ReferencedPerformedProcedureStepSequence')[0];
    expect(inner.string('PatientName')).toBe('Müller');
    expect(inner.items('ReferencedStudySequence')[0].string('PatientComments')).toBe('äö');
  });

  it('reads texts, numbers and bytes, and is empty for what is absent', () => {
    expect(view.strings('ImageType')).toEqual(['ORIGINAL', 'PRIMARY', '']);
    expect(view.numbers('SliceThickness')).toEqual([1.5, -20]);
    expect(view.number('Rows')).toBe(512);
    expect(view.string('Rows')).toBe('512');
    expect(view.bytes('EncapsulatedDocument')).toEqual(Buffer.of(1, 2));
    expect([view.string('PatientID'), view.number('NumberOfFrames'), view.bytes('PixelData')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(view.has('NumberOfStudyRelatedSeries')).toBe(true);
    expect(view.items('PatientName')).toEqual([]);
    expect(() => view.has('NoSuchKeyword')).toThrow(RangeError);
  });

  it('gives DICOM JSON: nulls, numbers, names, inline binary', () => {
    const json = view.toDicomJson();
    expect(json['00080008'].Value).toEqual(['ORIGINAL', 'PRIMARY', null]);
    expect(json['00180050'].Value).toEqual([1.5, 'x', -20]);
    expect(json['00201206']).toEqual({ vr: 'IS' });
    expect(json['00280009'].Value).toEqual(['00181063']);
    expect(json['00291010'].Value).toEqual(['NaN', 0]);
    expect(json['00420011']).toEqual({ vr: 'OB', InlineBinary: 'AQI=' });
    expect(json['00100010'].Value).toEqual([{ Alphabetic: 'Лю' }]);
  });

  it('has one fingerprint for equal elements, and another for any change of them or of their character set', () => {
    const print = (...elements: Buffer[]) =>
      readHeader(Buffer.concat(elements)).fingerprint([0x00100010, 0x00081110, 0x00100020]);
    const name = explicitElement(0x00100010, 'PN', '\xbb\xee');
    const sequence = (text: string) => explicitElement(0x00081110, 'SQ', item(explicitElement(0x00104000, 'LT', text)));
    const base = print(sequence('a '), name);
    expect(print(sequence('a '), name, explicitElement(0x00201206, 'IS', '3 '))).toBe(base);
    const others = [
      print(sequence('b '), name),
      print(name),
      print(sequence('a '), name, explicitElement(0x00100020, 'LO', '')),
      print(explicitElement(0x00080005, 'CS', 'ISO_IR 144'), sequence('a '), name),
      print(sequence('a ')),
    ];
    expect(new Set([base, ...others]).size).toBe(6);
  });

  it('refuses bytes that are no canonical header', () => {
    for (const wrong of [Buffer.alloc(5), Buffer.alloc(40, 0xff), explicitElement(0x00104000, 'LT', 'x', 900)]) {
      expect(() => readHeader(wrong)).toThrow(DatasetError);
    }
  });

  it('compresses and checks the length on the way back', () => {
    const compressed = compressHeader(bytes);
    expect(decompressHeader(compressed, bytes.length).equals(bytes)).toBe(true);
    expect(() => decompressHeader(compressed, bytes.length - 1)).toThrow(DatasetError);
    expect(() => decompressHeader(compressed, bytes.length + 1)).toThrow(DatasetError);
    expect(() => decompressHeader(compressHeader(Buffer.alloc(50_000_000)), 1000)).toThrow(DatasetError);
  });
});

describe('writeDataset', () => {
  it('writes even lengths and the right padding', () => {
    const bytes = writeDataset(dicomJson({ PatientID: 'abc', StudyInstanceUID: '1.2' }), EXPLICIT_VR_LE);
    expect(bytes).toEqual(
      Buffer.concat([explicitElement(0x00100020, 'LO', 'abc '), explicitElement(0x0020000d, 'UI', '1.2\0')]),
    );
  });

  it('names the character set where text needs it, and converts all to ISO_IR 192 where text does not fit', () => {
    const latin = writeDataset(dicomJson({ PatientName: 'Müller' }), EXPLICIT_VR_LE, ['ISO_IR 100']);
    expect(latin.includes(Buffer.from('M\xfcller', 'latin1'))).toBe(true);
    expect(parseDataset(latin, EXPLICIT_VR_LE).string('SpecificCharacterSet')).toBe('ISO_IR 100');
    const plain = { PatientName: 'Müller', RequestAttributesSequence: [{ ScheduledProcedureStepDescription: '頭部' }] };
    const view = parseDataset(writeDataset(dicomJson(plain), IMPLICIT_VR_LE, ['ISO_IR 100']), IMPLICIT_VR_LE);
    expect(view.string('SpecificCharacterSet')).toBe('ISO_IR 192');
    expect(view.string('PatientName')).toBe('Müller');
    expect(view.items('RequestAttributesSequence')[0].string('ScheduledProcedureStepDescription')).toBe('頭部');
    const ascii = parseDataset(
      writeDataset(dicomJson({ PatientName: 'X' }), EXPLICIT_VR_LE, ['ISO_IR 192']),
      EXPLICIT_VR_LE,
    );
    expect(ascii.has('SpecificCharacterSet')).toBe(false);
  });

  it('writes empty elements, several values and failed UID lists', () => {
    const uids = Array.from({ length: 3 }, (_, i) => `1.2.${i}`);
    const json = dicomJson({ FailedSOPInstanceUIDList: uids, AccessionNumber: null, QueryRetrieveLevel: 'IMAGE' });
    for (const uid of [IMPLICIT_VR_LE, EXPLICIT_VR_LE, EXPLICIT_VR_BE]) {
      const view = parseDataset(writeDataset(json, uid), uid);
      expect(view.strings('FailedSOPInstanceUIDList')).toEqual(uids);
      expect(view.has('AccessionNumber')).toBe(true);
      expect(view.toDicomJson()).toEqual(json);
    }
  });

  it('refuses what the VR cannot hold', () => {
    const cases: DicomJson[] = [
      { '00280010': { vr: 'US', Value: [70_000] } },
      { '00280010': { vr: 'US', Value: ['x'] } },
      { '00200013': { vr: 'IS', Value: [1.5] } },
      { '00080060': { vr: 'CS', Value: ['Ü'] } },
      { '7FE00010': { vr: 'OW', BulkDataURI: 'x' } },
      { '00280010': { vr: 'ZZ', Value: [1] } },
      { nonsense: { vr: 'LO', Value: ['x'] } },
    ];
    for (const json of cases) expect(() => writeDataset(json, EXPLICIT_VR_LE)).toThrow(DatasetError);
  });
});

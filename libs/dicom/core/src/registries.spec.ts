import {
  dicomJson,
  dictionaryEntries,
  formatDecimalString,
  generateUid,
  isPatientless,
  isStorageSopClass,
  isValidUid,
  judgeUid,
  keywordOf,
  lookupKeyword,
  lookupPrivate,
  lookupTag,
  parseDecimalString,
  parseIntegerString,
  parseTag,
  queryRetrieveSopClass,
  queryRetrieveSopClasses,
  splitValues,
  storageSopClasses,
  tagOf,
  tagToText,
  transferSyntax,
  transferSyntaxes,
  uuidToUid,
  vrRule,
} from './index';

describe('data dictionary', () => {
  it('finds elements by tag and keyword, repeating groups, retired ones', () => {
    expect(lookupTag(0x00100020)).toMatchObject({ keyword: 'PatientID', vr: 'LO', vm: '1', retired: false });
    expect(lookupKeyword('StudyInstanceUID')?.tag).toBe(0x0020000d);
    expect(keywordOf(0x60063000)).toBe('OverlayData');
    expect(lookupTag(0x50100005)?.retired).toBe(true);
    expect(lookupTag(0x00280106)?.vr).toBe('US/SS');
    expect(lookupTag(0x00091001)).toBeUndefined();
    expect(tagOf('(0010,0020)')).toBe(0x00100020);
    expect([parseTag('7fe00010'), parseTag('x')]).toEqual([0x7fe00010, undefined]);
    expect(tagToText(0x7fe00010)).toBe('(7FE0,0010)');
  });

  it('knows every VR it names, and every keyword once', () => {
    const entries = dictionaryEntries();
    expect(entries.length).toBeGreaterThan(5000);
    for (const { vr } of entries) {
      if (vr !== '--') for (const one of vr.split('/')) expect([one, vrRule(one)?.vr]).toEqual([one, one]);
    }
    const keywords = entries.map((entry) => entry.keyword).filter((keyword) => keyword !== '');
    expect(new Set(keywords).size).toBe(keywords.length);
  });

  it('finds private elements by their creator', () => {
    expect(lookupPrivate(0x00191024, 'GEMS_ACQU_01')?.vr).toBe('DS');
    expect(lookupPrivate(0x00195524, 'GEMS_ACQU_01')?.vr).toBe('DS');
    expect(lookupPrivate(0x00191024, 'NOBODY')).toBeUndefined();
  });

  it('makes DICOM JSON of plain values', () => {
    expect(
      dicomJson({ PatientName: 'A^B', Rows: 5, OtherPatientIDsSequence: [{ PatientID: 'x' }], StudyDate: null }),
    ).toEqual({
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'A^B' }] },
      '00280010': { vr: 'US', Value: [5] },
      '00101002': { vr: 'SQ', Value: [{ '00100020': { vr: 'LO', Value: ['x'] } }] },
      '00080020': { vr: 'DA' },
    });
    expect(() => dicomJson({ NoSuchThing: 'x' })).toThrow(RangeError);
  });
});

describe('SOP classes', () => {
  it('has every storage class, the patientless ones marked with their model', () => {
    expect(storageSopClasses().length).toBeGreaterThan(190);
    for (const uid of ['1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.5.1.4.1.1.66.7', '1.2.840.10008.5.1.4.1.1.88.67']) {
      expect([uid, isStorageSopClass(uid), isPatientless(uid)]).toEqual([uid, true, false]);
    }
    const patientless = storageSopClasses().filter((sopClass) => sopClass.patientless);
    expect(patientless).toHaveLength(9);
    expect(isStorageSopClass('1.2.840.10008.1.20.1')).toBe(false);
    expect(isStorageSopClass('1.2.840.10008.1.1')).toBe(false);
    expect(isPatientless('1.2.3')).toBe(false);
  });

  it('every model of query and retrieve covers storage classes that exist', () => {
    expect(queryRetrieveSopClass('1.2.840.10008.5.1.4.1.2.2.1')).toMatchObject({
      model: 'study-root',
      operation: 'FIND',
    });
    expect(queryRetrieveSopClass('1.2.840.10008.5.1.4.1.2.3.1')?.retired).toBe(true);
    expect(queryRetrieveSopClasses()).toHaveLength(36);
    for (const { uid, name, operation, storageClasses, model } of queryRetrieveSopClasses()) {
      expect([uid, name.toUpperCase().includes(operation)]).toEqual([uid, true]);
      for (const storage of storageClasses) {
        expect(storageSopClasses().find((sopClass) => sopClass.uid === storage)?.model).toBe(model);
      }
    }
  });
});

describe('transfer syntaxes', () => {
  it('says what each means', () => {
    expect(transferSyntaxes().length).toBeGreaterThan(55);
    expect(transferSyntax('1.2.840.10008.1.2')).toMatchObject({ implicit: true, native: true, encapsulated: false });
    expect(transferSyntax('1.2.840.10008.1.2.2')).toMatchObject({ bigEndian: true, native: true, retired: true });
    expect(transferSyntax('1.2.840.10008.1.2.1.99')).toMatchObject({ deflated: true, native: true });
    expect(transferSyntax('1.2.840.10008.1.2.4.50')).toMatchObject({ encapsulated: true, lossy: true, video: false });
    expect(transferSyntax('1.2.840.10008.1.2.4.90')).toMatchObject({ encapsulated: true, lossy: false });
    expect(transferSyntax('1.2.840.10008.1.2.4.102.1')).toMatchObject({ video: true, lossy: true });
    expect(transferSyntax('1.2.840.10008.1.2.4.95')).toMatchObject({ deflated: true, referenced: true });
    expect(transferSyntax('1.2.840.10008.1.2.8.1')).toMatchObject({ known: true, deflated: false, encapsulated: true });
    expect(transferSyntax('1.2.3')).toMatchObject({ known: false, implicit: false, encapsulated: true, native: false });
  });
});

describe('UIDs', () => {
  it.each([
    ['1.2.840.10008.1.1', true, true],
    ['0', true, true],
    ['1.02.3', false, true],
    ['1..2', false, false],
    ['1.2.', false, false],
    ['', false, false],
    [`1.${'2'.repeat(63)}`, false, true],
    [`1.${'2'.repeat(200)}`, false, false],
    ['1.2.ab-12', false, true],
    ['../../../../tmp/evil', false, false],
    ['1.2*', false, false],
    ['1.2\n3', false, false],
  ])('%j valid %s, acceptable %s', (uid, valid, acceptable) => {
    expect(isValidUid(uid)).toBe(valid);
    expect(judgeUid(uid)).toMatchObject({ valid, acceptable });
    expect(judgeUid(uid).oddities.length > 0).toBe(!valid);
  });

  it('generates valid ones of a UUID', () => {
    const uids = new Set(Array.from({ length: 1000 }, generateUid));
    expect(uids.size).toBe(1000);
    for (const uid of uids) expect(isValidUid(uid)).toBe(true);
    expect(uuidToUid(Buffer.from('f81d4fae7dec41d0a76500a0c91e6bf6', 'hex'))).toBe(
      `2.25.${BigInt('0xf81d4fae7dec41d0a76500a0c91e6bf6')}`,
    );
  });
});

describe('values', () => {
  it('splits and trims', () => {
    expect(splitValues(' A\\ B \\', 'LO')).toEqual(['A', 'B', '']);
    expect(splitValues('  a\\b  ', 'LT')).toEqual(['  a\\b']);
    expect(splitValues('1.2\0', 'UI')).toEqual(['1.2']);
    expect(splitValues('   ', 'LO')).toEqual([]);
  });

  it('reads and writes number strings', () => {
    expect([' 1.5 ', '-2E3', '+.5', '1.', 'x', '', '1,5', 'Infinity'].map(parseDecimalString)).toEqual([
      1.5,
      -2000,
      0.5,
      1,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(['12', '-3 ', '1.0', '1A'].map(parseIntegerString)).toEqual([12, -3, 1, undefined]);
    for (const value of [Math.PI, -Math.PI * 1e-7, 1e300 / 3, -1.7976931348623157e308, 123456789012345680, 1 / 3]) {
      const text = formatDecimalString(value);
      expect(text.length).toBeLessThanOrEqual(16);
      expect(Math.abs(Number(text) / value - 1)).toBeLessThan(1e-8);
    }
  });
});

import {
  DEFLATED_EXPLICIT_VR_LE,
  EXPLICIT_VR_BE,
  EXPLICIT_VR_LE,
  IMPLICIT_VR_LE,
  type DicomJson,
} from '@archipelago/dicom-core';
import {
  mapBackChanges,
  overlayDataset,
  peekHeader,
  readHeader,
  writeDataset,
  type HeaderLimits,
  type OverlayOptions,
  type TagChange,
} from './index';
import { explicitElement, implicitElement, item, ITEM_END, SEQUENCE_END, UNDEFINED } from './test-support/bytes';
import { randomDataset, Seeded } from './test-support/random-dataset';
import { collect, inPieces, readWhole } from './test-support/read';

const NATIVE = [IMPLICIT_VR_LE, EXPLICIT_VR_LE, EXPLICIT_VR_BE, DEFLATED_EXPLICIT_VR_LE];
const JPEG = '1.2.840.10008.1.2.4.50';
const WHO = { modifyingSystem: 'ARCHIPELAGO', dateTime: '20261126120000+0000', sourceOfPreviousValues: 'NORTH' };

async function overlay(
  bytes: Buffer,
  syntax: string,
  changes: TagChange[],
  size = 4096,
  further: Partial<OverlayOptions> = {},
): Promise<Buffer> {
  const { header, leftOut } = readWhole(bytes, syntax);
  const options = { ...WHO, header, leftOut, changes, ...further };
  return collect(overlayDataset(inPieces(bytes, size), syntax, options));
}

function view(bytes: Buffer, syntax: string) {
  const { header, leftOut, pixel } = readWhole(bytes, syntax);
  return readHeader(header, { leftOut, pixel });
}

/** One item of OriginalAttributesSequence as overlayDataset writes it, in Explicit VR Little Endian. */
function originals(modified: Buffer): Buffer {
  return item(
    Buffer.concat([
      explicitElement(0x04000550, 'SQ', item(modified)),
      explicitElement(0x04000562, 'DT', '20261126120000+0000 '),
      explicitElement(0x04000563, 'LO', 'ARCHIPELAGO '),
      explicitElement(0x04000564, 'LO', 'NORTH '),
      explicitElement(0x04000565, 'CS', 'COERCE'),
    ]),
  );
}

const PATIENT = explicitElement(0x00100010, 'PN', 'DOE^JANE');
const STUDY_UID = explicitElement(0x0020000d, 'UI', '1.2.3\0');
const FRAGMENTS = Buffer.concat([
  explicitElement(0x7fe00010, 'OB', '', UNDEFINED),
  item(Buffer.alloc(0)),
  item(Buffer.from('fffefffe00000000ffd8ffd9'.repeat(20), 'hex')),
  SEQUENCE_END,
]);

describe('overlayDataset', () => {
  it('changes what it should and nothing else, in every native syntax and any chunk size', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const json: DicomJson = randomDataset(new Seeded(seed), 40, 3);
      json['00100020'] = { vr: 'LO', Value: ['LOCAL-1'] };
      json['00081030'] = { vr: 'LO', Value: ['kopf'] };
      delete json['00100010'];
      json['00101010'] = { vr: 'AS', Value: ['033Y'] };
      delete json['04000561'];
      json['7FE00010'] = { vr: 'OW', InlineBinary: Buffer.alloc(3000, seed).toString('base64') };
      const changes: TagChange[] = [
        { tag: 'PatientID', values: ['ARC-7'] },
        { tag: 'PatientName', values: ['DOE^JANE'] },
        { tag: 'StudyDescription', values: [] },
        { tag: 'PatientAge', values: null },
      ];
      for (const syntax of NATIVE) {
        const stored = writeDataset(json, syntax);
        const shown = await overlay(stored, syntax, changes, 1 + ((seed * 331) % 700));
        const expected = { ...view(stored, syntax).toDicomJson({ bulkDataUri: () => 'bulk' }) };
        const result = view(shown, syntax).toDicomJson({ bulkDataUri: () => 'bulk' });
        expect(result['04000561'].Value).toEqual([
          {
            '04000550': {
              vr: 'SQ',
              Value: [
                {
                  '00081030': expected['00081030'],
                  '00100020': expected['00100020'],
                  '00101010': expected['00101010'],
                },
              ],
            },
            '04000562': { vr: 'DT', Value: ['20261126120000+0000'] },
            '04000563': { vr: 'LO', Value: ['ARCHIPELAGO'] },
            '04000564': { vr: 'LO', Value: ['NORTH'] },
            '04000565': { vr: 'CS', Value: ['COERCE'] },
          },
        ]);
        delete result['04000561'];
        expected['00100020'] = { vr: 'LO', Value: ['ARC-7'] };
        expected['00100010'] = { vr: 'PN', Value: [{ Alphabetic: 'DOE^JANE' }] };
        expected['00081030'] = { vr: 'LO' };
        delete expected['00101010'];
        expect(result).toEqual(expected);
        if (syntax !== DEFLATED_EXPLICIT_VR_LE) {
          expect(shown.subarray(shown.length - 3000)).toEqual(Buffer.alloc(3000, seed));
        }
      }
    }
  });

  it('keeps every other byte: odd heads, undefined lengths, private elements, fragments, what stands behind', async () => {
    const before = Buffer.concat([
      explicitElement(0x00080000, 'UL', Buffer.from([24, 0, 0, 0])),
      explicitElement(0x00080005, 'CS', 'ISO_IR 100'),
      explicitElement(0x00080060, 'CS', 'CT'),
      explicitElement(0x00091010, 'UN', Buffer.from('00010203', 'hex')),
    ]);
    const nested = Buffer.concat([
      explicitElement(0x00101002, 'SQ', '', UNDEFINED),
      item(explicitElement(0x00100020, 'LO', 'INNER '), UNDEFINED),
      ITEM_END,
      SEQUENCE_END,
    ]);
    const signatures = explicitElement(0xfffafffa, 'SQ', item(explicitElement(0x04000005, 'US', Buffer.of(1, 0))));
    const behind = Buffer.concat([STUDY_UID, explicitElement(0x4ffe0001, 'SQ', ''), FRAGMENTS]);
    const groupLength = explicitElement(0x00100000, 'UL', Buffer.from([99, 0, 0, 0]));
    const stored = Buffer.concat([before, groupLength, PATIENT, nested, behind, signatures]);
    const expected = Buffer.concat([
      before,
      explicitElement(0x00100010, 'PN', Buffer.from('M\xfcller^J', 'latin1')),
      nested,
      STUDY_UID,
      explicitElement(0x04000561, 'SQ', originals(PATIENT)),
      FRAGMENTS,
    ]);
    for (const size of [1, 2, 7, 8, 13, 64, 4096]) {
      const shown = await overlay(stored, JPEG, [{ tag: 'PatientName', values: ['Müller^J'] }], size);
      expect(shown.equals(expected)).toBe(true);
    }
  });

  it('passes on the stored bytes when every value is already so, deflated ones too', async () => {
    const json: DicomJson = {
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'DOE^JANE' }] },
      '00101030': { vr: 'DS', Value: [70.5] },
    };
    const changes: TagChange[] = [
      { tag: 'PatientName', values: ['DOE^JANE'] },
      { tag: 'PatientWeight', values: ['70.50'] },
      { tag: 'PatientAge', values: null },
    ];
    for (const syntax of NATIVE) {
      const stored = writeDataset(json, syntax);
      expect((await overlay(stored, syntax, changes)).equals(stored)).toBe(true);
    }
  });

  it('adds its item to the originals that are there, whether their lengths are defined or not', async () => {
    const older = originals(explicitElement(0x00100020, 'LO', 'OLDEST'));
    const expected = Buffer.concat([
      explicitElement(0x00100010, 'PN', 'X '),
      explicitElement(0x04000561, 'SQ', '', UNDEFINED),
      older,
      originals(PATIENT),
      SEQUENCE_END,
    ]);
    const forms = [
      explicitElement(0x04000561, 'SQ', older),
      Buffer.concat([explicitElement(0x04000561, 'SQ', '', UNDEFINED), older, SEQUENCE_END]),
    ];
    for (const form of forms) {
      const stored = Buffer.concat([PATIENT, form]);
      for (const size of [1, 5, 999]) {
        const shown = await overlay(stored, EXPLICIT_VR_LE, [{ tag: 'PatientName', values: ['X'] }], size);
        expect(shown.equals(expected)).toBe(true);
      }
    }
  });

  it('tells nothing of what is hidden, nor lets the dataset itself tell of it', async () => {
    const stored = Buffer.concat([
      PATIENT,
      explicitElement(0x00100020, 'LO', 'P1'),
      explicitElement(0x04000561, 'SQ', originals(explicitElement(0x00100010, 'PN', 'MAIDEN'))),
    ]);
    const hidden = await overlay(stored, EXPLICIT_VR_LE, [{ tag: 'PatientName', values: null, hideOriginal: true }]);
    expect(hidden.equals(explicitElement(0x00100020, 'LO', 'P1'))).toBe(true);
    const both = await overlay(stored, EXPLICIT_VR_LE, [
      { tag: 'PatientName', values: [], hideOriginal: true },
      { tag: 'PatientID', values: ['Q'] },
    ]);
    expect(both.includes('MAIDEN') || both.includes('JANE')).toBe(false);
    expect(view(both, EXPLICIT_VR_LE).items('OriginalAttributesSequence')).toHaveLength(1);
  });

  it.each([
    ['ISO_IR 100', 'Müller^Änne', 'Schädel'],
    ['ISO_IR 144', 'Люкceмбypг', 'Череп'],
    ['\\ISO 2022 IR 87', 'Yamada^Tarou=山田^太郎=やまだ^たろう', '頭'],
    ['GBK', 'Wang^XiaoDong=王^小东', '头'],
    ['ISO_IR 203', 'Œuvrard^Žofie', 'Tête'],
    ['\\ISO 2022 IR 58', 'Zhang^XiaoDong=张^小东', '头'],
    ['ISO_IR 13', 'ﾔﾏﾀﾞ^ﾀﾛｳ', 'ﾀﾛｳ'],
  ])('%s: what does not fit makes everything ISO_IR 192, in items too', async (charset, name, description) => {
    const json: DicomJson = {
      '00080005': { vr: 'CS', Value: charset.split('\\') },
      '00081030': { vr: 'LO', Value: [description] },
      '00100010': { vr: 'PN', Value: [name] },
      '00400275': {
        vr: 'SQ',
        Value: [
          { '00400007': { vr: 'LO', Value: [description] }, '00400008': { vr: 'SQ', Value: [] } },
          { '00321060': { vr: 'LO', Value: ['plain'] } },
        ],
      },
      '7FE00010': { vr: 'OW', InlineBinary: Buffer.alloc(100, 0xe4).toString('base64') },
    };
    for (const syntax of NATIVE) {
      const stored = writeDataset(json, syntax);
      expect(view(stored, syntax).string('SpecificCharacterSet')).not.toBe('ISO_IR 192');
      for (const size of [1, 50, 5000]) {
        const shown = await overlay(stored, syntax, [{ tag: 'PatientName', values: ['Ἀθηνᾶ^한국'] }], size);
        const result = view(shown, syntax);
        expect(result.strings('SpecificCharacterSet')).toEqual(['ISO_IR 192']);
        expect(result.string('PatientName')).toBe('Ἀθηνᾶ^한국');
        expect(result.string('StudyDescription')).toBe(description);
        const [first, second] = result.items('RequestAttributesSequence');
        expect(first.string('ScheduledProcedureStepDescription')).toBe(description);
        expect(second.string('RequestedProcedureDescription')).toBe('plain');
        const modified = result.items('OriginalAttributesSequence')[0].items('ModifiedAttributesSequence')[0];
        expect(modified.string('PatientName')).toBe(view(stored, syntax).string('PatientName'));
        if (syntax !== DEFLATED_EXPLICIT_VR_LE) {
          expect(shown.subarray(shown.length - 100)).toEqual(Buffer.alloc(100, 0xe4));
        }
      }
    }
  });

  it('reads items in their own character set while it converts, and drops that', async () => {
    const inner = Buffer.concat([
      explicitElement(0x00080005, 'CS', 'ISO_IR 144'),
      explicitElement(0x00081030, 'LO', Buffer.from([0xb3, 0xde, 0xdb, 0xde, 0xd2, 0xd0])),
    ]);
    const stored = Buffer.concat([
      explicitElement(0x00080005, 'CS', 'ISO_IR 100'),
      explicitElement(0x00081110, 'SQ', item(inner)),
      explicitElement(0x00081115, 'SQ', '', 0),
      explicitElement(0x00100010, 'PN', Buffer.from('M\xfcller', 'latin1')),
    ]);
    const shown = await overlay(stored, EXPLICIT_VR_LE, [{ tag: 'PatientID', values: ['Λ'] }], 9);
    const result = view(shown, EXPLICIT_VR_LE);
    expect(result.items(0x00081110)[0].string('StudyDescription')).toBe('Голова');
    expect(result.items(0x00081110)[0].has('SpecificCharacterSet')).toBe(false);
    expect(result.string('PatientName')).toBe('Müller');
    expect(result.string('PatientID')).toBe('Λ');
  });

  it('goes by the encoding that is there, not by the one that was agreed', async () => {
    const stored = Buffer.concat([
      implicitElement(0x00080060, 'CT'),
      implicitElement(0x00100010, 'DOE^JANE'),
      implicitElement(0x00100020, 'P1'),
    ]);
    const shown = await overlay(stored, EXPLICIT_VR_LE, [{ tag: 'PatientID', values: ['Q1'] }], 3);
    expect(shown.subarray(0, 26)).toEqual(stored.subarray(0, 26));
    expect(view(shown, IMPLICIT_VR_LE).string('PatientID')).toBe('Q1');
  });

  it('copes with elements out of order, twice, and bytes behind the dataset', async () => {
    const stored = Buffer.concat([
      STUDY_UID,
      explicitElement(0x00100020, 'LO', 'P1'),
      explicitElement(0x00100020, 'LO', 'P2'),
      explicitElement(0x7fe00010, 'OW', Buffer.alloc(10)),
      Buffer.alloc(40),
    ]);
    const shown = await overlay(stored, EXPLICIT_VR_LE, [
      { tag: 'PatientID', values: ['Q1'] },
      { tag: 'PatientName', values: ['N '] },
    ]);
    const result = view(shown, EXPLICIT_VR_LE);
    expect(result.strings('PatientID')).toEqual(['Q1']);
    expect(result.string('PatientName')).toBe('N');
    expect(shown.subarray(shown.length - 40)).toEqual(Buffer.alloc(40));
    expect(readWhole(shown, EXPLICIT_VR_LE).warnings).toEqual(['trailing-bytes']);
  });

  it('puts what belongs to the end before bytes behind the dataset', async () => {
    const stored = Buffer.concat([STUDY_UID, FRAGMENTS, Buffer.alloc(24)]);
    const shown = await overlay(stored, JPEG, [{ tag: 'PatientID', values: ['Q1'] }], 11);
    expect(shown).toEqual(
      Buffer.concat([explicitElement(0x00100020, 'LO', 'Q1'), STUDY_UID, FRAGMENTS, Buffer.alloc(24)]),
    );
  });

  it.each(['StudyInstanceUID', 'SOPClassUID', 'Rows', 'PixelData', 'SpecificCharacterSet', '00091010', '00020010'])(
    'never changes %s',
    async (tag) => {
      await expect(overlay(STUDY_UID, EXPLICIT_VR_LE, [{ tag, values: null }])).rejects.toMatchObject({
        code: 'not-encodable',
      });
    },
  );

  it('refuses values that the VR cannot hold', async () => {
    const bad: TagChange[] = [
      { tag: 'Modality', values: ['Ä'] },
      { tag: 'PatientName', values: ['\ud800'] },
      { tag: 'ReferencedStudySequence', values: ['x'] },
      { tag: 'AcquisitionNumber', values: [1.5] },
    ];
    for (const change of bad) {
      await expect(overlay(PATIENT, EXPLICIT_VR_LE, [change])).rejects.toMatchObject({ code: 'not-encodable' });
    }
  });

  it('stays within the memory of a chunk while a large object passes', async () => {
    const chunk = Buffer.alloc(1 << 20, 7);
    const count = 300;
    async function* large(): AsyncGenerator<Buffer> {
      yield Buffer.concat([PATIENT, explicitElement(0x7fe00010, 'OW', '', count << 20)]);
      for (let i = 0; i < count; i++) yield chunk;
    }
    const peeked = await peekHeader(large(), EXPLICIT_VR_LE);
    const options = { ...WHO, header: peeked.header, changes: [{ tag: 'PatientName', values: ['X'] }] };
    let length = 0;
    let most = 0;
    for await (const piece of overlayDataset(peeked.dataset, EXPLICIT_VR_LE, options)) {
      length += piece.length;
      most = Math.max(most, piece.length);
      if (piece.length === chunk.length) expect(piece.buffer === chunk.buffer).toBe(true);
    }
    expect(length).toBeGreaterThan(count << 20);
    expect(most).toBeLessThanOrEqual(chunk.length);
  });
});

describe('peekHeader', () => {
  it('reads up to the pixel data and gives the whole stream back', async () => {
    const stored = Buffer.concat([PATIENT, STUDY_UID, FRAGMENTS]);
    const peeked = await peekHeader(inPieces(stored, 10), JPEG);
    expect(readHeader(peeked.header).string('PatientName')).toBe('DOE^JANE');
    expect((await collect(peeked.dataset)).equals(stored)).toBe(true);
    const short = await peekHeader(inPieces(PATIENT, 3), JPEG);
    expect(short.header.equals(PATIENT)).toBe(true);
    expect((await collect(short.dataset)).equals(PATIENT)).toBe(true);
  });

  it('holds no more than its limit', async () => {
    const limits: HeaderLimits = { maxHeaderBytes: 10_000 };
    const stored = explicitElement(0x00420011, 'OB', Buffer.alloc(100_000));
    await expect(peekHeader(inPieces(stored, 1000), EXPLICIT_VR_LE, limits)).rejects.toMatchObject({
      code: 'header-too-large',
    });
  });
});

describe('mapBackChanges', () => {
  const shown = [
    { tag: 'PatientID', shown: ['ARC-7'], original: ['LOCAL-1'] },
    { tag: 'PatientName', shown: ['DOE^JANE'], original: ['DOE^J'] },
    { tag: 'PatientWeight', shown: [70.5], original: null },
    { tag: 'PatientAge', shown: null, original: ['033Y'] },
  ];

  it('puts the originals where the shown values came back, and tells what the peer changed', async () => {
    const json: DicomJson = {
      '00100010': { vr: 'PN', Value: ['ROE^JANE'] },
      '00100020': { vr: 'LO', Value: ['ARC-7'] },
      '00101030': { vr: 'DS', Value: [70.5] },
    };
    const stored = writeDataset(json, IMPLICIT_VR_LE);
    const { changes, altered } = mapBackChanges(view(stored, IMPLICIT_VR_LE), shown);
    expect(altered).toEqual([0x00100010]);
    const back = view(await overlay(stored, IMPLICIT_VR_LE, changes), IMPLICIT_VR_LE);
    expect(back.string('PatientID')).toBe('LOCAL-1');
    expect(back.string('PatientName')).toBe('ROE^JANE');
    expect(back.string('PatientAge')).toBe('033Y');
    expect(back.has('PatientWeight')).toBe(false);
    expect(back.has('OriginalAttributesSequence')).toBe(false);
  });

  it('leaves originals alone', () => {
    const stored = writeDataset(
      { '00100010': { vr: 'PN', Value: ['DOE^J^^'] }, '00100020': { vr: 'LO', Value: ['LOCAL-1'] } },
      IMPLICIT_VR_LE,
    );
    const known = shown.slice(0, 3);
    expect(mapBackChanges(view(stored, IMPLICIT_VR_LE), known)).toEqual({ changes: [], altered: [] });
  });
});

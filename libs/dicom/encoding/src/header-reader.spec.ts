import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import {
  DEFLATED_EXPLICIT_VR_LE,
  EXPLICIT_VR_BE,
  EXPLICIT_VR_LE,
  IMPLICIT_VR_LE,
  tagToHex,
} from '@archipelago/dicom-core';
import { DatasetError, HeaderReader, readHeader, writeDataset } from './index';
import {
  explicitElement,
  implicitElement,
  item,
  ITEM_END,
  SEQUENCE_END,
  tagBytes,
  u32,
  UNDEFINED,
} from './test-support/bytes';
import { randomDataset, Seeded } from './test-support/random-dataset';
import { essence, readInChunks, readWhole } from './test-support/read';

const NATIVE = [IMPLICIT_VR_LE, EXPLICIT_VR_LE, EXPLICIT_VR_BE, DEFLATED_EXPLICIT_VR_LE];
const JPEG = '1.2.840.10008.1.2.4.50';

function errorOf(action: () => unknown): DatasetError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(DatasetError);
    return error as DatasetError;
  }
  throw new Error('no error');
}

describe('HeaderReader', () => {
  it('gives one header and one digest for the same dataset in every native encoding', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const json = randomDataset(new Seeded(seed), 40, 3);
      const results = NATIVE.map((uid) => readWhole(writeDataset(json, uid), uid));
      for (const result of results) {
        expect(result.headerDigest.toString('hex')).toBe(results[0].headerDigest.toString('hex'));
        expect(result.header.equals(results[0].header)).toBe(true);
        expect(result.warnings).toEqual([]);
      }
      expect(readHeader(results[0].header).toDicomJson()).toEqual(json);
    }
  });

  it('gives the same result wherever the bytes are cut', () => {
    const json = randomDataset(new Seeded(77), 25, 2);
    json['7FE00010'] = { vr: 'OW', InlineBinary: Buffer.alloc(64, 7).toString('base64') };
    for (const uid of NATIVE) {
      const bytes = writeDataset(json, uid);
      const whole = essence(readWhole(bytes, uid));
      for (let size = 1; size <= 40; size++) expect(essence(readInChunks(bytes, uid, size)) === whole).toBe(true);
      for (let cut = 1; cut < bytes.length; cut++) {
        const reader = new HeaderReader(uid);
        reader.push(bytes.subarray(0, cut));
        reader.push(bytes.subarray(cut));
        expect(essence(reader.end()) === whole).toBe(true);
      }
    }
  });

  it('refuses a dataset cut anywhere but between elements', () => {
    const bytes = writeDataset(randomDataset(new Seeded(5), 12, 2), EXPLICIT_VR_LE);
    let whole = 0;
    for (let cut = 1; cut < bytes.length; cut++) {
      try {
        readWhole(bytes.subarray(0, cut), EXPLICIT_VR_LE);
        whole++;
      } catch (error) {
        expect((error as DatasetError).code).toBe('truncated');
      }
    }
    expect(whole).toBeLessThan(13);
  });

  it('reads the identity, and keeps the first of duplicates', () => {
    const bytes = Buffer.concat([
      explicitElement(0x00080005, 'CS', 'ISO_IR 100'),
      explicitElement(0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.2\0'),
      explicitElement(0x00080018, 'UI', '1.2.3\0'),
      explicitElement(0x00100020, 'LO', 'Gr\xfc\xdf1 '),
      explicitElement(0x00100020, 'LO', 'OTHER '),
      explicitElement(0x0020000d, 'UI', '1.2'),
      explicitElement(0x0020000e, 'UI', '1.2.4\0'),
    ]);
    const result = readWhole(bytes, EXPLICIT_VR_LE);
    expect(result).toMatchObject({
      sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
      sopInstanceUid: '1.2.3',
      studyInstanceUid: '1.2',
      seriesInstanceUid: '1.2.4',
      patientId: 'Grüß1',
      warnings: ['duplicate-elements', 'odd-length'],
    });
    expect(readHeader(result.header).string('PatientID')).toBe('Grüß1');
  });

  it('does not take identity from nested items', () => {
    const nested = explicitElement(0x00080018, 'UI', '9.9\0');
    const bytes = explicitElement(0x00081115, 'SQ', item(nested));
    expect(readWhole(bytes, EXPLICIT_VR_LE).sopInstanceUid).toBe('');
  });

  it('digests apart what differs, and alike what differs in padding, lengths and group lengths only', () => {
    const digest = (...parts: Buffer[]): string =>
      readWhole(Buffer.concat(parts), EXPLICIT_VR_LE).headerDigest.toString('hex');
    const name = explicitElement(0x00100010, 'PN', 'A^B ');
    const base = digest(name);
    expect(digest(explicitElement(0x00100010, 'PN', 'A^B'))).toBe(base);
    expect(digest(explicitElement(0x00100000, 'UL', u32(12)), name)).toBe(base);
    expect(digest(name, explicitElement(0xfffcfffc, 'OB', Buffer.alloc(10)))).toBe(base);
    expect(digest(explicitElement(0x00100010, 'PN', 'A^C '))).not.toBe(base);
    const inner = explicitElement(0x00080018, 'UI', '9.9\0');
    const defined = digest(explicitElement(0x00081115, 'SQ', item(inner)));
    const open = Buffer.concat([item(Buffer.concat([inner, ITEM_END]), UNDEFINED), SEQUENCE_END]);
    expect(digest(explicitElement(0x00081115, 'SQ', open, UNDEFINED))).toBe(defined);
    expect(digest(explicitElement(0x00081115, 'SQ', ''))).not.toBe(defined);
    // A number's zero byte is no padding.
    const rows = (value: number): string => digest(explicitElement(0x00280010, 'US', Buffer.of(value, 0)));
    expect(rows(0x20)).not.toBe(rows(0));
  });

  it('leaves long binary values out, with their place, and still digests them', () => {
    const table = Buffer.alloc(6000, 3);
    const inner = explicitElement(0x00283006, 'OW', table);
    const before = explicitElement(0x00080060, 'CS', 'CT');
    const bytes = Buffer.concat([before, explicitElement(0x00283010, 'SQ', item(inner))]);
    const result = readInChunks(bytes, EXPLICIT_VR_LE, 1000);
    expect(result.leftOut).toEqual([
      { path: [0x00283010, 0, 0x00283006], vr: 'OW', offset: bytes.length - 6000, length: 6000 },
    ]);
    expect(result.header.length).toBeLessThan(100);
    const json = readHeader(result.header, { leftOut: result.leftOut }).toDicomJson({
      bulkDataUri: ({ path, leftOut }) => `bulk/${path.map(String).join('.')}/${leftOut?.offset}`,
    });
    const uri = `bulk/${0x00283010}.0.${0x00283006}/${bytes.length - 6000}`;
    expect(json['00283010'].Value).toEqual([{ '00283006': { vr: 'OW', BulkDataURI: uri } }]);
    table[5999] = 4;
    const other = Buffer.concat([
      before,
      explicitElement(0x00283010, 'SQ', item(explicitElement(0x00283006, 'OW', table))),
    ]);
    expect(readWhole(other, EXPLICIT_VR_LE).headerDigest.equals(result.headerDigest)).toBe(false);
  });

  it('digests long values alike in both byte orders and whether kept or left out', () => {
    const binary = Buffer.from(Array.from({ length: 5000 }, (_, i) => i & 0xff));
    const json = { '00660016': { vr: 'OF', InlineBinary: binary.toString('base64') } };
    const digests = NATIVE.flatMap((uid) => {
      const bytes = writeDataset(json, uid);
      return [readInChunks(bytes, uid, 333), readWhole(bytes, uid, { leftOutOver: Infinity })];
    }).map((result) => result.headerDigest.toString('hex'));
    expect(new Set(digests).size).toBe(1);
  });

  it('passes over pixels at less than the cost of a look at them', () => {
    const header = writeDataset(randomDataset(new Seeded(11), 150, 1), EXPLICIT_VR_LE);
    const pixels = Buffer.concat([header, explicitElement(0x7fe00010, 'OW', Buffer.alloc(524288))]);
    const timed = (work: () => void): number => {
      const started = process.hrtime.bigint();
      work();
      return Number(process.hrtime.bigint() - started) / 1e6;
    };
    const read = (bytes: Buffer) => (): void => {
      const reader = new HeaderReader(EXPLICIT_VR_LE);
      for (let at = 0; at < bytes.length; at += 65536) reader.push(bytes.subarray(at, at + 65536));
      reader.end();
    };
    const look = (): void => void createHash('sha1').update(pixels).digest();
    // in turn, so that a busy machine is busy for all of them
    const rounds = Array.from({ length: 300 }, () => [read(header), read(pixels), look].map(timed));
    const [without, withPixels, looking] = [0, 1, 2].map(
      (n) => rounds.map((round) => round[n]!).sort((a, b) => a - b)[150]!,
    );
    expect(withPixels! - without!).toBeLessThan(looking! / 2);
    // of the header itself: about 0.03 ms on a quiet machine, where the look takes 0.3 ms
    expect(without!).toBeLessThan(10 * looking!);
  });

  it('cannot be used after its end', () => {
    const reader = new HeaderReader(EXPLICIT_VR_LE);
    reader.push(explicitElement(0x00100020, 'LO', 'ab'));
    reader.end();
    expect(() => reader.end()).toThrow('ended');
    expect(() => reader.push(Buffer.alloc(8))).toThrow('ended');
  });

  it('says when the character set is none', () => {
    expect(readWhole(explicitElement(0x00080005, 'CS', 'ISO_IR 999'), EXPLICIT_VR_LE).warnings).toEqual([
      'unknown-charset',
    ]);
  });

  it('sorts elements that came out of order', () => {
    const a = explicitElement(0x00080060, 'CS', 'CT');
    const b = explicitElement(0x00100010, 'PN', 'A^B ');
    const wrong = readWhole(Buffer.concat([b, a]), EXPLICIT_VR_LE);
    const right = readWhole(Buffer.concat([a, b]), EXPLICIT_VR_LE);
    expect(wrong.warnings).toEqual(['elements-out-of-order']);
    expect(wrong.header.equals(right.header)).toBe(true);
    expect(wrong.headerDigest.equals(right.headerDigest)).toBe(true);
  });
});

describe('UN, private and odd elements', () => {
  it('reads UN of undefined length as implicit little endian, in big endian too', () => {
    const inside = implicitElement(0x00100020, 'ABCD');
    const items = Buffer.concat([item(Buffer.concat([inside, ITEM_END]), UNDEFINED), SEQUENCE_END]);
    const little = explicitElement(0x00291010, 'UN', items, UNDEFINED);
    const result = readWhole(little, EXPLICIT_VR_LE);
    expect(readHeader(result.header).items(0x00291010)[0].string('PatientID')).toBe('ABCD');
    const big = Buffer.concat([
      Buffer.of(0, 0x29, 0x10, 0x10),
      Buffer.from('UN'),
      Buffer.alloc(2),
      u32(UNDEFINED),
      items,
    ]);
    expect(readWhole(big, EXPLICIT_VR_BE).headerDigest.equals(result.headerDigest)).toBe(true);
  });

  it('gives UN of a known element its VR, and reads a known sequence in UN', () => {
    const bytes = Buffer.concat([
      explicitElement(0x00100020, 'UN', 'ID  '),
      explicitElement(0x00280010, 'UN', Buffer.of(0, 2)),
      explicitElement(0x00400275, 'UN', item(implicitElement(0x00400007, 'text'))),
    ]);
    const view = readHeader(readWhole(bytes, EXPLICIT_VR_LE).header);
    expect(view.vr('PatientID')).toBe('LO');
    expect(view.number('Rows')).toBe(512);
    expect(view.items('RequestAttributesSequence')[0].string('ScheduledProcedureStepDescription')).toBe('text');
  });

  it('finds the VR of private elements by their creator', () => {
    const bytes = Buffer.concat([
      implicitElement(0x00190010, 'GEMS_ACQU_01'),
      implicitElement(0x00191024, '1.5 '),
      implicitElement(0x00211024, '1.5 '),
    ]);
    const view = readHeader(readWhole(bytes, IMPLICIT_VR_LE).header);
    expect([view.vr(0x00190010), view.vr(0x00191024), view.vr(0x00211024)]).toEqual(['LO', 'DS', 'UN']);
  });

  it('chooses US or SS by PixelRepresentation', () => {
    const read = (signed: number): number | undefined => {
      const bytes = Buffer.concat([
        implicitElement(0x00280103, Buffer.of(signed, 0)),
        implicitElement(0x00280106, Buffer.of(0xfe, 0xff)),
      ]);
      return readHeader(readWhole(bytes, IMPLICIT_VR_LE).header).number('SmallestImagePixelValue');
    };
    expect([read(0), read(1)]).toEqual([65534, -2]);
  });

  it('reads what was sent in another native encoding than agreed, and says so', () => {
    const json = { '00080060': { vr: 'CS', Value: ['MR'] }, '00100020': { vr: 'LO', Value: ['X'] } };
    for (const real of [IMPLICIT_VR_LE, EXPLICIT_VR_LE, EXPLICIT_VR_BE]) {
      for (const agreed of [IMPLICIT_VR_LE, EXPLICIT_VR_LE, EXPLICIT_VR_BE]) {
        const result = readWhole(writeDataset(json, real), agreed);
        expect([real, agreed, result.patientId]).toEqual([real, agreed, 'X']);
        expect(result.warnings).toEqual(real === agreed ? [] : ['transfer-syntax-mismatch']);
      }
    }
  });

  it('tolerates bytes behind the pixel data', () => {
    const pixel = explicitElement(0x7fe00010, 'OW', Buffer.alloc(8));
    for (const rest of [Buffer.alloc(3), Buffer.alloc(500), Buffer.from('garbage, not an element')]) {
      const result = readInChunks(Buffer.concat([pixel, rest]), EXPLICIT_VR_LE, 5);
      expect(result.warnings).toEqual(['trailing-bytes']);
      expect(result.length).toBe(pixel.length + rest.length);
    }
  });

  it('keeps elements behind the pixel data', () => {
    const after = explicitElement(0xfffafffa, 'SQ', item(explicitElement(0x04000100, 'UL', u32(1))));
    const result = readWhole(
      Buffer.concat([explicitElement(0x7fe00010, 'OW', Buffer.alloc(8)), after]),
      EXPLICIT_VR_LE,
    );
    expect(readHeader(result.header).items(0xfffafffa)[0].number(0x04000100)).toBe(1);
    expect(result.pixel).toMatchObject({ offset: 12, length: 8, encapsulated: false, vr: 'OW', fragments: [] });
  });
});

describe('encapsulated pixel data', () => {
  const encapsulated = (table: Buffer, ...fragments: Buffer[]): Buffer =>
    explicitElement(
      0x7fe00010,
      'OB',
      Buffer.concat([item(table), ...fragments.map((fragment) => item(fragment)), SEQUENCE_END]),
      UNDEFINED,
    );
  const frames = (count: number): Buffer => explicitElement(0x00280008, 'IS', String(count).padEnd(2));

  it('notes fragments and frame starts, wherever the bytes are cut', () => {
    const table = Buffer.concat([u32(0), u32(8 + 4 + 8 + 6)]);
    const pixel = encapsulated(table, Buffer.alloc(4), Buffer.alloc(6), Buffer.alloc(2));
    const bytes = Buffer.concat([frames(2), pixel]);
    const first = 10 + 12 + 16 + 8;
    const expected = {
      tag: 0x7fe00010,
      vr: 'OB',
      offset: 22,
      length: bytes.length - 22,
      encapsulated: true,
      fragments: [
        { offset: first, length: 4 },
        { offset: first + 12, length: 6 },
        { offset: first + 26, length: 2 },
      ],
      offsetTable: [0, 26],
      frameStarts: [0, 2],
    };
    for (let size = 1; size <= bytes.length; size++) {
      expect(readInChunks(bytes, JPEG, size).pixel).toEqual(expected);
    }
  });

  it('knows frames without a table where each has one fragment, and says nothing where it cannot know', () => {
    const four = (count: number, uid: string): number[] | undefined => {
      const fragments = [4, 4, 4, 4].map((length) => Buffer.alloc(length));
      return readWhole(Buffer.concat([frames(count), encapsulated(Buffer.alloc(0), ...fragments)]), uid).pixel
        ?.frameStarts;
    };
    expect(four(4, JPEG)).toEqual([0, 1, 2, 3]);
    expect(four(1, JPEG)).toEqual([0]);
    expect(four(2, JPEG)).toBeUndefined();
    expect(four(4, '1.2.840.10008.1.2.4.102')).toBeUndefined();
  });

  it('takes the Extended Offset Table, though it is long', () => {
    const count = 600;
    const table = Buffer.alloc(count * 8);
    for (let i = 0; i < count; i++) table.writeBigUInt64LE(BigInt(i * 10), i * 8);
    const bytes = Buffer.concat([
      frames(count),
      explicitElement(0x7fe00001, 'OV', table),
      encapsulated(Buffer.alloc(0), ...Array.from({ length: count }, () => Buffer.alloc(2))),
    ]);
    const result = readInChunks(bytes, JPEG, 777);
    expect(result.pixel?.offsetTable[599]).toBe(5990);
    expect(result.pixel?.frameStarts).toHaveLength(600);
    expect(result.leftOut.map((value) => tagToHex(value.path[0]))).toEqual(['7FE00001']);
  });

  it('leaves a nested encapsulated icon out', () => {
    const icon = encapsulated(Buffer.alloc(0), Buffer.alloc(10, 1));
    const bytes = explicitElement(0x00880200, 'SQ', item(icon));
    const result = readWhole(bytes, JPEG);
    expect(result.pixel).toBeNull();
    expect(result.leftOut).toEqual([
      { path: [0x00880200, 0, 0x7fe00010], vr: 'OB', offset: 32, length: icon.length - 12 },
    ]);
  });

  it('refuses broken fragments', () => {
    const open = explicitElement(
      0x7fe00010,
      'OB',
      Buffer.concat([item(Buffer.alloc(0)), tagBytes(0x00100010), u32(0)]),
      UNDEFINED,
    );
    expect(errorOf(() => readWhole(open, JPEG)).code).toBe('missing-item');
    const endless = explicitElement(0x7fe00010, 'OB', item(Buffer.alloc(0), UNDEFINED), UNDEFINED);
    expect(errorOf(() => readWhole(endless, JPEG)).code).toBe('invalid-length');
    const unfinished = explicitElement(0x7fe00010, 'OB', item(Buffer.alloc(0)), UNDEFINED);
    expect(errorOf(() => readWhole(unfinished, JPEG)).code).toBe('truncated');
  });
});

describe('hostile datasets', () => {
  it.each([1_000, 20_000, 100_000])('refuses %d nested sequences at once', (depth) => {
    const level = Buffer.concat([explicitElement(0x00081115, 'SQ', '', UNDEFINED), item(Buffer.alloc(0), UNDEFINED)]);
    const bytes = Buffer.concat(Array.from({ length: depth }, () => level));
    const started = process.hrtime.bigint();
    const error = errorOf(() => readWhole(bytes, EXPLICIT_VR_LE));
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(200);
    expect(error.code).toBe('too-deep');
    expect(error.offset).toBeLessThan(2000);
  });

  it('allocates nothing because a length says so', () => {
    const before = process.memoryUsage();
    for (let i = 0; i < 200; i++) {
      const text = explicitElement(0x00189999, 'UT', 'x', 0xfffffffe);
      expect(errorOf(() => readWhole(text, EXPLICIT_VR_LE)).code).toBe('header-too-large');
      const binary = explicitElement(0x7fe00010, 'OW', 'x', 0xfffffffe);
      expect(errorOf(() => readWhole(binary, EXPLICIT_VR_LE)).code).toBe('truncated');
      const kept = explicitElement(0x00189999, 'UT', 'x', 7 * 1024 * 1024);
      expect(errorOf(() => readWhole(kept, EXPLICIT_VR_LE)).code).toBe('truncated');
    }
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(64 * 1024 * 1024);
  });

  it('bounds the header', () => {
    const filler = Buffer.concat(
      Array.from({ length: 100 }, () => explicitElement(0x00104000, 'LT', 'x'.repeat(1000))),
    );
    expect(errorOf(() => readWhole(filler, EXPLICIT_VR_LE, { maxHeaderBytes: 50_000 })).code).toBe('header-too-large');
    const items = explicitElement(
      0x00081115,
      'SQ',
      Buffer.concat(Array.from({ length: 10_000 }, () => item(Buffer.alloc(0)))),
    );
    expect(errorOf(() => readWhole(items, EXPLICIT_VR_LE, { maxHeaderBytes: 50_000 })).code).toBe('header-too-large');
  });

  it('judges a deflate bomb the same in chunks of any size', () => {
    const pixel = explicitElement(0x7fe00010, 'OW', Buffer.alloc(16 * 1024 * 1024));
    const bomb = deflateRawSync(pixel, { level: 9 });
    const codes = [bomb.length, 1, 500, 8191].map(
      (size) =>
        errorOf(() => {
          const reader = new HeaderReader(DEFLATED_EXPLICIT_VR_LE);
          for (let at = 0; at < bomb.length; at += size) reader.push(bomb.subarray(at, at + size));
          reader.end();
        }).code,
    );
    expect(codes).toEqual(Array.from({ length: 4 }, () => 'inflate-limit'));
  });

  it('more elements in one level than any real object has: refused before anybody has to sort or show them', () => {
    const many = Buffer.concat(
      Array.from({ length: 60_000 }, (_, i) =>
        explicitElement(0x00090000 + 0x1000 + 60_000 - i, 'CS', Buffer.alloc(0)),
      ),
    );
    expect(errorOf(() => readWhole(many, EXPLICIT_VR_LE)).code).toBe('header-too-large');
    expect(readWhole(many.subarray(0, 8 * 50_000), EXPLICIT_VR_LE).header.length).toBe(8 * 50_000);
    const inItem = explicitElement(0x00081140, 'SQ', item(many));
    expect(errorOf(() => readWhole(inItem, EXPLICIT_VR_LE)).code).toBe('header-too-large');
  });

  it('refuses a deflate bomb while it inflates', () => {
    const pixel = explicitElement(0x7fe00010, 'OW', Buffer.alloc(60 * 1024 * 1024));
    const bomb = deflateRawSync(pixel);
    const error = errorOf(() => readInChunks(bomb, DEFLATED_EXPLICIT_VR_LE, 16 * 1024));
    expect(error.code).toBe('inflate-limit');
    expect(error.offset).toBeLessThan(40 * 1024 * 1024);
    const limited = errorOf(() => readWhole(bomb, DEFLATED_EXPLICIT_VR_LE, { maxInflatedBytes: 1024 * 1024 }));
    expect(limited.offset).toBeLessThan(1024 * 1024 + 64 * 1024 + 1);
  });

  it('refuses a deflate stream that is damaged or not whole', () => {
    const bytes = writeDataset(randomDataset(new Seeded(3), 20, 1), DEFLATED_EXPLICIT_VR_LE);
    expect(errorOf(() => readWhole(bytes.subarray(0, bytes.length - 3), DEFLATED_EXPLICIT_VR_LE)).code).toBe(
      'truncated',
    );
    expect(errorOf(() => readWhole(Buffer.alloc(100, 0xff), DEFLATED_EXPLICIT_VR_LE)).code).toBe('inflate-failed');
  });

  it('answers every mutated dataset with a result or a DatasetError', () => {
    const random = new Seeded(2024);
    const base = NATIVE.map((uid) => ({ uid, bytes: writeDataset(randomDataset(random, 30, 3), uid) }));
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const { uid, bytes } = random.pick(base);
      const mutated = Buffer.from(bytes);
      for (let n = 0; n <= random.below(4); n++) mutated[random.below(mutated.length)] = random.below(256);
      try {
        const result = readInChunks(mutated, uid, 1 + random.below(300));
        readHeader(result.header).toDicomJson();
      } catch (error) {
        expect(error).toBeInstanceOf(DatasetError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
    expect(refused).toBeLessThan(2000);
  });
});

import { DEFLATED_EXPLICIT_VR_LE, EXPLICIT_VR_BE, EXPLICIT_VR_LE, IMPLICIT_VR_LE } from '@archipelago/dicom-core';
import { readHeader, transcodeNative, writeDataset } from './index';
import { explicitElement, implicitElement, item, SEQUENCE_END, UNDEFINED } from './test-support/bytes';
import { randomDataset, Seeded } from './test-support/random-dataset';
import { collect, inPieces, readWhole } from './test-support/read';

const NATIVE = [IMPLICIT_VR_LE, EXPLICIT_VR_LE, EXPLICIT_VR_BE, DEFLATED_EXPLICIT_VR_LE];

describe('transcodeNative', () => {
  it('goes from every native syntax to every other without changing the header or the pixels', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const json = randomDataset(new Seeded(seed), 30, 3);
      const pixels = Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * seed) & 0xff));
      json['7FE00010'] = { vr: 'OW', InlineBinary: pixels.toString('base64') };
      for (const from of NATIVE) {
        const original = writeDataset(json, from);
        const expected = readWhole(original, from);
        for (const to of NATIVE) {
          const bytes = await collect(transcodeNative(inPieces(original, 1 + seed * 37), from, to));
          expect(bytes.length % 2).toBe(0);
          const result = readWhole(bytes, to);
          expect(result.headerDigest.equals(expected.headerDigest)).toBe(true);
          const back = await collect(transcodeNative(inPieces(bytes, 501), to, EXPLICIT_VR_LE));
          expect(back.subarray(back.length - 2000).equals(pixels)).toBe(true);
        }
      }
    }
  });

  it('is stable: a second pass changes no byte', async () => {
    const json = randomDataset(new Seeded(99), 40, 3);
    for (const to of [IMPLICIT_VR_LE, EXPLICIT_VR_LE, EXPLICIT_VR_BE]) {
      const once = await collect(transcodeNative(inPieces(writeDataset(json, to), 100), to, to));
      const twice = await collect(transcodeNative(inPieces(once, 7), to, to));
      expect(twice.equals(once)).toBe(true);
    }
  });

  it('writes UN back as what the dictionary knows, and keeps the unknown as UN, unswapped', async () => {
    const source = Buffer.concat([
      implicitElement(0x00280010, Buffer.of(0, 2)),
      implicitElement(0x00291010, Buffer.of(1, 2, 3, 4)),
    ]);
    const bytes = await collect(transcodeNative(inPieces(source, 3), IMPLICIT_VR_LE, EXPLICIT_VR_BE));
    expect(bytes).toEqual(
      Buffer.concat([
        Buffer.from([0, 0x28, 0, 0x10]),
        Buffer.from('US'),
        Buffer.from([0, 2, 2, 0]),
        Buffer.from([0, 0x29, 0x10, 0x10]),
        Buffer.from('UN'),
        Buffer.from([0, 0, 0, 0, 0, 4, 1, 2, 3, 4]),
      ]),
    );
    const un = explicitElement(0x00280010, 'UN', Buffer.of(0, 2));
    const fromUn = await collect(transcodeNative(inPieces(un, 5), EXPLICIT_VR_LE, EXPLICIT_VR_LE));
    expect(fromUn.equals(explicitElement(0x00280010, 'US', Buffer.of(0, 2)))).toBe(true);
  });

  it('pads odd values and drops group lengths and trailing padding', async () => {
    const source = Buffer.concat([
      explicitElement(0x00080000, 'UL', Buffer.of(9, 0, 0, 0)),
      explicitElement(0x00100020, 'LO', 'abc'),
      explicitElement(0xfffcfffc, 'OB', Buffer.alloc(20)),
    ]);
    const bytes = await collect(transcodeNative(inPieces(source, 1000), EXPLICIT_VR_LE, IMPLICIT_VR_LE));
    expect(bytes.equals(implicitElement(0x00100020, 'abc '))).toBe(true);
  });

  it('writes a value that is too long for its VR as UN, and reads it again', async () => {
    const text = 'x'.repeat(70_000);
    const source = implicitElement(0x00104000, text);
    const bytes = await collect(transcodeNative(inPieces(source, 4096), IMPLICIT_VR_LE, EXPLICIT_VR_LE));
    expect(bytes.toString('latin1', 4, 6)).toBe('UN');
    expect(readHeader(readWhole(bytes, EXPLICIT_VR_LE).header).string('PatientComments')).toBe(text);
  });

  it('refuses encapsulated pixel data', async () => {
    const jpeg = '1.2.840.10008.1.2.4.50';
    await expect(collect(transcodeNative(inPieces(Buffer.alloc(8), 8), jpeg, EXPLICIT_VR_LE))).rejects.toMatchObject({
      code: 'not-native',
    });
    const value = Buffer.concat([item(Buffer.alloc(0)), SEQUENCE_END]);
    const hidden = explicitElement(0x7fe00010, 'OB', value, UNDEFINED);
    await expect(collect(transcodeNative(inPieces(hidden, 8), EXPLICIT_VR_LE, IMPLICIT_VR_LE))).rejects.toMatchObject({
      code: 'not-native',
    });
  });

  it('streams: a long value passes in pieces', async () => {
    async function* source(): AsyncGenerator<Buffer> {
      yield explicitElement(0x7fe00010, 'OW', '', 64 * 1024 * 1024);
      for (let i = 0; i < 64 * 16; i++) yield Buffer.alloc(64 * 1024, i);
    }
    let length = 0;
    let largest = 0;
    for await (const chunk of transcodeNative(source(), EXPLICIT_VR_LE, EXPLICIT_VR_BE)) {
      length += chunk.length;
      largest = Math.max(largest, chunk.length);
    }
    expect(length).toBe(12 + 64 * 1024 * 1024);
    expect(largest).toBeLessThanOrEqual(64 * 1024);
  });

  it('ends with the error of its source, also when deflating', async () => {
    async function* source(): AsyncGenerator<Buffer> {
      yield explicitElement(0x00100020, 'LO', 'ab');
      throw new Error('gone');
    }
    for (const to of NATIVE) {
      await expect(collect(transcodeNative(source(), EXPLICIT_VR_LE, to))).rejects.toThrow('gone');
    }
  });
});

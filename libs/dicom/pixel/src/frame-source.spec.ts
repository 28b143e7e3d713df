import type { PixelTable } from '@archipelago/dicom-encoding';
import { PixelError, type PixelAttributes, type RangeReader } from './api';
import { frameSource } from './frame-source';

const attributes: PixelAttributes = {
  rows: 2,
  columns: 3,
  samplesPerPixel: 1,
  bitsAllocated: 8,
  bitsStored: 8,
  highBit: 7,
  pixelRepresentation: 0,
  photometricInterpretation: 'MONOCHROME2',
  planarConfiguration: 0,
  numberOfFrames: 1,
};

/** Fragments one after the other, each behind its item header of 8 bytes, as in a dataset. */
function encapsulate(fragments: Buffer[], offsetTable: number[] = []): { table: PixelTable; reader: RangeReader } {
  const places: { offset: number; length: number }[] = [];
  const parts: Buffer[] = [];
  let at = 0;
  for (const fragment of fragments) {
    parts.push(Buffer.alloc(8), fragment);
    places.push({ offset: at + 8, length: fragment.length });
    at += 8 + fragment.length;
  }
  const bytes = Buffer.concat(parts);
  return {
    table: { tag: 0x7fe00010, vr: 'OB', offset: 0, length: at, encapsulated: true, fragments: places, offsetTable },
    reader: { read: (start, end) => Promise.resolve(bytes.subarray(start, end)) },
  };
}

async function frames(fragments: Buffer[], numberOfFrames: number, offsetTable: number[] = []): Promise<string[]> {
  const { table, reader } = encapsulate(fragments, offsetTable);
  const out: string[] = [];
  for await (const frame of frameSource(table, reader, { ...attributes, numberOfFrames }))
    out.push(frame.data.toString('hex'));
  return out;
}

const soi = (rest: string): Buffer => Buffer.from(`ffd8ffe0${rest}`, 'hex');
const raw = (text: string): Buffer => Buffer.from(text, 'hex');

describe('frameSource, encapsulated', () => {
  it('joins all fragments of a single frame', async () => {
    expect(await frames([raw('0102'), raw('0304')], 1)).toEqual(['01020304']);
  });
  it('uses the offset table', async () => {
    expect(await frames([raw('0102'), raw('0304'), raw('0506')], 2, [0, 20])).toEqual(['01020304', '0506']);
  });
  it('takes one fragment a frame when the table is wrong or empty', async () => {
    expect(await frames([raw('0102'), raw('0304')], 2, [0, 99999999])).toEqual(['0102', '0304']);
    expect(await frames([raw('0102'), raw('0304')], 2)).toEqual(['0102', '0304']);
  });
  it('finds frames by start markers when there is no table', async () => {
    expect(await frames([soi('01'), raw('0203'), soi('04')], 2)).toEqual(['ffd8ffe0010203', 'ffd8ffe004']);
  });
  it.each([
    ['no fragments', [], 1],
    ['fewer fragments than frames', [raw('0102')], 2],
    ['no way to tell', [raw('0102'), raw('0304'), raw('0506')], 2],
  ])('refuses %s', async (_name, fragments, count) => {
    await expect(frames(fragments, count)).rejects.toMatchObject({ name: 'PixelError', code: 'bad-fragments' });
  });
  it('refuses frames that the header makes absurd', async () => {
    await expect(frames([raw('0102')], 2_000_000_000)).rejects.toMatchObject({ code: 'too-large' });
    await expect(frames([raw('0102')], 0)).rejects.toMatchObject({ code: 'bad-attributes' });
  });
});

describe('frameSource, native', () => {
  const native = (bytes: Buffer): { table: PixelTable; reader: RangeReader } => ({
    table: {
      tag: 0x7fe00010,
      vr: 'OB',
      offset: 4,
      length: bytes.length,
      encapsulated: false,
      fragments: [],
      offsetTable: [],
    },
    reader: { read: (start, end) => Promise.resolve(bytes.subarray(start - 4, end - 4)) },
  });
  it('cuts by size', async () => {
    const { table, reader } = native(raw('000102030405060708090a0b'));
    const out: string[] = [];
    for await (const { data } of frameSource(table, reader, { ...attributes, numberOfFrames: 2 }))
      out.push(data.toString('hex'));
    expect(out).toEqual(['000102030405', '060708090a0b']);
  });
  it('moves single-bit frames to byte boundaries', async () => {
    // Two frames of 6 bits: 101101 and 010010, first pixel in the lowest bit.
    const { table, reader } = native(Buffer.from([0b10101101, 0b0100]));
    const out: number[] = [];
    const bits = { ...attributes, bitsAllocated: 1, bitsStored: 1, highBit: 0, numberOfFrames: 2 };
    for await (const { data } of frameSource(table, reader, bits)) out.push(data[0]!);
    expect(out).toEqual([0b101101, 0b010010]);
  });
  it('refuses pixel data that is too short', async () => {
    const { table, reader } = native(raw('0001'));
    const iterator = frameSource(table, reader, attributes);
    await expect(iterator.next()).rejects.toBeInstanceOf(PixelError);
  });
});

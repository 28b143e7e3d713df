import { PixelError, type PixelAttributes } from './api';
import { decodeFrame, encodeFrame, loadCodecs } from './codec';
import { probe } from './codestream';

const P = '1.2.840.10008.1.2';
const LOSSLESS = ['1.98', '5', '8.1', '4.57', '4.70', '4.80', '4.90', '4.201', '4.202'].map((end) => `${P}.${end}`);

function attributes(change: Partial<PixelAttributes> = {}): PixelAttributes {
  const a = {
    rows: 37,
    columns: 41,
    samplesPerPixel: 1,
    bitsAllocated: 16,
    bitsStored: 12,
    pixelRepresentation: 0,
    photometricInterpretation: 'MONOCHROME2',
    planarConfiguration: 0,
    numberOfFrames: 1,
    ...change,
  };
  return { highBit: a.bitsStored - 1, ...a };
}

/** A ramp with texture that uses the whole range of the samples, negative ones included. */
function image(a: PixelAttributes): Buffer {
  const bytes = a.bitsAllocated / 8;
  const samples = a.rows * a.columns * a.samplesPerPixel;
  const out = Buffer.alloc(samples * bytes);
  const range = 2 ** Math.min(a.bitsStored, 31);
  for (let i = 0; i < samples; i++) {
    const value = (Math.imul(i, 2654435761) >>> 7) % 40 === 0 ? range - 1 : (i * 3 + ((i * 7919) % 13)) % range;
    const sample = a.pixelRepresentation ? value - range / 2 : value;
    if (bytes === 1) out.writeUInt8(sample & 0xff, i);
    else if (bytes === 2) out.writeUInt16LE(sample & 0xffff, 2 * i);
    else out.writeUInt32LE(sample >>> 0, 4 * i);
  }
  return out;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof PixelError) return error.code;
    throw error;
  }
  return 'none';
}

beforeAll(() => loadCodecs());

describe('lossless round trips', () => {
  const kinds: [string, PixelAttributes][] = [
    ['8 bit', attributes({ bitsAllocated: 8, bitsStored: 8 })],
    ['12 bit in 16', attributes()],
    ['16 bit', attributes({ bitsStored: 16 })],
    ['16 bit signed', attributes({ bitsStored: 16, pixelRepresentation: 1 })],
    ['12 bit signed', attributes({ pixelRepresentation: 1 })],
    ['RGB', attributes({ samplesPerPixel: 3, bitsAllocated: 8, bitsStored: 8, photometricInterpretation: 'RGB' })],
    ['a single pixel', attributes({ rows: 1, columns: 1 })],
  ];
  for (const ts of LOSSLESS) {
    for (const [name, a] of kinds) {
      // OpenJPEG's encoder refuses an image of one pixel (with a typed error).
      if (ts === `${P}.4.90` && a.rows === 1) continue;
      it(`${ts}: ${name}`, () => {
        const frame = image(a);
        const decoded = decodeFrame(
          ts,
          { ...a, photometricInterpretation: a.photometricInterpretation },
          encodeFrame(ts, a, frame),
        );
        // 12-bit signed samples may come back with their unused bits zero: the value is what counts.
        expect(values(decoded.data, a)).toEqual(values(frame, a));
        expect(decoded.photometricInterpretation).toBe(a.photometricInterpretation);
      });
    }
  }

  it('keeps 32-bit samples in RLE', () => {
    const a = attributes({ bitsAllocated: 32, bitsStored: 32 });
    const frame = image(a);
    expect(decodeFrame(`${P}.5`, a, encodeFrame(`${P}.5`, a, frame)).data.equals(frame)).toBe(true);
  });
});

function values(data: Buffer, a: PixelAttributes): number[] {
  const out: number[] = [];
  const shift = 32 - a.bitsStored;
  for (let at = 0; at < data.length; at += a.bitsAllocated / 8) {
    const raw = a.bitsAllocated === 8 ? data[at]! : data.readUInt16LE(at);
    out.push(a.pixelRepresentation ? (raw << shift) >> shift : raw);
  }
  return out;
}

describe('refusals', () => {
  const a = attributes();
  const coded = (ts: string): Buffer => encodeFrame(ts, a, image(a));

  it('never encodes with loss', () => {
    for (const end of ['4.50', '4.51', '4.81', '4.91', '4.203'])
      expect(codeOf(() => encodeFrame(`${P}.${end}`, a, image(a)))).toBe('unsupported-syntax');
  });

  it('does not touch video', () => {
    expect(codeOf(() => decodeFrame(`${P}.4.102`, a, Buffer.alloc(100)))).toBe('unsupported-syntax');
  });

  it('refuses samples that a codestream of BitsStored bits would lose', () => {
    const frame = image(a);
    frame.writeUInt16LE(0x8001, 0);
    expect(codeOf(() => encodeFrame(`${P}.4.80`, a, frame))).toBe('bad-attributes');
    expect(decodeFrame(`${P}.5`, a, encodeFrame(`${P}.5`, a, frame)).data.equals(frame)).toBe(true);
  });

  it('refuses a codestream of another size than the header', () => {
    for (const end of ['4.70', '4.80', '4.90', '4.201']) {
      const ts = `${P}.${end}`;
      expect(codeOf(() => decodeFrame(ts, { ...a, rows: a.rows + 1 }, coded(ts)))).toBe('codestream-mismatch');
    }
    expect(codeOf(() => decodeFrame(`${P}.4.90`, { ...a, pixelRepresentation: 1 }, coded(`${P}.4.90`)))).toBe(
      'codestream-mismatch',
    );
  });

  it('refuses every truncation', () => {
    for (const ts of LOSSLESS.filter((each) => !each.endsWith('1.98'))) {
      const whole = coded(ts);
      for (const keep of [0, 1, 3, 20, Math.floor(whole.length / 2), whole.length - 40]) {
        expect(['truncated', 'bad-codestream']).toContain(codeOf(() => decodeFrame(ts, a, whole.subarray(0, keep))));
      }
    }
  });

  it('refuses absurd sizes without allocating', () => {
    const before = process.memoryUsage().arrayBuffers;
    const huge = { ...a, rows: 65535, columns: 65535 };
    for (const ts of LOSSLESS) expect(codeOf(() => decodeFrame(ts, huge, Buffer.alloc(64)))).toBe('too-large');
    const large = { ...a, rows: 10000, columns: 10000 };
    expect(codeOf(() => decodeFrame(`${P}.5`, large, Buffer.alloc(1000)))).toBe('truncated');
    expect(codeOf(() => decodeFrame(`${P}.4.70`, large, Buffer.alloc(1000)))).toBe('truncated');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });
});

describe('probe', () => {
  it('reads size, precision and sign', () => {
    const a = attributes({ pixelRepresentation: 1, bitsStored: 16 });
    expect(probe(encodeFrame(`${P}.4.90`, a, image(a)))).toMatchObject({
      kind: 'j2k',
      rows: 37,
      columns: 41,
      components: 1,
      precision: 16,
      signed: true,
    });
    expect(probe(encodeFrame(`${P}.4.80`, a, image(a)))).toMatchObject({
      kind: 'jpeg-ls',
      rows: 37,
      columns: 41,
      precision: 16,
    });
    expect(probe(encodeFrame(`${P}.4.70`, a, image(a)))).toMatchObject({
      kind: 'jpeg-lossless',
      rows: 37,
      columns: 41,
    });
  });
});

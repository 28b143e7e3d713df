import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { PixelAttributes } from './api';
import { PixelPool } from './pool';
import { withMemoryLimit } from './wasm-limit';

const P = '1.2.840.10008.1.2';
const MIB = 1024 * 1024;

function square(size: number, bits: 8 | 16, samples: 1 | 3): PixelAttributes {
  return {
    rows: size,
    columns: size,
    samplesPerPixel: samples,
    bitsAllocated: bits,
    bitsStored: bits,
    highBit: bits - 1,
    pixelRepresentation: 0,
    photometricInterpretation: samples === 3 ? 'RGB' : 'MONOCHROME2',
    planarConfiguration: 0,
    numberOfFrames: 1,
  };
}

/** The size in the codestream's own header replaced (ISO 15444-1 A.5.1 SIZ, ISO 10918-1 B.2.2 SOF, ISO 14495-1 SOF55). */
function claiming(coded: Buffer, size: number): Buffer {
  const out = Buffer.from(coded);
  if (out.readUInt16BE(0) === 0xff4f) {
    for (const at of [8, 12, 24, 28]) out.writeUInt32BE(size, at);
    return out;
  }
  for (let at = 2; at + 9 < out.length; at += 2 + out.readUInt16BE(at + 2)) {
    const marker = out[at + 1] ?? 0;
    if (marker !== 0xf7 && (marker < 0xc0 || marker > 0xc3)) continue;
    out.writeUInt16BE(size, at + 5);
    out.writeUInt16BE(size, at + 7);
    return out;
  }
  throw new Error('no frame header');
}

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function damage(whole: Buffer, seed: number): Buffer {
  const next = random(seed * 7919);
  const out = Buffer.from(whole);
  const within = (end: number): number => Math.floor(next() * end);
  if (seed % 3 === 0) return out.subarray(0, within(out.length));
  if (seed % 3 === 1) {
    const numbers = [0, 1, 0xffff, 0x7fffffff, 0xffffffff, 0x10000];
    out.writeUInt32BE(numbers[within(numbers.length)] ?? 0, within(Math.min(out.length, 200) - 4));
    return out;
  }
  for (let n = 1 + within(6); n > 0; n--) out[within(out.length)]! ^= 1 << within(8);
  return out;
}

const highest = async (work: () => Promise<void>): Promise<number> => {
  let most = process.memoryUsage.rss();
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5);
  await work();
  clearInterval(timer);
  return most;
};

describe('PixelPool and hostile frames', () => {
  jest.setTimeout(240_000);
  let pool: PixelPool;
  beforeEach(() => {
    pool = new PixelPool({ size: 1, timeoutMs: 20_000 });
  });
  afterEach(() => pool.close());

  it.each([
    ['JPEG 2000', '4.90', 11_000, 16, 1],
    ['JPEG 2000 colour', '4.90', 9_000, 8, 3],
    ['HTJ2K', '4.201', 11_000, 16, 1],
    ['JPEG-LS', '4.80', 11_000, 16, 1],
    ['JPEG lossless', '4.70', 11_000, 16, 1],
  ] as const)(
    '%s: a few bytes that claim a frame of 230 MiB fail without the memory',
    async (_name, end, size, bits, samples) => {
      const small = square(16, bits, samples);
      const coded = claiming(
        await pool.encode(`${P}.${end}`, small, Buffer.alloc((256 * bits * samples) / 8, 1)),
        size,
      );
      expect(coded.length).toBeLessThan(400);
      const before = process.memoryUsage.rss();
      const most = await highest(async () => {
        await expect(pool.decode(`${P}.${end}`, square(size, bits, samples), coded)).rejects.toMatchObject({
          name: 'PixelError',
        });
      });
      expect(most - before).toBeLessThan(400 * MIB);
      // The pool goes on.
      expect((await pool.encode(`${P}.5`, small, Buffer.alloc((256 * bits * samples) / 8))).length).toBeGreaterThan(64);
    },
  );

  it('an honest frame of 28 million samples fits: the largest mammograms have so many', async () => {
    const wide = { ...square(4728, 16, 1), columns: 5928, bitsStored: 12, highBit: 11 };
    const coded = await pool.encode(`${P}.4.80`, wide, Buffer.alloc(4728 * 5928 * 2, 3));
    const { data } = await pool.decode(`${P}.4.80`, wide, coded);
    expect(data.length).toBe(4728 * 5928 * 2);
  });

  it('large frames are coded one at a time, small ones pass them, all are answered', async () => {
    const two = new PixelPool({ size: 2, largeOverBytes: 1000 });
    const order: string[] = [];
    const task = async (name: string, size: number): Promise<void> => {
      await two.encode(`${P}.4.90`, square(size, 8, 1), Buffer.alloc(size * size));
      order.push(name);
    };
    // Both threads are there: what follows does not race with the start of one.
    await Promise.all([task('first', 16), task('second', 16)]);
    order.length = 0;
    await Promise.all([task('large 1', 1500), task('large 2', 1500), task('small', 16)]);
    await two.close();
    expect([...order].sort()).toEqual(['large 1', 'large 2', 'small']);
    expect(order.at(-1)).toBe('large 2');
  });

  it.each([
    ['as this process was started', undefined],
    ['in a process that was granted more', '--max-old-space-size=4096'],
  ])('a thread without memory fails its frame, not the process: %s', async (_name, flag) => {
    if (flag) setFlagsFromString(flag);
    const tiny = new PixelPool({ size: 1, heapMb: 8 });
    // More than both generations of its heap hold, in the message itself: the thread dies on taking it, always.
    const filled = { ...square(64, 16, 1), filler: Array.from({ length: 1_500_000 }, (_, n) => ({ n })) };
    for (let round = 0; round < 2; round++) {
      await expect(tiny.encode(`${P}.4.90`, filled, Buffer.alloc(8192))).rejects.toMatchObject({
        code: 'codec-failed',
      });
    }
    await tiny.close();
  });

  it.each(['4.70', '4.80', '4.90', '4.201', '5', '8.1'])(
    '%s: 10 damaged codestreams, each a frame or a PixelError, in time',
    async (end) => {
      const frame = Buffer.from(Array.from({ length: 8192 }, (_, i) => (i * 31 + (i >> 5)) & 0xff));
      const attributes = square(64, 16, 1);
      const whole = await pool.encode(`${P}.${end}`, attributes, frame);
      let failed = 0;
      for (let seed = 1; seed <= 10; seed++) {
        const outcome = await pool.decode(`${P}.${end}`, attributes, damage(whole, seed)).then(
          ({ data }) => data.length,
          (error: Error) => error,
        );
        if (typeof outcome === 'number') expect(outcome).toBe(8192);
        else expect(outcome.name).toBe('PixelError');
        if (typeof outcome !== 'number') failed++;
      }
      expect(failed).toBeGreaterThan(1);
    },
  );
});

describe('withMemoryLimit', () => {
  const module = readFileSync(require.resolve('dcmjs-codecs/build/dcmjs-native-codecs.wasm'));

  it('lowers the maximum and nothing else', () => {
    const limited = withMemoryLimit(module, 320 * MIB);
    expect(limited.length).toBe(module.length);
    let changed = 0;
    for (let i = 0; i < module.length; i++) if (limited[i] !== module[i]) changed++;
    expect([1, 2, 3]).toContain(changed);
    expect(Buffer.from(withMemoryLimit(module, 4096 * MIB)).equals(module)).toBe(true);
    // Never below what it starts with.
    expect(Buffer.compare(withMemoryLimit(module, 1), withMemoryLimit(module, 256 * MIB))).toBe(0);
  });

  it('refuses what is no such module: then nothing would be limited', () => {
    expect(() => withMemoryLimit(module.subarray(0, 100), MIB)).toThrow(RangeError);
    expect(() => withMemoryLimit(Buffer.alloc(64, 0xff), MIB)).toThrow(RangeError);
  });
});

import type { PixelAttributes } from './api';
import { PixelPool } from './pool';

const P = '1.2.840.10008.1.2';
const a: PixelAttributes = {
  rows: 64,
  columns: 64,
  samplesPerPixel: 1,
  bitsAllocated: 16,
  bitsStored: 16,
  highBit: 15,
  pixelRepresentation: 0,
  photometricInterpretation: 'MONOCHROME2',
  planarConfiguration: 0,
  numberOfFrames: 1,
};
const frame = (n: number): Buffer => Buffer.alloc(8192, n);

describe('PixelPool', () => {
  jest.setTimeout(60_000);

  it('codes many frames in few threads, in any order of completion', async () => {
    const pool = new PixelPool({ size: 2 });
    try {
      const results = await Promise.all(
        Array.from(
          { length: 20 },
          async (_, n) => (await pool.decode(`${P}.4.80`, a, await pool.encode(`${P}.4.80`, a, frame(n)))).data,
        ),
      );
      results.forEach((data, n) => expect(data.equals(frame(n))).toBe(true));
    } finally {
      await pool.close();
    }
  });

  it('fails one frame and goes on', async () => {
    const pool = new PixelPool({ size: 1 });
    try {
      const bad = pool.decode(`${P}.4.90`, a, Buffer.alloc(100, 7));
      const good = pool.encode(`${P}.5`, a, frame(3));
      await expect(bad).rejects.toMatchObject({ name: 'PixelError', code: 'bad-codestream' });
      expect((await good).length).toBeGreaterThan(64);
    } finally {
      await pool.close();
    }
  });

  it('replaces a thread that takes too long, and rejects only its task', async () => {
    const pool = new PixelPool({ size: 1, timeoutMs: 1 });
    try {
      // Loading the codecs in the new thread alone takes longer than the limit.
      await expect(pool.encode(`${P}.4.90`, a, frame(1))).rejects.toMatchObject({ code: 'timeout' });
      await expect(pool.encode(`${P}.4.90`, a, frame(1))).rejects.toMatchObject({ code: 'timeout' });
    } finally {
      await pool.close();
    }
  });

  it('refuses what the header makes absurd before it copies anything', async () => {
    const pool = new PixelPool({ size: 1, limits: { maxFrameBytes: 1000 } });
    await expect(pool.decode(`${P}.5`, a, frame(0))).rejects.toMatchObject({ code: 'too-large' });
    await pool.close();
  });

  // Some codecs loop for ever on damaged input, which is why nothing decodes outside a pool in a service.
  it('gives an answer for every damaged codestream, in bounded time', async () => {
    const pool = new PixelPool({ size: 1, timeoutMs: 2000 });
    try {
      for (const end of ['5', '4.70', '4.80', '4.90', '4.201', '8.1']) {
        const whole = await pool.encode(
          `${P}.${end}`,
          a,
          Buffer.from(Array.from({ length: 8192 }, (_, i) => (i * 31) & 0xff)),
        );
        for (let seed = 1; seed <= 3; seed++) {
          const damaged = Buffer.from(whole);
          for (let k = 0; k < 4; k++)
            damaged[(Math.imul(seed * 31 + k, 2654435761) >>> 0) % damaged.length]! ^= 1 << seed;
          const outcome = await pool.decode(`${P}.${end}`, a, damaged).then(
            (frame) => frame.data.length,
            (error: Error) => error.name,
          );
          expect([8192, 'PixelError']).toContain(outcome);
        }
      }
    } finally {
      await pool.close();
    }
  });

  it('rejects what is left when it closes', async () => {
    const pool = new PixelPool({ size: 1 });
    const tasks = [1, 2, 3].map((n) => pool.encode(`${P}.4.90`, a, frame(n)));
    const outcome = Promise.allSettled(tasks);
    await pool.close();
    for (const result of await outcome)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'closed' } });
    await expect(pool.encode(`${P}.5`, a, frame(1))).rejects.toMatchObject({ code: 'closed' });
  });
});

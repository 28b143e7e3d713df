import { Random } from './random';

/** Where native frames come from: one frame at a time, little endian, unpadded. */
export interface PixelPlan {
  rows: number;
  columns: number;
  frames: number;
  samplesPerPixel: 1 | 3;
  bitsAllocated: 1 | 8 | 16 | 32;
  bitsStored: number;
  signed: boolean;
  photometric: string;
  /** Bytes of one frame (for 1 bit: rounded up; only used with whole bytes per frame). */
  frameBytes: number;
  /** The samples of frame `index`, 0-based. The buffer may be overwritten by the next call. */
  frame(index: number): Buffer;
}

export interface PixelOptions {
  rows: number;
  columns: number;
  frames?: number;
  bitsAllocated?: 8 | 16 | 32;
  bitsStored?: number;
  signed?: boolean;
  samplesPerPixel?: 1 | 3;
  photometric?: string;
  /** Deviation of the noise, in grey levels (default about 1 % of the range). */
  noise?: number;
  /** Position of frame 0 in the anatomy, 0..1, and of one frame to the next. */
  z?: number;
  dz?: number;
}

interface Ellipse {
  x: number;
  y: number;
  rx: number;
  ry: number;
  /** Level, 0..1 of the range. */
  level: number;
}

const NOISE_SIZE = 1 << 17;
let noiseTable: Float32Array | undefined;

/** Normal noise, drawn once: a fresh draw per pixel would cost ten times the rest of an image. */
function noise(): Float32Array {
  if (noiseTable) return noiseTable;
  const random = new Random('noise');
  const table = new Float32Array(NOISE_SIZE);
  for (let i = 0; i < NOISE_SIZE; i++) table[i] = random.gaussian();
  noiseTable = table;
  return table;
}

/** A body in cross section: outline, two lungs or ventricles, spine, vessels; `z` moves along the axis. */
function anatomy(random: Random, z: number): Ellipse[] {
  const wobble = (amount: number): number => (random.float() - 0.5) * amount;
  const swell = 0.85 + 0.15 * Math.sin(Math.PI * z);
  const shapes: Ellipse[] = [
    { x: 0.5, y: 0.5, rx: 0.42 * swell, ry: 0.34 * swell, level: 0.26 },
    { x: 0.5, y: 0.5, rx: 0.4 * swell, ry: 0.32 * swell, level: 0.27 + wobble(0.01) },
    { x: 0.34 + wobble(0.01), y: 0.46, rx: 0.13 * swell, ry: 0.18 * swell, level: 0.05 + 0.03 * z },
    { x: 0.66 + wobble(0.01), y: 0.46, rx: 0.13 * swell, ry: 0.18 * swell, level: 0.06 + 0.03 * z },
    { x: 0.5, y: 0.73, rx: 0.05, ry: 0.055, level: 0.55 },
    { x: 0.5, y: 0.73, rx: 0.035, ry: 0.04, level: 0.4 },
    { x: 0.5 + wobble(0.02), y: 0.42, rx: 0.08 * swell, ry: 0.09, level: 0.3 },
  ];
  for (let i = 0; i < 10; i++) {
    const level = 0.2 + random.float() * 0.2;
    shapes.push({
      x: 0.2 + random.float() * 0.6,
      y: 0.25 + random.float() * 0.5,
      rx: 0.008 + random.float() * 0.02,
      ry: 0.008 + random.float() * 0.02,
      level,
    });
  }
  return shapes;
}

/**
 * Noisy anatomy, deterministic for (seed, frame). One frame of 512 x 512 takes about 1 ms.
 * Colour images are the same anatomy tinted, so that chroma is not flat.
 */
export function noisyAnatomy(random: Random, options: PixelOptions): PixelPlan {
  const { rows, columns } = options;
  const frames = options.frames ?? 1;
  const samples = options.samplesPerPixel ?? 1;
  const bitsAllocated = options.bitsAllocated ?? 16;
  const bitsStored = options.bitsStored ?? (bitsAllocated === 16 ? 12 : bitsAllocated);
  const signed = options.signed ?? false;
  const range = Math.pow(2, Math.min(bitsStored, 24)) - 1;
  const deviation = options.noise ?? Math.max(0.6, range * 0.006);
  const frameBytes = rows * columns * samples * (bitsAllocated / 8);
  const base = random.fork('anatomy');
  const offsets = random.fork('offset');
  let buffer: Buffer | undefined;
  return {
    rows,
    columns,
    frames,
    samplesPerPixel: samples,
    bitsAllocated,
    bitsStored,
    signed,
    photometric: options.photometric ?? (samples === 3 ? 'RGB' : 'MONOCHROME2'),
    frameBytes,
    frame(index: number): Buffer {
      buffer ??= Buffer.alloc(frameBytes);
      const z = Math.min(1, (options.z ?? 0) + index * (options.dz ?? 0.01));
      const shapes = anatomy(base.fork(Math.round(z * 400)), z);
      const start = offsets.fork(index).next32();
      fill(buffer, {
        rows,
        columns,
        samples,
        bitsAllocated,
        range,
        deviation,
        shapes,
        start,
        low: signed ? -Math.floor(range / 2) - 1 : 0,
      });
      return buffer;
    },
  };
}

interface Fill {
  rows: number;
  columns: number;
  samples: number;
  bitsAllocated: number;
  range: number;
  deviation: number;
  shapes: Ellipse[];
  start: number;
  low: number;
}

const TINT = [1, 0.82, 0.7];

function fill(out: Buffer, f: Fill): void {
  const table = noise();
  const line = new Float32Array(f.columns);
  const samples =
    f.bitsAllocated === 8
      ? new Uint8Array(out.buffer, out.byteOffset, out.length)
      : f.bitsAllocated === 16
        ? new Int16Array(out.buffer, out.byteOffset, out.length >> 1)
        : new Int32Array(out.buffer, out.byteOffset, out.length >> 2);
  let at = 0;
  for (let y = 0; y < f.rows; y++) {
    paintLine(line, (y + 0.5) / f.rows, f);
    // Each line starts elsewhere in the table, so that its length never shows as a pattern.
    let n = (f.start + Math.imul(y, 7919)) & (NOISE_SIZE - 1);
    for (let x = 0; x < f.columns; x++) {
      const grey = line[x]! + table[n]! * f.deviation;
      n = (n + 1) & (NOISE_SIZE - 1);
      if (f.samples === 1) samples[at++] = clamp(grey, f.range) + f.low;
      else for (let s = 0; s < f.samples; s++) samples[at++] = clamp(grey * TINT[s]!, f.range) + f.low;
    }
  }
}

function clamp(value: number, range: number): number {
  return value <= 0 ? 0 : value >= range ? range : value | 0;
}

function paintLine(line: Float32Array, y: number, f: Fill): void {
  line.fill(0.01 * f.range);
  for (const shape of f.shapes) {
    const dy = (y - shape.y) / shape.ry;
    if (dy <= -1 || dy >= 1) continue;
    const half = shape.rx * Math.sqrt(1 - dy * dy);
    const from = Math.max(0, Math.round((shape.x - half) * f.columns));
    const to = Math.min(f.columns, Math.round((shape.x + half) * f.columns));
    line.fill(shape.level * f.range, from, to);
  }
}

import { createHash } from 'node:crypto';

/**
 * Seeded pseudo-random numbers (sfc32): the same seed gives the same objects on every machine. Not for secrets.
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(private readonly seed: string | number) {
    const digest = createHash('sha256').update(`archipelago:${seed}`).digest();
    this.a = digest.readInt32LE(0);
    this.b = digest.readInt32LE(4);
    this.c = digest.readInt32LE(8);
    for (let i = 0; i < 12; i++) this.next32();
  }

  /** An independent generator for one part of the work, so that adding draws in one place changes nothing in another. */
  fork(label: string | number): Random {
    return new Random(`${this.seed}/${label}`);
  }

  /** Unsigned 32-bit integer. */
  next32(): number {
    const t = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t;
    return t >>> 0;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.next32() / 4294967296;
  }

  /** Uniform integer, both ends included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.float() * (high - low + 1));
  }

  pick<T>(values: readonly T[]): T {
    return values[this.int(0, values.length - 1)] as T;
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** Normal distribution, mean 0, deviation 1 (Box and Muller). */
  gaussian(): number {
    const u = 1 - this.float();
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.float());
  }

  bytes(length: number): Buffer {
    const out = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) out[i] = this.next32() & 0xff;
    return out;
  }

  /** A UID under 2.25 (PS3.5 B.2): the decimal form of a 128-bit number with the version and variant bits of a UUID. */
  uid(): string {
    const raw = this.bytes(16);
    raw[6] = ((raw[6] ?? 0) & 0x0f) | 0x40;
    raw[8] = ((raw[8] ?? 0) & 0x3f) | 0x80;
    return `2.25.${BigInt('0x' + raw.toString('hex')).toString(10)}`;
  }
}

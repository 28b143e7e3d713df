import { deflateRawSync } from 'node:zlib';
import { Random } from './random';

/** What was done to the bytes: goes into the name of a corpus entry. */
export type MutationName = (typeof MUTATIONS)[number]['name'];

export interface Mutation {
  bytes: Buffer;
  name: MutationName;
}

interface Mutator {
  name: string;
  apply(bytes: Buffer, random: Random): Buffer;
}

const u16 = (value: number): Buffer => Buffer.from([value & 0xff, (value >> 8) & 0xff]);
const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value >>> 0);
  return out;
};
const explicitSq = (tag: number, length: number): Buffer =>
  Buffer.concat([u16(tag >>> 16), u16(tag & 0xffff), Buffer.from('SQ\0\0'), u32(length)]);
const item = (length: number): Buffer => Buffer.concat([u16(0xfffe), u16(0xe000), u32(length)]);

/** Lengths that parsers get wrong. */
const LENGTHS = [0, 1, 2, 3, 7, 0xff, 0xfffe, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Offsets where an explicit little endian element of a short-length VR seems to begin: where edits hurt most. */
function elementOffsets(bytes: Buffer): number[] {
  const out: number[] = [];
  const end = Math.min(bytes.length - 8, 64 * 1024);
  for (let at = 0; at < end; at += 2) {
    const a = bytes[at + 4]!;
    const b = bytes[at + 5]!;
    if (a >= 65 && a <= 90 && b >= 65 && b <= 90 && bytes[at + 1]! < 0x80) out.push(at);
  }
  return out;
}

function somewhere(bytes: Buffer, random: Random, width: number): number {
  // Headers are where the decisions are: two of three edits go into the first 4 KiB.
  const reach = random.chance(0.66) ? Math.min(bytes.length, 4096) : bytes.length;
  return random.int(0, Math.max(0, reach - width));
}

const bombs = new Map<number, Buffer>();
/** Zeros of so many MiB, deflated: made once, for 64 MiB take a third of a second. */
function deflateBomb(mib: number): Buffer {
  const known = bombs.get(mib);
  if (known) return Buffer.from(known);
  bombs.set(mib, deflateRawSync(Buffer.alloc(mib * 1024 * 1024), { level: 9 }));
  return deflateBomb(mib);
}

const MUTATIONS = [
  {
    name: 'flip-bits',
    apply(bytes, random) {
      const out = Buffer.from(bytes);
      for (let n = random.int(1, 16); n > 0 && out.length; n--)
        out[somewhere(out, random, 1)]! ^= 1 << random.int(0, 7);
      return out;
    },
  },
  {
    name: 'length-edit',
    apply(bytes, random) {
      const out = Buffer.from(bytes);
      const offsets = elementOffsets(out);
      if (!offsets.length) return out;
      const at = random.pick(offsets);
      const long = ['OB', 'OW', 'OF', 'SQ', 'UN', 'UT', 'UC', 'UR'].includes(out.toString('latin1', at + 4, at + 6));
      if (long && at + 12 <= out.length) out.writeUInt32LE(random.pick(LENGTHS) >>> 0, at + 8);
      else out.writeUInt16LE(random.pick(LENGTHS) & 0xffff, at + 6);
      return out;
    },
  },
  { name: 'truncate', apply: (bytes, random) => Buffer.from(bytes.subarray(0, random.int(0, bytes.length))) },
  {
    name: 'cut-out',
    apply(bytes, random) {
      const at = somewhere(bytes, random, 1);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + random.int(1, 64)))]);
    },
  },
  {
    name: 'insert',
    apply(bytes, random) {
      const at = somewhere(bytes, random, 1);
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.int(1, 64)), bytes.subarray(at)]);
    },
  },
  {
    name: 'duplicate',
    apply(bytes, random) {
      const at = somewhere(bytes, random, 1);
      const piece = bytes.subarray(at, at + random.int(8, 512));
      return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    },
  },
  {
    name: 'vr-edit',
    apply(bytes, random) {
      const out = Buffer.from(bytes);
      const offsets = elementOffsets(out);
      if (offsets.length)
        out.write(
          random.pick(['SQ', 'UN', 'OB', 'OW', 'ZZ', '\0\0', 'UT', 'AT', 'FD', 'PN']),
          random.pick(offsets) + 4,
          'latin1',
        );
      return out;
    },
  },
  {
    name: 'tag-edit',
    apply(bytes, random) {
      const out = Buffer.from(bytes);
      const offsets = elementOffsets(out);
      if (!offsets.length) return out;
      const tags = [
        0xfffee000, 0xfffee00d, 0xfffee0dd, 0x7fe00010, 0x00020010, 0x00000000, 0xffffffff, 0xfffcfffc, 0x00080005,
      ];
      const at = random.pick(offsets);
      const tag = random.pick(tags);
      out.writeUInt16LE(tag >>> 16, at);
      out.writeUInt16LE(tag & 0xffff, at + 2);
      return out;
    },
  },
  {
    name: 'deep-nesting',
    apply(bytes, random) {
      const depth = random.pick([70, 1000, 20_000]);
      const level = Buffer.concat([explicitSq(0x00081140, 0xffffffff), item(0xffffffff)]);
      return Buffer.concat([bytes.subarray(0, Math.min(bytes.length, 300)), Buffer.alloc(depth * level.length, level)]);
    },
  },
  {
    name: 'length-bomb',
    apply(bytes, random) {
      const bomb = Buffer.concat([
        u16(0x7fe0),
        u16(0x0010),
        Buffer.from('OW\0\0'),
        u32(random.pick([0xfffffffe, 0x7ffffffe, 0x40000000])),
      ]);
      return Buffer.concat([bytes.subarray(0, Math.min(bytes.length, 1500)), bomb, random.bytes(64)]);
    },
  },
  {
    name: 'many-items',
    apply: (bytes, random) =>
      Buffer.concat([
        explicitSq(0x00081140, 0xffffffff),
        Buffer.alloc(8 * random.pick([1000, 100_000]), item(0)),
        bytes,
      ]),
  },
  {
    name: 'many-elements',
    apply: (bytes) => Buffer.concat([Buffer.alloc(8 * 50_000, Buffer.from([8, 0, 0x60, 0, 0x43, 0x53, 0, 0])), bytes]),
  },
  { name: 'deflate-bomb', apply: (_bytes, random) => deflateBomb(random.pick([1, 16, 64])) },
  { name: 'noise', apply: (bytes, random) => random.bytes(Math.min(bytes.length, random.int(0, 4096))) },
  {
    name: 'zero-run',
    apply(bytes, random) {
      const out = Buffer.from(bytes);
      const at = somewhere(out, random, 1);
      return out.fill(random.pick([0, 0xff]), at, Math.min(out.length, at + random.int(1, 256)));
    },
  },
] as const satisfies readonly Mutator[];

/**
 * A damaged variant of dataset (or file, or PDU) bytes; the same bytes and seed give the same variant. One mutation
 * mostly, sometimes up to four on top of each other. The input is not changed.
 */
export function mutateDataset(bytes: Buffer, seed: string | number): Mutation {
  const random = new Random(`mutate:${seed}`);
  let out = bytes;
  let name: MutationName = 'flip-bits';
  for (let n = random.chance(0.8) ? 1 : random.int(2, 4); n > 0; n--) {
    const mutator: Mutator & { name: MutationName } = random.pick(MUTATIONS);
    out = mutator.apply(out, random);
    name = mutator.name;
  }
  return { bytes: out, name };
}

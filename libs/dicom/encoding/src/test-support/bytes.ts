/** Hand-made bytes in Explicit VR Little Endian. */
const LONG = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);

export function tagBytes(tag: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(tag >>> 16, 0);
  bytes.writeUInt16LE(tag & 0xffff, 2);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** `length` declares another length than the value has. */
export function explicitElement(tag: number, vr: string, value: Buffer | string, length?: number): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const declared = length ?? bytes.length;
  if (LONG.has(vr)) return Buffer.concat([tagBytes(tag), Buffer.from(vr), Buffer.alloc(2), u32(declared), bytes]);
  const short = Buffer.alloc(2);
  short.writeUInt16LE(declared);
  return Buffer.concat([tagBytes(tag), Buffer.from(vr), short, bytes]);
}

export function implicitElement(tag: number, value: Buffer | string, length?: number): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  return Buffer.concat([tagBytes(tag), u32(length ?? bytes.length), bytes]);
}

export const UNDEFINED = 0xffffffff;

export function item(content: Buffer, length?: number): Buffer {
  return Buffer.concat([tagBytes(0xfffee000), u32(length ?? content.length), content]);
}

export const ITEM_END = Buffer.concat([tagBytes(0xfffee00d), u32(0)]);
export const SEQUENCE_END = Buffer.concat([tagBytes(0xfffee0dd), u32(0)]);

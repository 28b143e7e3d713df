import type { ScannedElement } from './scan';
import type { OpenInstance } from './open';
import type { PixelSyntax } from './syntaxes';
import { readPieces } from './window';

/** An element to be written instead of the stored one (or inserted); null: left out. */
export type Edit = { vr: string; value: Buffer } | null;

const LONG = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'UC', 'UN', 'UR', 'UT', 'UV', 'SV']);

/** Header bytes of an element in a given layout. */
export function elementHead(tag: number, vr: string, length: number, syntax: PixelSyntax): Buffer {
  const out = Buffer.alloc(!syntax.implicit && LONG.has(vr) ? 12 : 8);
  if (syntax.bigEndian) out.writeUInt32BE(tag, 0);
  else {
    out.writeUInt16LE(tag >>> 16, 0);
    out.writeUInt16LE(tag & 0xffff, 2);
  }
  const at = out.length === 12 ? 8 : 4;
  if (!syntax.implicit) {
    out.write(vr, 4, 'latin1');
    if (out.length === 8) {
      if (syntax.bigEndian) out.writeUInt16BE(length, 6);
      else out.writeUInt16LE(length, 6);
      return out;
    }
  }
  if (syntax.bigEndian) out.writeUInt32BE(length, at);
  else out.writeUInt32LE(length, at);
  return out;
}

export function usValue(value: number, syntax: PixelSyntax): Buffer {
  const out = Buffer.alloc(2);
  if (syntax.bigEndian) out.writeUInt16BE(value);
  else out.writeUInt16LE(value);
  return out;
}

export function csValue(value: string): Buffer {
  return Buffer.from(value.length % 2 ? `${value} ` : value, 'latin1');
}

/** A piece of output: bytes, or a range of the source to be copied. */
export type Part = Buffer | { start: number; end: number };

/**
 * The elements [from, to) of the top level with edits: group lengths are dropped (they would be wrong; PS3.5 7.2
 * retires them), edited elements replaced, new ones inserted at their place below `insertBelow`.
 */
export function rewriteElements(
  elements: readonly ScannedElement[],
  edits: Map<number, Edit>,
  syntax: PixelSyntax,
  insertBelow: number,
): Part[] {
  const parts: Part[] = [];
  const present = new Set(elements.map((element) => element.tag));
  const inserts = [...edits]
    .filter(([tag, edit]) => edit && !present.has(tag) && tag < insertBelow)
    .sort(([x], [y]) => x - y);
  const write = (tag: number, edit: Edit): void => {
    if (edit) parts.push(elementHead(tag, edit.vr, edit.value.length, syntax), edit.value);
  };
  for (const element of elements) {
    while (inserts.length > 0 && inserts[0]![0] < element.tag) write(...inserts.shift()!);
    const edit = edits.get(element.tag);
    if (edit !== undefined) write(element.tag, edit);
    else if ((element.tag & 0xffff) !== 0) parts.push({ start: element.start, end: element.end });
  }
  for (const insert of inserts) write(...insert);
  return parts;
}

export function partsLength(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + (Buffer.isBuffer(part) ? part.length : part.end - part.start), 0);
}

export async function* emitParts(parts: readonly Part[], open: OpenInstance): AsyncGenerator<Buffer> {
  for (const part of parts) {
    if (Buffer.isBuffer(part)) yield part;
    else yield* readPieces(open.reader, part.start, part.end);
  }
}

// stands in until dicom-encoding's bodies are there
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Part10Meta } from '@archipelago/dicom-encoding';
export function compressHeader(h: Buffer): Buffer {
  return deflateRawSync(h, { level: 1 });
}
export function decompressHeader(c: Buffer, raw: number): Buffer {
  return inflateRawSync(c, { maxOutputLength: Math.max(1, raw) });
}
export function writePart10Meta(m: Part10Meta): Buffer {
  const preamble = Buffer.alloc(132);
  preamble.write('DICM', 128);
  return Buffer.concat([preamble, Buffer.from(JSON.stringify(m))]);
}

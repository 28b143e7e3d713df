import { PixelError } from './api';

/**
 * RLE of one frame (PS3.5 annex G): a header of 64 bytes (number of segments, offsets), then per sample plane and per
 * byte of the sample, most significant first, one PackBits segment.
 */

/**
 * @returns samples little endian, interleaved by pixel
 * @throws PixelError 'bad-codestream' or 'truncated'
 */
export function decodeRle(data: Buffer, pixels: number, samplesPerPixel: number, bytesPerSample: number): Buffer {
  if (data.length < 64) throw new PixelError('truncated', 'the RLE header is cut');
  const segments = data.readUInt32LE(0);
  if (segments !== samplesPerPixel * bytesPerSample) throw new PixelError('bad-codestream', 'number of RLE segments');
  const offsets: number[] = [];
  for (let i = 0; i < segments; i++) offsets.push(data.readUInt32LE(4 + 4 * i));
  offsets.push(data.length);
  for (let i = 0; i < segments; i++) {
    if (offsets[i]! < 64 || offsets[i]! > offsets[i + 1]!)
      throw new PixelError('bad-codestream', 'offset of an RLE segment');
  }
  const stride = samplesPerPixel * bytesPerSample;
  const out = Buffer.alloc(pixels * stride);
  for (let i = 0; i < segments; i++) {
    const sample = Math.floor(i / bytesPerSample);
    const byte = bytesPerSample - 1 - (i % bytesPerSample);
    unpack(data.subarray(offsets[i], offsets[i + 1]), out, sample * bytesPerSample + byte, stride, pixels);
  }
  return out;
}

function unpack(segment: Buffer, out: Buffer, first: number, stride: number, count: number): void {
  let at = 0;
  let to = first;
  const end = first + count * stride;
  while (to < end) {
    if (at >= segment.length) throw new PixelError('truncated', 'an RLE segment is cut');
    const control = segment[at++]!;
    if (control < 128) {
      // A literal run may not reach beyond the segment; beyond the plane it is padding.
      if (at + control + 1 > segment.length && to + (segment.length - at) * stride < end) {
        throw new PixelError('truncated', 'an RLE segment is cut');
      }
      for (let n = 0; n <= control && to < end; n++, to += stride) out[to] = segment[at + n]!;
      at += control + 1;
    } else if (control > 128) {
      if (at >= segment.length) throw new PixelError('truncated', 'an RLE segment is cut');
      const value = segment[at++]!;
      for (let n = 257 - control; n > 0 && to < end; n--, to += stride) out[to] = value;
    }
  }
}

/** The inverse; runs do not cross rows (PS3.5 G.3.1). `data` is little endian, interleaved by pixel. */
export function encodeRle(
  data: Buffer,
  rows: number,
  columns: number,
  samplesPerPixel: number,
  bytesPerSample: number,
): Buffer {
  const segments: Buffer[] = [];
  const stride = samplesPerPixel * bytesPerSample;
  if (stride > 15) throw new PixelError('unsupported-syntax', 'RLE holds at most 15 segments');
  for (let sample = 0; sample < samplesPerPixel; sample++) {
    for (let byte = bytesPerSample - 1; byte >= 0; byte--) {
      segments.push(pack(data, sample * bytesPerSample + byte, stride, rows, columns));
    }
  }
  const header = Buffer.alloc(64);
  header.writeUInt32LE(segments.length, 0);
  let offset = 64;
  segments.forEach((segment, i) => {
    header.writeUInt32LE(offset, 4 + 4 * i);
    offset += segment.length;
  });
  return Buffer.concat([header, ...segments]);
}

function pack(data: Buffer, first: number, stride: number, rows: number, columns: number): Buffer {
  const out = Buffer.alloc(rows * (columns + Math.ceil(columns / 128)) + 1);
  const line = Buffer.alloc(columns);
  let to = 0;
  for (let y = 0, from = first; y < rows; y++) {
    for (let x = 0; x < columns; x++, from += stride) line[x] = data[from]!;
    to = packLine(line, out, to);
  }
  return out.subarray(0, to + (to % 2));
}

function packLine(line: Buffer, out: Buffer, to: number): number {
  let at = 0;
  while (at < line.length) {
    let run = 1;
    while (run < 128 && at + run < line.length && line[at + run] === line[at]) run++;
    if (run >= 3) {
      out[to++] = 257 - run;
      out[to++] = line[at]!;
      at += run;
      continue;
    }
    const start = at;
    while (at < line.length && at - start < 128) {
      if (at + 2 < line.length && line[at] === line[at + 1] && line[at] === line[at + 2]) break;
      at++;
    }
    out[to++] = at - start - 1;
    to += line.copy(out, to, start, at);
  }
  return to;
}

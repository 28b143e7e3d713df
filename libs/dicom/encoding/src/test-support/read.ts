import { HeaderReader, type HeaderLimits, type HeaderResult } from '../index';

export function readWhole(bytes: Buffer, transferSyntaxUid: string, limits?: HeaderLimits): HeaderResult {
  return readInChunks(bytes, transferSyntaxUid, bytes.length, limits);
}

/** Each chunk is overwritten after push(), as a socket's buffer is. */
export function readInChunks(bytes: Buffer, uid: string, size: number, limits?: HeaderLimits): HeaderResult {
  const reader = new HeaderReader(uid, limits);
  const chunk = Buffer.alloc(Math.max(1, size));
  for (let at = 0; at < bytes.length; at += size) {
    const length = bytes.copy(chunk, 0, at, Math.min(bytes.length, at + size));
    reader.push(chunk.subarray(0, length));
    chunk.fill(0xa5);
  }
  return reader.end();
}

export async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

export async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield Buffer.from(bytes.subarray(at, at + size));
}

/** The whole result as one text: cheap to compare many times. */
export function essence({ header, headerDigest, ...rest }: HeaderResult): string {
  return JSON.stringify({ ...rest, header: header.toString('latin1'), digest: headerDigest.toString('hex') });
}

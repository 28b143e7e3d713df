import type { ByteSource } from './pack-bytes';
import type { FetchedCopy } from './study-fetch';

const READ_MS = 60_000;

/** Bytes of a pack on another edge's disk, over its HTTP port: all of the range or an error. */
export function remoteSource(packId: string, { url, grant }: FetchedCopy): ByteSource {
  const request = async (start: number, end: number): Promise<AsyncIterable<Uint8Array>> => {
    const response = await fetch(`${url}/internal/packs/${packId}?start=${start}&end=${end}`, {
      headers: { authorization: `Bearer ${grant}` },
      signal: AbortSignal.timeout(READ_MS),
    });
    if (!response.ok || !response.body) throw new Error(`the edge that has it answered ${response.status}`);
    return response.body;
  };
  async function* stream(start: number, end: number): AsyncGenerator<Buffer> {
    let left = end - start;
    for await (const chunk of await request(start, end)) {
      left -= chunk.length;
      if (left < 0) throw new Error('the edge sent more than was asked for');
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
    if (left > 0) throw new Error('the edge sent less than was asked for');
  }
  const read = async (start: number, end: number): Promise<Buffer> => {
    const bytes = Buffer.allocUnsafe(end - start);
    let at = 0;
    for await (const chunk of stream(start, end)) at += chunk.copy(bytes, at);
    return bytes;
  };
  return { where: 'edge', read, stream };
}

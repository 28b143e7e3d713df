import { createHash } from 'node:crypto';
import type { ExpectedObject } from '../object-store';
import { ObjectDamagedError } from './errors';

export async function plainSha256(stream: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest('hex');
}

/** Whether the bytes read back are the expected ones. A digest that cannot even be computed means that they are not. */
export async function isExpected(stream: AsyncIterable<Buffer>, expect: ExpectedObject): Promise<boolean> {
  let bytes = 0;
  let broken: unknown;
  async function* counted(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of stream) {
        bytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      broken = error;
      throw error;
    }
  }
  try {
    const digest = await (expect.digest ?? plainSha256)(counted());
    return digest === expect.sha256 && bytes === expect.bytes;
  } catch (error) {
    // Told apart: the store broke off (try again), or the digest function found the bytes impossible (they are wrong).
    if (broken !== undefined) throw error;
    return false;
  }
}

export async function assertExpected(
  key: string,
  stream: AsyncIterable<Buffer>,
  expect: ExpectedObject,
): Promise<void> {
  if (!(await isExpected(stream, expect)))
    throw new ObjectDamagedError(key, 'read back after storing, its digest differs');
}

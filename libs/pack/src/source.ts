/** Random access to bytes: a file on the spool, an object in a store, a buffer. */
import { open, type FileHandle } from 'node:fs/promises';
import { PackFormatError } from './errors';

export interface PackSource {
  /** Bytes in all. */
  readonly size: number;
  /** Exactly bytes [start, end). Rejects when they are not there. */
  read(start: number, end: number): Promise<Buffer>;
  /** The same as a stream, in pieces; a source without it is read in pieces of 1 MiB. */
  stream?(start: number, end: number): AsyncIterable<Buffer>;
}

export const PIECE = 1024 * 1024;

/** Bytes [start, end) in pieces; the pieces may not be kept by the consumer beyond its turn. */
export async function* pieces(source: PackSource, start: number, end: number): AsyncGenerator<Buffer> {
  if (start < 0 || end < start || end > source.size) throw new PackFormatError('range outside of the pack');
  if (source.stream) {
    let left = end - start;
    for await (const chunk of source.stream(start, end)) {
      left -= chunk.length;
      if (left < 0) throw new PackFormatError('the source gave more bytes than asked for');
      yield chunk;
    }
    if (left > 0) throw new PackFormatError('the source gave fewer bytes than asked for');
    return;
  }
  for (let at = start; at < end; at += PIECE) yield await source.read(at, Math.min(end, at + PIECE));
}

/** A file that stays readable while it is evicted: the handle keeps the bytes until close(). */
export class FileSource implements PackSource {
  private constructor(
    private readonly handle: FileHandle,
    readonly size: number,
  ) {}

  static async open(path: string): Promise<FileSource> {
    const handle = await open(path, 'r');
    try {
      return new FileSource(handle, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async read(start: number, end: number): Promise<Buffer> {
    if (start < 0 || end < start || end > this.size) throw new PackFormatError('range outside of the file');
    const bytes = Buffer.allocUnsafe(end - start);
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await this.handle.read(bytes, filled, bytes.length - filled, start + filled);
      if (bytesRead === 0) throw new PackFormatError('the file is shorter than it was');
      filled += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

export class BufferSource implements PackSource {
  readonly size: number;

  constructor(private readonly bytes: Buffer) {
    this.size = bytes.length;
  }

  read(start: number, end: number): Promise<Buffer> {
    if (start < 0 || end < start || end > this.size)
      return Promise.reject(new PackFormatError('range outside of the buffer'));
    return Promise.resolve(this.bytes.subarray(start, end));
  }
}

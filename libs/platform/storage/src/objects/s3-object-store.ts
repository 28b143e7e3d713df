import { createHash } from 'node:crypto';
import { open, stat, type FileHandle } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Readable, Transform, addAbortSignal, pipeline } from 'node:stream';
import { isTransient } from '@archipelago/platform-service';
import type { ExpectedObject, ObjectInfo, ObjectStore } from '../object-store';
import { assertExpected, isExpected } from './digest';
import {
  ObjectConflictError,
  ObjectDamagedError,
  ObjectNotFoundError,
  ObjectRangeError,
  StoreRefusedError,
  StoreUnavailableError,
} from './errors';
import { assertKey, assertPrefix } from './key';
import { withRetry } from './retry';
import { S3Client, type S3Options } from './s3-client';
import { translateS3Error } from './s3-errors';

const MIB = 1024 * 1024;
const PAGE = 1000;
/** S3 allows 10,000 parts. */
const MAX_PARTS = 9000;

/** Objects in a bucket of any S3 server. */
export class S3ObjectStore implements ObjectStore {
  private readonly client: S3Client;
  private readonly bucket: string;

  constructor(
    private readonly options: S3Options,
    readonly name = 's3',
  ) {
    this.client = new S3Client(options);
    this.bucket = options.bucket;
  }

  async putFile(key: string, path: string, expect: ExpectedObject): Promise<void> {
    assertKey(key);
    const { size } = await stat(path);
    if (size !== expect.bytes) throw new ObjectDamagedError(key, 'the file to be stored has another size');
    await this.put(key, expect, async () => {
      const handle = await open(path, 'r');
      try {
        await this.upload(key, handle, size, expect.signal);
      } finally {
        await handle.close();
      }
    });
  }

  async putBuffer(key: string, body: Buffer): Promise<void> {
    assertKey(key);
    const expect = { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') };
    await this.put(key, expect, () => this.putSmall(key, body));
  }

  /** Upload unless it is there; then read back and compare, for an ETag only says what the store believes to have got. */
  private async put(key: string, expect: ExpectedObject, upload: () => Promise<void>): Promise<void> {
    const present = await this.stat(key);
    if (present) {
      if (present.bytes === expect.bytes && (await this.holds(key, expect))) return;
      if (!expect.repair) throw new ObjectConflictError(key);
    }
    await upload();
    const { signal } = expect;
    await this.retry(key, async () => assertStored(key, await this.openStream(key, undefined, signal), expect), signal);
  }

  private holds(key: string, expect: ExpectedObject): Promise<boolean> {
    const { signal } = expect;
    return this.retry(key, async () => isExpected(await this.openStream(key, undefined, signal), expect), signal);
  }

  private async upload(key: string, handle: FileHandle, size: number, signal?: AbortSignal): Promise<void> {
    const partBytes = Math.max(this.options.partBytes ?? 8 * MIB, Math.ceil(size / MAX_PARTS));
    if (size <= partBytes) await this.putSmall(key, await readPart(handle, 0, size), signal);
    else await this.putParts(key, handle, size, partBytes, signal);
  }

  private async putSmall(key: string, body: Buffer, signal?: AbortSignal): Promise<void> {
    await this.retry(key, () => this.client.putObject(this.bucket, key, body, body.length), signal);
  }

  /** One part in memory at a time. */
  private async putParts(
    key: string,
    handle: FileHandle,
    size: number,
    partBytes: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const { bucket, client } = this;
    const uploadID = await this.retry(key, () => client.initiateNewMultipartUpload(bucket, key, {}), signal);
    try {
      const etags: { part: number; etag: string }[] = [];
      for (let at = 0; at < size; at += partBytes) {
        const body = await readPart(handle, at, Math.min(size, at + partBytes));
        const part = etags.length + 1;
        const config = {
          bucketName: bucket,
          objectName: key,
          uploadID,
          partNumber: part,
          headers: { 'Content-Length': body.length },
        };
        const done = await this.retry(key, () => client.uploadPart(config, body), signal);
        etags.push({ part, etag: done.etag });
      }
      await this.retry(key, () => client.completeMultipartUpload(bucket, key, uploadID, etags), signal);
    } catch (error) {
      await client.abortMultipartUpload(bucket, key, uploadID).catch(() => undefined);
      throw error;
    }
  }

  async read(key: string, range?: { start: number; end: number }, signal?: AbortSignal): Promise<Readable> {
    assertKey(key);
    if (range) assertRange(key, range.start, range.end);
    if (range && range.start === range.end) return this.emptyRange(key, range.start);
    return this.retry(key, () => this.openStream(key, range, signal), signal);
  }

  /** S3 has no empty ranges: whether it lies within the object must be asked. */
  private async emptyRange(key: string, at: number): Promise<Readable> {
    const info = await this.stat(key);
    if (!info) throw new ObjectNotFoundError(key);
    if (at > info.bytes) throw new ObjectRangeError(key);
    return Readable.from([]);
  }

  private async openStream(
    key: string,
    range?: { start: number; end: number },
    signal?: AbortSignal,
  ): Promise<Readable> {
    const { bucket, client } = this;
    const asked = range
      ? client.getPartialObject(bucket, key, range.start, range.end - range.start)
      : client.getObject(bucket, key);
    const response = (await abortable(asked, signal)) as IncomingMessage;
    const length = Number(response.headers['content-length']);
    if (range && length !== range.end - range.start) {
      response.destroy();
      // The store cuts a range that goes beyond the end.
      throw new ObjectRangeError(key);
    }
    const whole = new WholeAnswer(key, length);
    pipeline(response, whole, () => undefined);
    return signal ? addAbortSignal(signal, whole) : whole;
  }

  async readRange(key: string, start: number, end: number): Promise<Buffer> {
    assertKey(key);
    assertRange(key, start, end);
    return this.retry(key, async () => {
      const stream = start === end ? await this.emptyRange(key, start) : await this.openStream(key, { start, end });
      const parts: Buffer[] = [];
      for await (const part of stream) parts.push(part as Buffer);
      return Buffer.concat(parts);
    });
  }

  async stat(key: string): Promise<ObjectInfo | null> {
    assertKey(key);
    try {
      const info = await this.retry(key, () => this.client.statObject(this.bucket, key));
      return { key, bytes: info.size, modifiedAt: info.lastModified };
    } catch (error) {
      if (!(error instanceof ObjectNotFoundError)) throw error;
      // A HEAD answer has no body, so a missing bucket looks like a missing object: never take one for the other.
      await this.ping();
      return null;
    }
  }

  async *list(prefix: string, after = ''): AsyncGenerator<ObjectInfo> {
    assertPrefix(prefix);
    for (let last = after; ;) {
      const from = last;
      const page = await this.retry(prefix, () =>
        this.client.listObjectsV2Query(this.bucket, prefix, '', '', PAGE, from),
      );
      for (const item of page.objects as ListedItem[]) {
        last = item.name ?? last;
        if (item.name) yield { key: item.name, bytes: item.size, modifiedAt: new Date(item.lastModified) };
      }
      if (!page.isTruncated) return;
      if (last === from) throw new StoreUnavailableError('the object store does not get on with its list');
    }
  }

  async delete(key: string): Promise<void> {
    assertKey(key);
    await this.retry(key, () => this.client.removeObject(this.bucket, key));
  }

  async ping(): Promise<void> {
    const exists = await this.retry('', () => this.client.bucketExists(this.bucket));
    if (!exists) throw new StoreRefusedError(`there is no bucket ${this.bucket}`);
  }

  /** Makes the bucket if it is not there. */
  async ensureBucket(): Promise<void> {
    if (await this.retry('', () => this.client.bucketExists(this.bucket))) return;
    await this.client.makeBucket(this.bucket, this.options.region ?? 'us-east-1').catch((error: { code?: string }) => {
      if (error.code !== 'BucketAlreadyOwnedByYou') throw translateS3Error('', error);
    });
  }

  /** Closes idle connections. */
  close(): void {
    this.client.close();
  }

  private retry<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const once = async (): Promise<T> => {
      try {
        return await abortable(work(), signal);
      } catch (error) {
        throw translateS3Error(key, error);
      }
    };
    const { attempts, retryDelayMs: baseDelayMs } = this.options;
    const again = (error: unknown): boolean => isTransient(error) && !(error instanceof ObjectDamagedError);
    return withRetry(once, again, { attempts, baseDelayMs }, signal);
  }
}

interface ListedItem {
  name?: string;
  size: number;
  lastModified: Date | string;
}

/** Passes an answer on and fails when it ends early; what its socket throws comes out in our error classes. */
class WholeAnswer extends Transform {
  private seen = 0;

  constructor(
    private readonly key: string,
    private readonly length: number,
  ) {
    super({ highWaterMark: 256 * 1024 });
  }

  override _transform(chunk: Buffer, _encoding: string, done: (error: Error | null, chunk?: Buffer) => void): void {
    this.seen += chunk.length;
    done(null, chunk);
  }

  override _flush(done: (error?: Error | null) => void): void {
    done(this.seen === this.length ? null : new StoreUnavailableError('the object store broke off its answer'));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    done(error && (translateS3Error(this.key, error) as Error));
  }
}

async function assertStored(key: string, stream: Readable, expect: ExpectedObject): Promise<void> {
  try {
    await assertExpected(key, stream, expect);
  } finally {
    stream.destroy();
  }
}

async function readPart(handle: FileHandle, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(end - start);
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled);
    if (bytesRead === 0) throw new RangeError('the file became shorter while it was stored');
    filled += bytesRead;
  }
  return bytes;
}

function assertRange(key: string, start: number, end: number): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start)
    throw new ObjectRangeError(key);
}

/** Stops waiting when aborted; an answer that comes later is thrown away. */
function abortable<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work;
  return new Promise<T>((resolve, reject) => {
    const stop = (): void => {
      work.then((late) => (late instanceof Readable ? late.destroy() : undefined)).catch(() => undefined);
      reject(new DOMException('aborted', 'AbortError'));
    };
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    return work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

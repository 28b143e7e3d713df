/**
 * The wire digest of datasets: BLAKE3 with 32 bytes (docs/adr/0025). By the native library where there is one for the platform,
 * else by a slow one in JavaScript that gives the same.
 */
import type { Blake3Hasher } from '@napi-rs/blake-hash';
import { blake3 } from '@noble/hashes/blake3';

export interface DatasetHash {
  update(bytes: Uint8Array): unknown;
  /** 32 bytes; once. */
  digest(): Buffer;
}

type Native = new () => Blake3Hasher;

function loadNative(): Native | undefined {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- there are platforms without it
    return (require('@napi-rs/blake-hash') as { Blake3Hasher: Native }).Blake3Hasher;
  } catch {
    return undefined;
  }
}

const native = loadNative();

class NativeHash implements DatasetHash {
  private readonly inner: Blake3Hasher;

  constructor(hasher: Native) {
    this.inner = new hasher();
  }

  update(bytes: Uint8Array): void {
    this.inner.update(bytes);
  }

  digest(): Buffer {
    return this.inner.digestBuffer();
  }
}

class PortableHash implements DatasetHash {
  private readonly inner = blake3.create({});

  update(bytes: Uint8Array): void {
    this.inner.update(bytes);
  }

  digest(): Buffer {
    return Buffer.from(this.inner.digest());
  }
}

export function datasetHash(): DatasetHash {
  return native ? new NativeHash(native) : new PortableHash();
}

/** For platforms without the native library, and for comparing the two. */
export function portableDatasetHash(): DatasetHash {
  return new PortableHash();
}

/** Lower-case hex of one piece. */
export function datasetDigest(bytes: Uint8Array): string {
  const hash = datasetHash();
  hash.update(bytes);
  return hash.digest().toString('hex');
}

import { Readable } from 'node:stream';
import { createDeflateRaw } from 'node:zlib';
import { transferSyntax } from '@archipelago/dicom-core';
import type { HeaderLimits } from './api';
import { DatasetError } from './dataset-error';
import { DEFAULT_LIMITS } from './header-reader';
import { Inflater } from './inflater';
import { Tokenizer } from './tokenizer';
import { TranscodeSink } from './transcode-sink';

/**
 * Re-encodes a dataset with native pixel data between Implicit VR LE, Explicit VR LE, Explicit VR BE and Deflated, as it
 * streams; memory is bounded by the chunks. Sequences and items get undefined lengths, group lengths and trailing padding
 * are dropped, odd lengths made even; UN becomes the VR that the dictionaries know. Chunks of the source may be reused
 * by it after each step. (0002,0010) is the caller's business.
 *
 * @throws DatasetError not-native for an encapsulated syntax or dataset; else as HeaderReader
 */
export async function* transcodeNative(
  source: AsyncIterable<Buffer>,
  fromTransferSyntaxUid: string,
  toTransferSyntaxUid: string,
  limits: HeaderLimits = {},
): AsyncGenerator<Buffer> {
  const target = transferSyntax(toTransferSyntaxUid);
  if (!target.native || !transferSyntax(fromTransferSyntaxUid).native) throw new DatasetError('not-native', 0, 0);
  const plain = reencode(source, fromTransferSyntaxUid, toTransferSyntaxUid, { ...DEFAULT_LIMITS, ...limits });
  if (!target.deflated) yield* plain;
  else yield* deflate(plain);
}

async function* reencode(
  source: AsyncIterable<Buffer>,
  from: string,
  to: string,
  limits: Required<HeaderLimits>,
): AsyncGenerator<Buffer> {
  const sink = new TranscodeSink(transferSyntax(to));
  const tokenizer = new Tokenizer(sink, from, limits.maxDepth);
  // Inflated pieces wait here, at most a thousand times a slice of the source.
  const inflater = transferSyntax(from).deflated
    ? new Inflater((bytes) => tokenizer.push(bytes), limits.maxInflatedBytes, limits.maxInflateRatio)
    : undefined;
  for await (const chunk of source) {
    for (const piece of inflater ? slices(chunk, 4096) : [chunk]) {
      if (inflater) inflater.push(piece);
      else tokenizer.push(piece);
      const ready = sink.take();
      if (ready.length > 0) yield ready;
    }
  }
  inflater?.end();
  tokenizer.end();
  const rest = sink.take();
  if (rest.length > 0) yield rest;
}

/** @internal */
export function* slices(chunk: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < chunk.length; at += size) yield chunk.subarray(at, at + size);
}

/** @internal Raw deflate as it streams, of even length. */
export async function* deflate(plain: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const zlib = createDeflateRaw();
  const input = Readable.from(plain, { objectMode: false, highWaterMark: 1 });
  input.on('error', (error) => zlib.destroy(error));
  input.pipe(zlib);
  let length = 0;
  try {
    for await (const chunk of zlib) {
      length += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  } finally {
    input.destroy();
    zlib.destroy();
  }
  // PS3.5 A.5: one NUL makes the length even.
  if (length % 2 === 1) yield Buffer.alloc(1);
}

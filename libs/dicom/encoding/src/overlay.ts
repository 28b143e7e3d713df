import { transferSyntax } from '@archipelago/dicom-core';
import type { HeaderLimits, LeftOutValue, Tag } from './api';
import { readHeader, type Dataset } from './dataset';
import { DatasetError } from './dataset-error';
import { DEFAULT_LIMITS, HeaderReader } from './header-reader';
import { Inflater } from './inflater';
import { planOverlay, type OverlayPlan } from './overlay-plan';
import { OverlaySink } from './overlay-sink';
import { RawWindow } from './raw-window';
import { Tokenizer } from './tokenizer';
import { deflate, slices } from './transcode';

/** Another value for one element of the dataset itself (not of items). */
export interface TagChange {
  /** Tag or keyword. */
  tag: Tag | string;
  /** Empty: the element is there without a value. Null: it is not there. Sequences can be emptied and removed only. */
  values: readonly (string | number)[] | null;
  /** What the value was must not be told: not in OriginalAttributesSequence, neither by us nor by the dataset itself. */
  hideOriginal?: boolean;
}

export interface OverlayOptions {
  changes: readonly TagChange[];
  /** Canonical header of the dataset: from its pack, from HeaderReader or peekHeader(). Up to the pixel data suffices. */
  header: Buffer;
  /** The values that the header leaves out. */
  leftOut?: readonly LeftOutValue[];
  /** ModifyingSystem (0400,0563). */
  modifyingSystem: string;
  /** AttributeModificationDateTime (0400,0562), a DT value with offset. */
  dateTime: string;
  /** SourceOfPreviousValues (0400,0564): who sent the object; empty when unknown. */
  sourceOfPreviousValues?: string;
  /** ReasonForTheAttributeModification (0400,0565), default COERCE. */
  reason?: 'COERCE' | 'CORRECT';
  limits?: HeaderLimits;
}

/**
 * The dataset with other values for some elements, as it streams, in its own transfer syntax. Whatever is not touched, the
 * pixel data first of all, is passed on byte for byte; when every value is already as it should be, the whole dataset is
 * (a deflated one too, else it is deflated anew). Memory: the header and a chunk.
 *
 * The values that were there are told in a new item of OriginalAttributesSequence (PS3.3 C.12.1.1.9). Digital signatures,
 * MAC parameters, LengthToEnd and the group lengths of changed groups are dropped. Where a text does not fit
 * SpecificCharacterSet, all text, that of items included, becomes ISO_IR 192; sequences then get undefined lengths.
 *
 * Pieces are views of the source's chunks where nothing changes: they hold as long as these do, until the next step.
 *
 * @throws DatasetError not-encodable: an element that may never change (overlayObstacle), a value that its VR cannot hold,
 *   an original too long to be told; header-too-large: a text over the limit while converting; else as HeaderReader
 */
export async function* overlayDataset(
  source: AsyncIterable<Buffer>,
  transferSyntaxUid: string,
  options: OverlayOptions,
): AsyncGenerator<Buffer> {
  const view = readHeader(options.header, { leftOut: options.leftOut });
  const plan = planOverlay(view, options);
  if (!plan) {
    yield* source;
    return;
  }
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const plain = rewrite(source, transferSyntaxUid, plan, view, limits);
  if (transferSyntax(transferSyntaxUid).deflated) yield* deflate(plain);
  else yield* plain;
}

async function* rewrite(
  source: AsyncIterable<Buffer>,
  transferSyntaxUid: string,
  plan: OverlayPlan,
  view: Dataset,
  limits: Required<HeaderLimits>,
): AsyncGenerator<Buffer> {
  const window = new RawWindow();
  const sink = new OverlaySink(plan, window, view.charset, limits.maxHeaderBytes);
  const tokenizer = new Tokenizer(sink, transferSyntaxUid, limits.maxDepth);
  sink.state = tokenizer;
  let ended = false;
  const push = (bytes: Buffer): void => {
    window.begin(bytes);
    tokenizer.push(bytes);
    if (!ended && tokenizer.warnings.has('trailing-bytes')) {
      // The dataset ends before these: what belongs to its end comes first.
      sink.finish();
      ended = true;
    }
    sink.flush();
    window.settle();
  };
  // Inflated pieces are copied: the inflater may use its buffer again.
  const inflater = transferSyntax(transferSyntaxUid).deflated
    ? new Inflater((bytes) => push(Buffer.from(bytes)), limits.maxInflatedBytes, limits.maxInflateRatio)
    : undefined;
  for await (const chunk of source) {
    for (const piece of inflater ? slices(chunk, 4096) : [chunk]) {
      if (inflater) inflater.push(piece);
      else push(piece);
      yield* window.take();
    }
  }
  inflater?.end();
  tokenizer.end();
  if (!ended) sink.finish();
  window.copyTo(window.end);
  yield* window.take();
}

export interface PeekedDataset {
  /** Canonical header up to the pixel data, or of the whole dataset when it has none. */
  header: Buffer;
  leftOut: readonly LeftOutValue[];
  /** The whole dataset from its first byte; to be read once. */
  dataset: AsyncGenerator<Buffer>;
}

/**
 * Reads a stream up to its pixel data, for overlayDataset() where no header is at hand. What was read is held in memory,
 * at most `limits.maxHeaderBytes` and one chunk.
 *
 * @throws DatasetError header-too-large when no pixel data begins within the limit; else as HeaderReader
 */
export async function peekHeader(
  source: AsyncIterable<Buffer>,
  transferSyntaxUid: string,
  limits: HeaderLimits = {},
): Promise<PeekedDataset> {
  const { maxHeaderBytes } = { ...DEFAULT_LIMITS, ...limits };
  const reader = new HeaderReader(transferSyntaxUid, limits);
  const iterator = source[Symbol.asyncIterator]();
  const held: Buffer[] = [];
  let length = 0;
  try {
    for (;;) {
      const next = await iterator.next();
      if (next.done) {
        const { header, leftOut } = reader.end();
        return { header, leftOut, dataset: replay(held, iterator) };
      }
      if (length > maxHeaderBytes) throw new DatasetError('header-too-large', 0, length);
      held.push(Buffer.from(next.value));
      length += next.value.length;
      reader.push(next.value);
      if (reader.pixelReached) return { ...reader.beforePixel(), dataset: replay(held, iterator) };
    }
  } catch (error) {
    await iterator.return?.();
    throw error;
  }
}

async function* replay(held: Buffer[], iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    for (let chunk = held.shift(); chunk; chunk = held.shift()) yield chunk;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

import type { VrCode } from './vr-code';

/**
 * What the tokenizer tells while it reads. Offsets count dataset bytes (of the inflated dataset, when deflated). Buffers
 * handed over are views that are valid during the call only.
 */
export interface TokenSink {
  /** An element with a value of known length follows: value() 0 to n times, then endElement(). */
  element(tag: number, vr: VrCode, length: number, bigEndian: boolean, offset: number): void;
  value(bytes: Buffer, start: number, end: number): void;
  endElement(): void;
  startSequence(tag: number, offset: number): void;
  startItem(): void;
  endItem(): void;
  endSequence(): void;
  /** Encapsulated value: fragments (the first is the Basic Offset Table), each with value() 0 to n times. */
  startEncapsulated(tag: number, vr: VrCode, offset: number): void;
  startFragment(offset: number, length: number): void;
  endFragment(): void;
  /** `end` is the offset after the sequence delimiter. */
  endEncapsulated(end: number): void;
}

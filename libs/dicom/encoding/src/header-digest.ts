import { createHash } from 'node:crypto';
import { GrowingBuffer } from './growing-buffer';

/** Values longer than this enter the header digest through a digest of their own. Fixed: part of the definition. */
export const DIGEST_BULK_OVER = 4096;

const BULK = 0xfffffffe;
const PIXEL = 0xfffffffd;
const SEQUENCE = 0xffffffff;
const FRAGMENT = 0xfffffffc;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;

const spare: GrowingBuffer[] = [];

/**
 * The record that the header digest is taken of (README, "Header digest"): per element its tag (u32) and
 *   value of up to 4096 bytes   length (u32), bytes
 *   longer value                FFFFFFFE, length (u64), SHA-256 of the bytes
 *   pixel data of the image     FFFFFFFD
 *   sequence                    FFFFFFFF, items between FFFEE000 and FFFEE00D, FFFEE0DD; an empty one is an empty value
 *   nested encapsulated value   FFFFFFFC, its fragments each as a value, FFFEE0DD
 * Integers and values in little endian. No two different headers have one record.
 */
export class HeaderDigest {
  readonly record: GrowingBuffer;

  constructor() {
    this.record = spare.pop() ?? new GrowingBuffer(16 * 1024);
    this.record.length = 0;
  }

  value(tag: number, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length > DIGEST_BULK_OVER) {
      const hash = createHash('sha256').update(bytes.subarray(start, end));
      if ((length & 1) === 1) hash.update(Buffer.alloc(1));
      this.bulk(tag, length + (length & 1), hash.digest());
      return;
    }
    const record = this.record;
    record.u32(tag);
    // A byte that makes the length even is padding, and as good as there.
    record.u32(length + (length & 1));
    record.append(bytes, start, end);
    if ((length & 1) === 1) {
      record.reserve(1);
      record.bytes[record.length++] = 0;
    }
  }

  bulk(tag: number, length: number, digest: Buffer): void {
    this.record.u32(tag);
    this.record.u32(BULK);
    this.record.u64(length);
    this.record.append(digest, 0, digest.length);
  }

  pixel(tag: number): void {
    this.record.u32(tag);
    this.record.u32(PIXEL);
  }

  startSequence(tag: number): void {
    this.record.u32(tag);
    this.record.u32(SEQUENCE);
  }

  endSequence(empty: boolean): void {
    if (empty) {
      this.record.length -= 4;
      this.record.u32(0);
    } else this.record.u32(SEQUENCE_END);
  }

  startItem(): void {
    this.record.u32(ITEM);
  }

  endItem(): void {
    this.record.u32(ITEM_END);
  }

  startFragments(tag: number): void {
    this.record.u32(tag);
    this.record.u32(FRAGMENT);
  }

  endFragments(): void {
    this.record.u32(SEQUENCE_END);
  }

  /** Ends the work; `order` puts the stretches of the record in another order. The buffer goes back for reuse. */
  finish(order?: readonly { start: number; end: number }[]): Buffer {
    const hash = createHash('sha256');
    if (order) for (const { start, end } of order) hash.update(this.record.bytes.subarray(start, end));
    else hash.update(this.record.view());
    if (this.record.bytes.length <= 64 * 1024 && spare.length < 16) spare.push(this.record);
    return hash.digest();
  }
}

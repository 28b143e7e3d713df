import type { TransferSyntax } from '@archipelago/dicom-core';
import { StreamSwapper, swapInPlace } from './byte-swap';
import { DatasetError } from './dataset-error';
import { GrowingBuffer } from './growing-buffer';
import type { TokenSink } from './token-sink';
import { LONG, NUL_PADDED, SQ, UN, vrFlags, vrUnit, type VrCode } from './vr-code';

const DATASET_TRAILING_PADDING = 0xfffcfffc;

/** Writes the tokens of one native syntax in another. What is ready is taken with take() after each push. */
export class TranscodeSink implements TokenSink {
  private out = new GrowingBuffer(64 * 1024);
  private skip = false;
  private swapper: StreamSwapper | undefined;
  private padding = -1;

  constructor(private readonly target: TransferSyntax) {}

  /** What was written since the last call; a buffer of its own. */
  take(): Buffer {
    const bytes = Buffer.from(this.out.view());
    this.out.length = 0;
    return bytes;
  }

  element(tag: number, vr: VrCode, length: number, bigEndian: boolean): void {
    this.skip = (tag & 0xffff) === 0 || tag === DATASET_TRAILING_PADDING;
    if (this.skip) return;
    // UN is little endian wherever it stands (PS3.5 section 6.2.2 note 2), and so is a value written as UN.
    const code = this.header(tag, vr, length + (length & 1));
    const unit = bigEndian === (this.target.bigEndian && code !== UN) ? 1 : vrUnit(vr);
    this.swapper = unit > 1 ? new StreamSwapper(unit) : undefined;
    this.padding = (length & 1) === 1 ? ((vrFlags(vr) & NUL_PADDED) !== 0 ? 0 : 0x20) : -1;
  }

  value(bytes: Buffer, start: number, end: number): void {
    if (this.skip) return;
    const swapped = this.swapper?.push(bytes, start, end);
    if (swapped) this.out.append(swapped, 0, swapped.length);
    else this.out.append(bytes, start, end);
  }

  endElement(): void {
    if (this.skip) return;
    const rest = this.swapper?.end();
    if (rest) this.out.append(rest, 0, rest.length);
    if (this.padding >= 0) this.out.append(Buffer.of(this.padding), 0, 1);
  }

  startSequence(tag: number): void {
    this.header(tag, SQ, 0xffffffff);
  }

  startItem(): void {
    this.marker(0xfffee000, 0xffffffff);
  }

  endItem(): void {
    this.marker(0xfffee00d, 0);
  }

  endSequence(): void {
    this.marker(0xfffee0dd, 0);
  }

  startEncapsulated(tag: number, _vr: VrCode, offset: number): void {
    throw new DatasetError('not-native', tag, offset);
  }

  startFragment(): void {
    throw new DatasetError('not-native', 0, 0);
  }

  endFragment(): void {
    throw new DatasetError('not-native', 0, 0);
  }

  endEncapsulated(): void {
    throw new DatasetError('not-native', 0, 0);
  }

  /** Returns the VR that was written. */
  private header(tag: number, vr: VrCode, length: number): VrCode {
    const { out, target } = this;
    this.tag(tag);
    if (target.implicit) {
      this.u32(length);
      return vr;
    }
    const code = length > 0xfffe && (vrFlags(vr) & LONG) === 0 ? UN : vr;
    out.append(Buffer.of(code >> 8, code & 0xff), 0, 2);
    if ((vrFlags(code) & LONG) !== 0) {
      out.u16(0);
      this.u32(length);
    } else if (target.bigEndian) out.append(Buffer.of(length >> 8, length & 0xff), 0, 2);
    else out.u16(length);
    return code;
  }

  private marker(tag: number, length: number): void {
    this.tag(tag);
    this.u32(length);
  }

  private tag(tag: number): void {
    this.out.tag(tag);
    if (this.target.bigEndian) swapInPlace(this.out.bytes, this.out.length - 4, this.out.length, 2);
  }

  private u32(value: number): void {
    this.out.u32(value);
    if (this.target.bigEndian) swapInPlace(this.out.bytes, this.out.length - 4, this.out.length, 4);
  }
}

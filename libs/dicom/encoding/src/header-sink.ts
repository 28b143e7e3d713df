import { createHash, type Hash } from 'node:crypto';
import type { ElementPath, LeftOutValue, PixelTable } from './api';
import { StreamSwapper, swapInPlace } from './byte-swap';
import { DatasetError } from './dataset-error';
import { GrowingBuffer } from './growing-buffer';
import { HeaderDigest } from './header-digest';
import { Identity } from './identity';
import { MAX_FRAGMENTS, PixelTableBuilder } from './pixel-table';
import type { TokenSink } from './token-sink';
import { isStandardText, LONG, NUL_PADDED, SQ, TEXT, UN, vrFlags, vrName, vrUnit, type VrCode } from './vr-code';

const DATASET_TRAILING_PADDING = 0xfffcfffc;
const EXTENDED_OFFSET_TABLE = 0x7fe00001;

const enum Mode {
  Skip,
  Keep,
  Hash,
}

function isPixelTag(tag: number): boolean {
  return tag === 0x7fe00010 || tag === 0x7fe00008 || tag === 0x7fe00009;
}

/** Builds the canonical header, its digest, the left-out values and the pixel table from the tokenizer's tokens. */
export class HeaderSink implements TokenSink {
  readonly header = new GrowingBuffer(8 * 1024);
  readonly digest = new HeaderDigest();
  readonly leftOut: LeftOutValue[] = [];
  readonly identity = new Identity();
  pixel: PixelTableBuilder | undefined;
  /** Per element of the dataset itself: tag, start in the header, start in the digest's record. */
  readonly starts: number[] = [];

  private mode = Mode.Skip;
  private depth = 0;
  private tag = 0;
  private vr: VrCode = 0;
  private bigEndian = false;
  private lengthAt = 0;
  private long = false;
  private valueAt = 0;
  private bulkLength = 0;
  private hash: Hash | undefined;
  private swapper: StreamSwapper | undefined;
  private extendedTable: GrowingBuffer | undefined;
  private inPixel = false;
  private readonly path: number[] = [];
  private pathCost = 0;
  private readonly hasItems: boolean[] = [];

  constructor(
    private readonly maxBytes: number,
    private readonly leftOutOver: number,
  ) {}

  element(tag: number, vr: VrCode, length: number, bigEndian: boolean, offset: number): void {
    this.tag = tag;
    if ((tag & 0xffff) === 0 || tag === DATASET_TRAILING_PADDING) {
      this.mode = Mode.Skip;
      return;
    }
    if (this.depth === 0) this.noteStart(tag);
    this.vr = vr;
    this.bigEndian = bigEndian;
    if (this.depth === 0 && isPixelTag(tag)) this.startPixel(tag, vr, offset).native(length);
    else if (length > this.leftOutOver && (vrFlags(vr) & TEXT) === 0) this.startBulk(tag, vr, length, offset);
    else {
      this.check(length, tag, offset);
      this.startHeader(tag, vr, length);
      this.valueAt = this.header.length;
      this.mode = Mode.Keep;
    }
  }

  value(bytes: Buffer, start: number, end: number): void {
    if (this.mode === Mode.Keep) this.header.append(bytes, start, end);
    else if (this.mode === Mode.Hash) this.hashValue(bytes, start, end);
    else if (this.inPixel) this.pixel?.value(bytes, start, end);
  }

  endElement(): void {
    if (this.mode === Mode.Keep) this.endKept();
    else if (this.mode === Mode.Hash) this.endBulk();
    this.mode = Mode.Skip;
  }

  startSequence(tag: number, offset: number): void {
    this.check(16, tag, offset);
    if (this.depth === 0) this.noteStart(tag);
    this.startHeader(tag, SQ, 0xffffffff);
    this.digest.startSequence(tag);
    this.path.push(tag, -1);
    this.hasItems.push(false);
  }

  startItem(): void {
    this.check(16, this.tag, 0);
    this.header.tag(0xfffee000);
    this.header.u32(0xffffffff);
    this.digest.startItem();
    this.path[this.path.length - 1]++;
    this.hasItems[this.hasItems.length - 1] = true;
    this.depth++;
  }

  endItem(): void {
    this.header.tag(0xfffee00d);
    this.header.u32(0);
    this.digest.endItem();
    this.depth--;
  }

  endSequence(): void {
    this.header.tag(0xfffee0dd);
    this.header.u32(0);
    this.digest.endSequence(this.hasItems.pop() !== true);
    this.path.length -= 2;
  }

  startEncapsulated(tag: number, vr: VrCode, offset: number): void {
    this.tag = tag;
    this.vr = vr;
    if (this.depth === 0) this.noteStart(tag);
    if (this.depth === 0 && isPixelTag(tag)) {
      this.startPixel(tag, vr, offset).startFragments();
      this.inPixel = true;
    } else {
      this.check(16, tag, offset);
      this.startHeader(tag, vr, 0);
      this.addLeftOut(vr, offset, 0);
      this.digest.startFragments(tag);
    }
  }

  startFragment(offset: number, length: number): void {
    if (this.inPixel) this.pixel?.startFragment(offset, length);
    else {
      this.check(64, this.tag, offset);
      this.bulkLength = length;
      this.hash = createHash('sha256');
      this.swapper = undefined;
      this.mode = Mode.Hash;
    }
  }

  endFragment(): void {
    if (this.mode !== Mode.Hash) return;
    this.digest.bulk(0, this.bulkLength, (this.hash as Hash).digest());
    this.mode = Mode.Skip;
  }

  endEncapsulated(end: number): void {
    if (this.inPixel) {
      this.pixel?.endFragments(end);
      this.inPixel = false;
      return;
    }
    const value = this.leftOut[this.leftOut.length - 1];
    value.length = end - value.offset;
    this.digest.endFragments();
  }

  pixelTable(transferSyntaxUid: string): PixelTable | null {
    const extended = this.extendedTable?.view();
    return this.pixel?.build(transferSyntaxUid, this.identity.numberOfFrames, extended) ?? null;
  }

  private noteStart(tag: number): void {
    this.starts.push(tag, this.header.length, this.digest.record.length);
  }

  /** The header grows as bytes come, but what cannot fit is refused at its announcement. */
  private check(length: number, tag: number, offset: number): void {
    const used = Math.max(this.header.length, this.digest.record.length) + this.pathCost;
    if (used + length > this.maxBytes) throw new DatasetError('header-too-large', tag, offset);
  }

  private startHeader(tag: number, vr: VrCode, length: number): void {
    const header = this.header;
    header.tag(tag);
    // A value too long for a 16-bit length is written as UN (PS3.5 section 6.2.2 note 5).
    const code = length > 0xfffe && (vrFlags(vr) & LONG) === 0 ? UN : vr;
    header.reserve(8);
    header.bytes[header.length++] = code >> 8;
    header.bytes[header.length++] = code & 0xff;
    this.long = (vrFlags(code) & LONG) !== 0;
    if (this.long) header.u16(0);
    this.lengthAt = header.length;
    if (this.long) header.u32(length);
    else header.u16(length);
  }

  private startPixel(tag: number, vr: VrCode, offset: number): PixelTableBuilder {
    this.mode = Mode.Skip;
    this.check(16, tag, offset);
    this.startHeader(tag, vr, 0);
    this.digest.pixel(tag);
    this.pixel = new PixelTableBuilder(tag, vrName(vr), offset);
    return this.pixel;
  }

  private startBulk(tag: number, vr: VrCode, length: number, offset: number): void {
    this.check(64, tag, offset);
    this.startHeader(tag, vr, 0);
    this.addLeftOut(vr, offset, length);
    this.bulkLength = length;
    this.hash = createHash('sha256');
    const unit = this.bigEndian ? vrUnit(vr) : 1;
    this.swapper = unit > 1 ? new StreamSwapper(unit) : undefined;
    if (this.depth === 0 && tag === EXTENDED_OFFSET_TABLE) {
      if (length > MAX_FRAGMENTS * 8) throw new DatasetError('too-many-fragments', tag, offset);
      this.extendedTable = new GrowingBuffer(8192);
    }
    this.mode = Mode.Hash;
  }

  private addLeftOut(vr: VrCode, offset: number, length: number): void {
    const path: ElementPath = [...this.path, this.tag];
    this.pathCost += 64 + path.length * 16;
    this.leftOut.push({ path, vr: vrName(vr), offset, length });
  }

  private hashValue(bytes: Buffer, start: number, end: number): void {
    const swapped = this.swapper?.push(bytes, start, end);
    const hash = this.hash as Hash;
    if (swapped) hash.update(swapped);
    else hash.update(bytes.subarray(start, end));
    if (this.extendedTable && this.tag === EXTENDED_OFFSET_TABLE && this.depth === 0) {
      if (swapped) this.extendedTable.append(swapped, 0, swapped.length);
      else this.extendedTable.append(bytes, start, end);
    }
  }

  private endBulk(): void {
    const hash = this.hash as Hash;
    if (this.swapper) hash.update(this.swapper.end());
    if ((this.bulkLength & 1) === 1) hash.update(Buffer.alloc(1));
    this.digest.bulk(this.tag, this.bulkLength + (this.bulkLength & 1), hash.digest());
  }

  private endKept(): void {
    const header = this.header;
    const start = this.valueAt;
    const end = header.length;
    const flags = vrFlags(this.vr);
    if (this.bigEndian) {
      const unit = vrUnit(this.vr);
      if (unit > 1) swapInPlace(header.bytes, start, end, unit);
    }
    if (this.depth === 0) this.noteValue(start, end);
    let trimmed = end;
    if ((flags & TEXT) !== 0 && isStandardText(this.tag)) {
      while (trimmed > start && (header.bytes[trimmed - 1] === 0x20 || header.bytes[trimmed - 1] === 0)) trimmed--;
    }
    this.digest.value(this.tag, header.bytes, start, trimmed);
    if (((end - start) & 1) === 1) this.pad((flags & NUL_PADDED) !== 0 ? 0 : 0x20, end - start + 1);
  }

  private pad(byte: number, length: number): void {
    const header = this.header;
    header.reserve(1);
    header.bytes[header.length++] = byte;
    const bytes = header.bytes;
    bytes[this.lengthAt] = length & 0xff;
    bytes[this.lengthAt + 1] = (length >> 8) & 0xff;
    if (!this.long) return;
    bytes[this.lengthAt + 2] = (length >> 16) & 0xff;
    bytes[this.lengthAt + 3] = (length >> 24) & 0xff;
  }

  private noteValue(start: number, end: number): void {
    this.identity.note(this.tag, this.header.bytes, start, end);
    if (this.tag !== EXTENDED_OFFSET_TABLE) return;
    this.extendedTable = new GrowingBuffer(64);
    this.extendedTable.append(this.header.bytes, start, end);
  }
}

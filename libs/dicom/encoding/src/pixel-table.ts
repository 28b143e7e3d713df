import { transferSyntax } from '@archipelago/dicom-core';
import { DatasetError } from './dataset-error';
import { GrowingBuffer } from './growing-buffer';
import type { PixelTable } from './api';

/** Most fragments and offset table entries that are noted; a dataset with more is refused. */
export const MAX_FRAGMENTS = 1 << 20;

/** Notes where the pixel data lies, while it passes by. */
export class PixelTableBuilder {
  private readonly offsets: number[] = [];
  private readonly lengths: number[] = [];
  private readonly table = new GrowingBuffer(64);
  private inTable = false;
  private encapsulated = false;
  private length = 0;
  private fragment = -1;

  constructor(
    private readonly tag: number,
    private readonly vr: string,
    private readonly offset: number,
  ) {}

  native(length: number): void {
    this.length = length;
  }

  startFragments(): void {
    this.encapsulated = true;
  }

  /** The first item is the Basic Offset Table (PS3.5 A.4), its bytes are given to tableBytes(). */
  startFragment(offset: number, length: number): void {
    this.fragment++;
    this.inTable = this.fragment === 0;
    if (this.inTable) return;
    if (this.fragment > MAX_FRAGMENTS) throw new DatasetError('too-many-fragments', this.tag, offset);
    this.offsets.push(offset);
    this.lengths.push(length);
  }

  value(bytes: Buffer, start: number, end: number): void {
    if (!this.inTable) return;
    if (this.table.length + end - start > MAX_FRAGMENTS * 4) {
      throw new DatasetError('too-many-fragments', this.tag, this.offset);
    }
    this.table.append(bytes, start, end);
  }

  endFragments(end: number): void {
    this.length = end - this.offset;
  }

  /** `extended`: the bytes of (7FE0,0001) ExtendedOffsetTable, in little endian; it takes the basic one's place. */
  build(transferSyntaxUid: string, numberOfFrames: number, extended: Buffer | undefined): PixelTable {
    const offsetTable = extended ? readTable(extended, 8) : readTable(this.table.view(), 4);
    const result: PixelTable = {
      tag: this.tag,
      vr: this.vr,
      offset: this.offset,
      length: this.length,
      encapsulated: this.encapsulated,
      fragments: this.offsets.map((offset, index) => ({ offset, length: this.lengths[index] })),
      offsetTable,
    };
    const starts = this.encapsulated ? this.frameStarts(transferSyntaxUid, numberOfFrames, offsetTable) : undefined;
    if (starts) result.frameStarts = starts;
    return result;
  }

  private frameStarts(uid: string, frames: number, table: number[]): number[] | undefined {
    if (transferSyntax(uid).video || this.offsets.length === 0 || frames < 1) return undefined;
    if (frames === 1) return [0];
    if (frames > this.offsets.length) return undefined;
    if (table.length === frames) {
      const starts = this.startsByTable(table);
      if (starts) return starts;
    }
    return frames === this.offsets.length ? this.offsets.map((_, index) => index) : undefined;
  }

  /** Offsets of the table count from the first fragment's item tag; undefined when one is not an item's. */
  private startsByTable(table: number[]): number[] | undefined {
    const base = this.offsets[0] - 8;
    const starts: number[] = [];
    let index = 0;
    for (const offset of table) {
      while (index < this.offsets.length && this.offsets[index] - 8 - base < offset) index++;
      if (index >= this.offsets.length || this.offsets[index] - 8 - base !== offset) return undefined;
      if (starts.length > 0 && index <= starts[starts.length - 1]) return undefined;
      starts.push(index);
    }
    return starts[0] === 0 ? starts : undefined;
  }
}

function readTable(bytes: Buffer, size: 4 | 8): number[] {
  const result: number[] = [];
  for (let at = 0; at + size <= bytes.length; at += size) {
    result.push(size === 4 ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at)));
  }
  return result;
}

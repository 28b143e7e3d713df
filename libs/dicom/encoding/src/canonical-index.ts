import { DatasetError } from './dataset-error';
import { KNOWN, LONG, SQ, vrFlags, type VrCode } from './vr-code';

const UNDEFINED = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;

/** Where the elements of one dataset or item lie in a canonical header. Parallel arrays, in the order of the bytes. */
export interface CanonicalIndex {
  tags: number[];
  vrs: VrCode[];
  /** Value field: start and end; of a sequence the stretch of its items, without the delimiter. */
  starts: number[];
  ends: number[];
  sorted: boolean;
  /** Where the item delimiter (or the buffer) ends. */
  end: number;
}

function tagAt(bytes: Buffer, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8)) * 0x10000 + (bytes[at + 2] | (bytes[at + 3] << 8));
}

function u32(bytes: Buffer, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16)) + bytes[at + 3] * 0x1000000;
}

/** Indexes the elements from `start` to `end` or to an item delimiter. Nested items are skipped, not indexed. */
export function indexElements(bytes: Buffer, start: number, end: number): CanonicalIndex {
  const index: CanonicalIndex = { tags: [], vrs: [], starts: [], ends: [], sorted: true, end };
  let last = -1;
  let at = start;
  while (at < end) {
    if (at + 8 > end) throw new DatasetError('truncated', 0, at);
    const tag = tagAt(bytes, at);
    if (tag === ITEM_END) {
      index.end = at + 8;
      return index;
    }
    const vr = (bytes[at + 4] << 8) | bytes[at + 5];
    const flags = vrFlags(vr);
    if ((flags & KNOWN) === 0) throw new DatasetError('invalid-vr', tag, at);
    const long = (flags & LONG) !== 0;
    if (long && at + 12 > end) throw new DatasetError('truncated', tag, at);
    const valueAt = at + (long ? 12 : 8);
    const length = long ? u32(bytes, at + 8) : bytes[at + 6] | (bytes[at + 7] << 8);
    let valueEnd: number;
    if (length === UNDEFINED) {
      if (vr !== SQ) throw new DatasetError('invalid-length', tag, at);
      at = skipItems(bytes, valueAt, end);
      valueEnd = at - 8;
    } else {
      at = valueEnd = valueAt + length;
      if (at > end) throw new DatasetError('truncated', tag, at);
    }
    if (tag <= last) index.sorted = false;
    last = tag;
    index.tags.push(tag);
    index.vrs.push(vr);
    index.starts.push(valueAt);
    index.ends.push(valueEnd);
  }
  return index;
}

/** From the first item of a sequence to behind its delimiter, without recursion. */
function skipItems(bytes: Buffer, start: number, end: number): number {
  let depth = 1;
  let at = start;
  while (at + 8 <= end) {
    const tag = tagAt(bytes, at);
    if (tag === SEQUENCE_END) {
      at += 8;
      if (--depth === 0) return at;
    } else if (tag === ITEM || tag === ITEM_END) at += 8;
    else {
      const vr = (bytes[at + 4] << 8) | bytes[at + 5];
      if ((vrFlags(vr) & LONG) === 0) at += 8 + (bytes[at + 6] | (bytes[at + 7] << 8));
      else if (at + 12 > end) break;
      else {
        const length = u32(bytes, at + 8);
        at += 12;
        if (length === UNDEFINED) depth++;
        else at += length;
      }
    }
  }
  throw new DatasetError('truncated', 0, at);
}

/** The indexes of a sequence's items; `start` and `end` are the sequence's stretch. */
export function indexItems(bytes: Buffer, start: number, end: number): CanonicalIndex[] {
  const items: CanonicalIndex[] = [];
  let at = start;
  while (at + 8 <= end) {
    if (tagAt(bytes, at) !== ITEM) throw new DatasetError('missing-item', tagAt(bytes, at), at);
    const item = indexElements(bytes, at + 8, end);
    items.push(item);
    at = item.end;
  }
  return items;
}

/** Position of a tag in an index, -1 when it is not there; the first of duplicates. */
export function findTag(index: CanonicalIndex, tag: number): number {
  const { tags } = index;
  if (!index.sorted) return tags.indexOf(tag);
  let low = 0;
  let high = tags.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (tags[middle] < tag) low = middle + 1;
    else if (tags[middle] > tag) high = middle - 1;
    else return middle;
  }
  return -1;
}

import { transferSyntax } from '@archipelago/dicom-core';
import { DatasetError } from './dataset-error';
import { LevelStack } from './level-stack';
import type { TokenSink } from './token-sink';
import { AMBIGUOUS_SIGN, KNOWN, LONG, OB, OW, privateVr, SQ, SS, standardVr, UN, US, vrFlags, vrUnit } from './vr-code';
import type { VrCode } from './vr-code';

const UNDEFINED = 0xffffffff;
const ITEM = 0xfffee000;
const ITEM_DELIMITER = 0xfffee00d;
const SEQUENCE_DELIMITER = 0xfffee0dd;
const PIXEL_REPRESENTATION = 0x00280103;
/**
 * Most elements of one data set or item: ten times what any real one has. Without it 8 MiB of empty elements, a million of
 * them, cost whoever sorts or shows them seconds.
 */
export const MAX_LEVEL_ELEMENTS = 50_000;
/** Longest value that the tokenizer itself looks at (private creators are LO). */
const WATCHED = 64;

const enum State {
  Header,
  Value,
  Fragments,
  Fragment,
  Trailing,
}

/**
 * Reads a dataset as it comes, in chunks of any size, and tells a sink what it finds. Holds at most one element header
 * and the stack of open sequences; never a value. Deflated syntaxes: give it inflated bytes.
 *
 * PS3.5 sections 7.1 (element structure), 7.5 (sequences), 6.2.2 note 2 (UN is implicit little endian inside), A.4
 * (fragments).
 */
export class Tokenizer {
  readonly warnings = new Set<string>();
  /** Offset of the next byte that is not yet consumed. */
  position = 0;

  private state = State.Header;
  private readonly levels: LevelStack;
  private readonly head = Buffer.alloc(12);
  private have = 0;
  private remaining = 0;
  private elements = 0;
  private pixelSeen = false;
  private tag = 0;
  private readonly watch = Buffer.alloc(WATCHED);
  private watched = -1;
  private watchBigEndian = false;

  constructor(
    private readonly sink: TokenSink,
    transferSyntaxUid: string,
    maxDepth: number,
  ) {
    const syntax = transferSyntax(transferSyntaxUid);
    this.levels = new LevelStack(maxDepth, syntax.implicit, syntax.bigEndian);
  }

  /** How elements of the level that is being read are encoded: seen, not declared (senders mix them up). */
  get implicit(): boolean {
    return this.levels.implicit;
  }

  get bigEndian(): boolean {
    return this.levels.bigEndian;
  }

  /** @throws DatasetError */
  push(chunk: Buffer): void {
    const length = chunk.length;
    let at = 0;
    while (at < length) {
      switch (this.state) {
        case State.Value:
        case State.Fragment:
          at = this.takeValue(chunk, at, length);
          break;
        case State.Trailing:
          this.position += length - at;
          return;
        default:
          at = this.takeHeader(chunk, at, length);
      }
    }
  }

  /** @throws DatasetError when the dataset stops inside an element, item or sequence */
  end(): void {
    if (this.state === State.Trailing) return;
    if (this.state !== State.Header) throw this.error('truncated', this.tag);
    this.closeEnded();
    if (this.levels.depth > 0) throw this.error('truncated', this.tag);
    if (this.have === 0) return;
    const zeros = this.head.subarray(0, this.have).every((byte) => byte === 0);
    if (!zeros && !this.pixelSeen) throw this.error('truncated', 0);
    this.position += this.have;
    this.warnings.add('trailing-bytes');
  }

  private error(code: ConstructorParameters<typeof DatasetError>[0], tag: number, detail?: string): DatasetError {
    return new DatasetError(code, tag, this.position, detail);
  }

  private takeValue(chunk: Buffer, at: number, length: number): number {
    const end = Math.min(length, at + this.remaining);
    if (end > at) {
      this.sink.value(chunk, at, end);
      if (this.watched >= 0) this.copyWatched(chunk, at, end);
      this.remaining -= end - at;
      this.position += end - at;
    }
    if (this.remaining === 0) this.finishValue();
    return end;
  }

  private finishValue(): void {
    if (this.state === State.Fragment) {
      this.sink.endFragment();
      this.state = State.Fragments;
      return;
    }
    this.sink.endElement();
    if (this.watched >= 0) this.readWatched();
    this.state = State.Header;
    if (this.levels.depth > 0) this.closeEnded();
  }

  private takeHeader(chunk: Buffer, at: number, length: number): number {
    if (this.have === 0) {
      const used = this.parse(chunk, at, length - at);
      if (used > 0) return at + used;
      chunk.copy(this.head, 0, at, length);
      this.have = length - at;
      return length;
    }
    while (at < length) {
      this.head[this.have++] = chunk[at++];
      const available = this.have;
      this.have = 0;
      if (this.parse(this.head, 0, available) > 0) return at;
      this.have = available;
    }
    return at;
  }

  /** Parses one header; 0 when more bytes are needed. Moves `position` behind it. */
  private parse(bytes: Buffer, at: number, available: number): number {
    if (available < 8) return 0;
    const levels = this.levels;
    const big = levels.bigEndian;
    const group = big ? (bytes[at] << 8) | bytes[at + 1] : bytes[at] | (bytes[at + 1] << 8);
    const element = big ? (bytes[at + 2] << 8) | bytes[at + 3] : bytes[at + 2] | (bytes[at + 3] << 8);
    const tag = group * 0x10000 + element;
    if (this.state === State.Fragments) return this.fragmentHeader(tag, this.length32(bytes, at + 4, big));
    if (this.elements === 0 && this.detectMismatch(bytes, at)) return this.parse(bytes, at, available);
    if (levels.inSequence) return this.itemHeader(tag, this.length32(bytes, at + 4, big));
    if (group === 0xfffe) return this.delimiter(tag, this.length32(bytes, at + 4, big));
    if (tag === 0 && levels.depth === 0 && this.elements > 0) return this.trailing();
    if (levels.implicit) return this.implicitHeader(tag, this.length32(bytes, at + 4, false));
    return this.explicitHeader(bytes, at, available, tag, big);
  }

  private length32(bytes: Buffer, at: number, big: boolean): number {
    return big
      ? bytes[at] * 0x1000000 + ((bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3])
      : (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16)) + bytes[at + 3] * 0x1000000;
  }

  /** Senders that negotiate one native syntax and send another: seen at the first element, where it is unmistakable. */
  private detectMismatch(bytes: Buffer, at: number): boolean {
    const levels = this.levels;
    if (this.warnings.has('transfer-syntax-mismatch')) return false;
    const lettered = (vrFlags((bytes[at + 4] << 8) | bytes[at + 5]) & KNOWN) !== 0;
    const little = bytes[at] | (bytes[at + 1] << 8);
    const bigGroup = (bytes[at] << 8) | bytes[at + 1];
    if (lettered) {
      const reallyBig = bigGroup < little;
      if (Math.min(little, bigGroup) > 0xff || (!levels.implicit && levels.bigEndian === reallyBig)) return false;
      levels.setRoot(false, reallyBig);
    } else if (levels.implicit) return false;
    else {
      const isLetter = (byte: number): boolean => byte >= 0x3f && byte <= 0x5a;
      if (little > 0xff || (isLetter(bytes[at + 4]) && isLetter(bytes[at + 5]))) return false;
      if (this.length32(bytes, at + 4, false) > 0x2000) return false;
      levels.setRoot(true, false);
    }
    this.warnings.add('transfer-syntax-mismatch');
    return true;
  }

  private trailing(): number {
    this.warnings.add('trailing-bytes');
    this.state = State.Trailing;
    // What was consumed of it is counted here when it came whole, in push() otherwise.
    this.position += 8;
    return 8;
  }

  private fragmentHeader(tag: number, length: number): number {
    this.position += 8;
    if (tag === SEQUENCE_DELIMITER) {
      this.state = State.Header;
      this.sink.endEncapsulated(this.position);
      this.closeEnded();
      return 8;
    }
    if (tag !== ITEM) throw this.error('missing-item', tag);
    if (length === UNDEFINED) throw this.error('invalid-length', tag);
    this.checkFits(length, tag);
    this.sink.startFragment(this.position, length);
    this.remaining = length;
    this.state = State.Fragment;
    if (length === 0) this.finishValue();
    return 8;
  }

  private itemHeader(tag: number, length: number): number {
    const levels = this.levels;
    this.position += 8;
    if (tag === ITEM) {
      if (length !== UNDEFINED) this.checkFits(length, tag);
      if (!levels.pushItem(length === UNDEFINED ? -1 : this.position + length)) throw this.error('too-deep', tag);
      this.sink.startItem();
      if (length === 0) this.closeEnded();
      return 8;
    }
    if (tag === SEQUENCE_DELIMITER && levels.undefinedLength) {
      levels.pop();
      this.sink.endSequence();
      this.closeEnded();
      return 8;
    }
    throw this.error('missing-item', tag);
  }

  private delimiter(tag: number, length: number): number {
    const levels = this.levels;
    if (levels.depth === 0) {
      if (this.pixelSeen) return this.trailing();
      if (tag !== ITEM && length === 0) {
        this.warnings.add('stray-delimiter');
        this.position += 8;
        return 8;
      }
      throw this.error('unexpected-item', tag);
    }
    this.position += 8;
    if (tag === ITEM_DELIMITER && levels.undefinedLength) {
      levels.pop();
      this.sink.endItem();
      this.closeEnded();
      return 8;
    }
    if (tag === ITEM_DELIMITER && this.position === levels.end) {
      this.warnings.add('stray-delimiter');
      this.closeEnded();
      return 8;
    }
    throw this.error('unexpected-item', tag);
  }

  private implicitHeader(tag: number, length: number): number {
    if (this.pixelSeen && this.levels.depth === 0 && tag <= this.levels.lastTag) return this.trailing();
    const known = this.resolve(tag);
    this.position += 8;
    if (length === UNDEFINED) {
      // Only sequences have undefined length here; encapsulated pixel data in implicit VR is wrong but unmistakable.
      if (tag === 0x7fe00010 && known !== SQ) this.startEncapsulated(tag, OB);
      else this.startSequence(tag, -1, true, false);
    } else if (known === SQ) this.startSequence(tag, this.checkFits(length, tag), true, false);
    else this.startValue(tag, this.fitting(known, length), length, false);
    return 8;
  }

  private explicitHeader(bytes: Buffer, at: number, available: number, tag: number, big: boolean): number {
    const first = bytes[at + 4];
    const second = bytes[at + 5];
    let vr: VrCode = (first << 8) | second;
    const flags = vrFlags(vr);
    let long = (flags & LONG) !== 0;
    if ((flags & KNOWN) === 0) {
      if (!this.isUnknownVr(first, second)) {
        if (this.pixelSeen && this.levels.depth === 0) return this.trailing();
        throw this.error('invalid-vr', tag);
      }
      // VRs to come have 32-bit lengths (PS3.5 section 7.1.2); a corrupted old one still shows its 16-bit length.
      long = bytes[at + 6] === 0 && bytes[at + 7] === 0;
      vr = UN;
    }
    if (long && available < 12) return 0;
    if ((flags & KNOWN) === 0) this.warnings.add('unknown-vr');
    const length = long
      ? this.length32(bytes, at + 8, big)
      : big
        ? (bytes[at + 6] << 8) | bytes[at + 7]
        : bytes[at + 6] | (bytes[at + 7] << 8);
    const used = long ? 12 : 8;
    this.position += used;
    this.explicitElement(tag, vr, length, big);
    return used;
  }

  private isUnknownVr(first: number, second: number): boolean {
    const upper = first >= 0x41 && first <= 0x5a && second >= 0x41 && second <= 0x5a;
    if (upper) return true;
    // '??', '--', two spaces or two NULs: what some writers put for an unknown VR.
    return first === second && (first === 0x3f || first === 0x2d || first === 0x20 || first === 0);
  }

  private explicitElement(tag: number, vr: VrCode, length: number, big: boolean): void {
    if (vr === SQ) {
      this.startSequence(tag, length === UNDEFINED ? -1 : this.checkFits(length, tag), false, big);
    } else if (length === UNDEFINED) {
      if (vr === UN) this.startSequence(tag, -1, true, false);
      else if (vr === OB || vr === OW) this.startEncapsulated(tag, vr);
      else throw this.error('invalid-length', tag);
    } else if (vr === UN) {
      const known = this.resolve(tag);
      if (known === SQ) this.startSequence(tag, this.checkFits(length, tag), true, false);
      else this.startValue(tag, this.fitting(known, length), length, false);
    } else this.startValue(tag, vr, length, big);
  }

  /** A resolved VR only where the length can be one of it; else UN. */
  private fitting(vr: VrCode, length: number): VrCode {
    return length % vrUnit(vr) === 0 ? vr : UN;
  }

  /** VR by the dictionaries, UN when unknown. */
  private resolve(tag: number): VrCode {
    let vr = standardVr(tag);
    if (vr === 0) {
      const creator = this.levels.creator(tag);
      if (creator !== undefined) vr = privateVr(tag, creator);
    }
    if (vr === AMBIGUOUS_SIGN) return this.levels.signed ? SS : US;
    return vr === 0 ? UN : vr;
  }

  private checkFits(length: number, tag: number): number {
    const end = this.position + length;
    if (end > this.levels.end) throw this.error('value-past-container', tag);
    return end;
  }

  private count(tag: number): void {
    this.elements++;
    const levels = this.levels;
    if (++levels.elements > MAX_LEVEL_ELEMENTS) throw this.error('header-too-large', tag, 'too many elements');
    if (tag <= levels.lastTag)
      this.warnings.add(tag === levels.lastTag ? 'duplicate-elements' : 'elements-out-of-order');
    else levels.lastTag = tag;
    this.tag = tag;
    if (levels.depth === 0 && (tag === 0x7fe00010 || tag === 0x7fe00008 || tag === 0x7fe00009)) this.pixelSeen = true;
  }

  private startSequence(tag: number, end: number, implicit: boolean, big: boolean): void {
    this.count(tag);
    this.sink.startSequence(tag, this.position);
    if (!this.levels.pushSequence(end, implicit, big)) throw this.error('too-deep', tag);
    if (end === this.position) this.closeEnded();
  }

  private startEncapsulated(tag: number, vr: VrCode): void {
    this.count(tag);
    this.sink.startEncapsulated(tag, vr, this.position);
    this.state = State.Fragments;
  }

  private startValue(tag: number, vr: VrCode, length: number, big: boolean): void {
    this.count(tag);
    if ((length & 1) === 1) this.warnings.add('odd-length');
    this.checkFits(length, tag);
    this.sink.element(tag, vr, length, big, this.position);
    const element = tag % 0x10000;
    const creator = (tag & 0x10000) !== 0 && element >= 0x10 && element <= 0xff;
    this.watched = (creator || tag === PIXEL_REPRESENTATION) && length <= WATCHED ? 0 : -1;
    this.watchBigEndian = big;
    this.remaining = length;
    this.state = State.Value;
    if (length === 0) this.finishValue();
  }

  private copyWatched(chunk: Buffer, start: number, end: number): void {
    for (let i = start; i < end; i++) this.watch[this.watched++] = chunk[i];
  }

  private readWatched(): void {
    const length = this.watched;
    this.watched = -1;
    if (this.tag === PIXEL_REPRESENTATION) {
      if (length >= 2) this.levels.signed = this.watch[this.watchBigEndian ? 1 : 0] === 1;
    } else this.levels.reserve(this.tag, this.watch.toString('latin1', 0, length));
  }

  /** Ends the items and sequences of defined length that are full. */
  private closeEnded(): void {
    const levels = this.levels;
    while (levels.depth > 0 && !levels.undefinedLength && this.position >= levels.end) {
      const sequence = levels.inSequence;
      if (this.position > levels.end) throw this.error('value-past-container', this.tag);
      levels.pop();
      if (sequence) this.sink.endSequence();
      else this.sink.endItem();
    }
  }
}

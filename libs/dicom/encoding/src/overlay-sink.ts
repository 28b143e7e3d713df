import { charsetOf, vrRule, type Charset } from '@archipelago/dicom-core';
import { DatasetError } from './dataset-error';
import type { Encoding } from './dataset-writer';
import { GrowingBuffer } from './growing-buffer';
import { convertText, ORIGINAL_ATTRIBUTES, type OverlayPlan } from './overlay-plan';
import type { RawWindow } from './raw-window';
import type { TokenSink } from './token-sink';
import { LONG, UN, vrFlags, vrName, type VrCode } from './vr-code';

const SPECIFIC_CHARACTER_SET = 0x00080005;
const UNDEFINED = 0xffffffff;

const enum Mode {
  Copy,
  Drop,
  /** Text that is collected, to be written in the other character set. */
  Convert,
}

/** What the sink asks of the tokenizer: where it is, and how it found the level encoded. */
export interface TokenizerState extends Encoding {
  readonly position: number;
}

interface OpenSequence {
  undefinedLength: boolean;
  bigEndian: boolean;
  implicit: boolean;
  /** Our item goes to its end. */
  append: boolean;
  /** Lengths inside change, so it is written with undefined ones. */
  rewritten: boolean;
}

/**
 * Carries out an OverlayPlan on the tokens of a dataset: bytes of elements that stay are copied as they are, heads included.
 * Before each token the window's cursor stands behind the token before it.
 */
export class OverlaySink implements TokenSink {
  private mode = Mode.Copy;
  /** The element of the dataset itself that is being read is dropped, with all that is in it. */
  private dropping = false;
  private readonly sequences: OpenSequence[] = [];
  private inserts: { tag: number; bytes: Buffer }[] | undefined;
  private readonly charsets: Charset[];
  private head: Buffer = Buffer.alloc(0);
  private headImplicit = false;
  private headBigEndian = false;
  private readonly text = new GrowingBuffer(256);
  private tag = 0;
  private vr: VrCode = 0;
  state!: TokenizerState;

  constructor(
    private readonly plan: OverlayPlan,
    private readonly window: RawWindow,
    source: Charset,
    private readonly maxBytes: number,
  ) {
    this.charsets = [source];
  }

  /** After each push: what is decided of the chunk is written or dropped. */
  flush(): void {
    this.advance(this.state.position);
  }

  /** Elements that belong behind all that are there. */
  finish(): void {
    this.insertBefore(Infinity);
  }

  element(tag: number, vr: VrCode, length: number, _bigEndian: boolean, offset: number): void {
    this.tag = tag;
    this.vr = vr;
    const top = this.sequences.length === 0;
    if (top) this.startTop(tag, offset);
    if (this.dropping || !this.plan.convert) return;
    const isGroupLength = (tag & 0xffff) === 0;
    const isText = tag === SPECIFIC_CHARACTER_SET || vrRule(vrName(vr))?.charset === true;
    if (!isText || isGroupLength) {
      // Group lengths of items go, because lengths change.
      this.mode = isGroupLength ? Mode.Drop : Mode.Copy;
      return;
    }
    if (length > this.maxBytes) throw new DatasetError('header-too-large', tag, offset);
    this.mode = Mode.Convert;
    this.readHead(offset);
    this.window.dropTo(offset);
    this.text.length = 0;
  }

  value(bytes: Buffer, start: number, end: number): void {
    if (this.mode === Mode.Convert) this.text.append(bytes, start, end);
  }

  endElement(): void {
    if (this.mode === Mode.Convert) this.endText();
    else this.advance(this.state.position);
    this.leave();
  }

  startSequence(tag: number, offset: number): void {
    const top = this.sequences.length === 0;
    if (top) this.startTop(tag, offset);
    const append = top && tag === ORIGINAL_ATTRIBUTES && this.plan.append && !this.dropping;
    const rewritten = !this.dropping && (append || this.plan.convert);
    this.readHead(offset);
    const { head } = this;
    const asUn = !this.headImplicit && ((head[4] << 8) | head[5]) === UN;
    const implicit = this.headImplicit || asUn;
    const bigEndian = this.headBigEndian && !asUn;
    const lengthAt = head.length - 4;
    const length = this.headBigEndian ? head.readUInt32BE(lengthAt) : head.readUInt32LE(lengthAt);
    this.sequences.push({ undefinedLength: length === UNDEFINED, bigEndian, implicit, append, rewritten });
    if (!rewritten) return;
    this.window.dropTo(offset);
    this.window.write(withLength(head, this.headImplicit, this.headBigEndian, UNDEFINED));
  }

  startItem(): void {
    const from = this.charsets[this.charsets.length - 1];
    this.charsets.push(from);
    if (this.converting) this.marker(0xe000, UNDEFINED);
  }

  endItem(): void {
    this.charsets.pop();
    if (this.converting) this.marker(0xe00d, 0);
  }

  endSequence(): void {
    const sequence = this.sequences.pop() as OpenSequence;
    const { position } = this.state;
    if (sequence.rewritten) {
      if (!this.plan.convert) this.advance(sequence.undefinedLength ? position - 8 : position);
      this.window.dropTo(position);
      if (sequence.append) this.window.write(this.plan.item(sequence));
      this.window.write(markerBytes(0xe0dd, 0, sequence.bigEndian));
    } else this.advance(position);
    this.leave();
  }

  startEncapsulated(tag: number, _vr: VrCode, offset: number): void {
    this.tag = tag;
    if (this.sequences.length === 0) this.startTop(tag, offset);
  }

  startFragment(): void {}

  endFragment(): void {}

  endEncapsulated(end: number): void {
    this.advance(end);
    this.leave();
  }

  private get converting(): boolean {
    return this.plan.convert && !this.dropping;
  }

  private leave(): void {
    if (this.sequences.length === 0) this.dropping = false;
    this.mode = this.dropping ? Mode.Drop : Mode.Copy;
  }

  private advance(offset: number): void {
    if (this.mode === Mode.Copy) this.window.copyTo(offset);
    else this.window.dropTo(offset);
  }

  private startTop(tag: number, offset: number): void {
    const head = offset - this.headLength(offset);
    this.window.copyTo(head);
    this.insertBefore(tag);
    this.dropping = this.isDropped(tag);
    this.mode = this.dropping ? Mode.Drop : Mode.Copy;
  }

  private isDropped(tag: number): boolean {
    if (this.plan.dropped.has(tag)) return true;
    return (tag & 0xffff) === 0 && (this.plan.convert || this.plan.groups.has(Math.floor(tag / 0x10000)));
  }

  /** What takes the place of an element, too: its own bytes are dropped. */
  private insertBefore(tag: number): void {
    this.inserts ??= this.plan.elements({ implicit: this.state.implicit, bigEndian: this.state.bigEndian });
    while (this.inserts.length > 0 && this.inserts[0].tag <= tag) {
      this.window.write((this.inserts.shift() as { bytes: Buffer }).bytes);
    }
  }

  /** Before the head there may stand delimiters of 8 bytes that close nothing. */
  private headLength(offset: number): number {
    return (offset - this.window.cursor) % 8 === 4 ? 12 : 8;
  }

  private readHead(offset: number): void {
    const start = offset - this.headLength(offset);
    this.head = this.window.read(start, offset);
    this.headImplicit = this.state.implicit;
    this.headBigEndian = this.state.bigEndian;
  }

  private endText(): void {
    const { text, tag } = this;
    this.window.dropTo(this.state.position);
    if (tag === SPECIFIC_CHARACTER_SET) {
      // Of an item: the dataset's holds for it from now on.
      this.charsets[this.charsets.length - 1] = charsetOf(text.view().toString('latin1').trim());
      return;
    }
    const from = this.charsets[this.charsets.length - 1];
    const bytes = convertText(text.view(), vrName(this.vr), from, this.plan.charset);
    if (!bytes) throw new DatasetError('not-encodable', tag, this.state.position, 'no well-formed text');
    const odd = bytes.length % 2 === 1;
    this.window.write(withLength(this.head, this.headImplicit, this.headBigEndian, bytes.length + (odd ? 1 : 0)));
    this.window.write(Buffer.from(bytes));
    if (odd) this.window.write(Buffer.of(0x20));
  }

  private marker(element: number, length: number): void {
    this.window.dropTo(this.state.position);
    const { bigEndian } = this.sequences[this.sequences.length - 1];
    this.window.write(markerBytes(element, length, bigEndian));
  }
}

function markerBytes(element: number, length: number, bigEndian: boolean): Buffer {
  const bytes = Buffer.alloc(8);
  if (bigEndian) {
    bytes.writeUInt16BE(0xfffe, 0);
    bytes.writeUInt16BE(element, 2);
    bytes.writeUInt32BE(length, 4);
  } else {
    bytes.writeUInt16LE(0xfffe, 0);
    bytes.writeUInt16LE(element, 2);
    bytes.writeUInt32LE(length, 4);
  }
  return bytes;
}

/** An element's head with another length; UN when the length does not go into the 16 bits of its VR. */
function withLength(head: Buffer, implicit: boolean, bigEndian: boolean, length: number): Buffer {
  const short = !implicit && (vrFlags((head[4] << 8) | head[5]) & LONG) === 0 && head.length === 8;
  if (short && length > 0xfffe) {
    const long = Buffer.alloc(12);
    head.copy(long, 0, 0, 4);
    long.write('UN', 4, 'latin1');
    if (bigEndian) long.writeUInt32BE(length, 8);
    else long.writeUInt32LE(length, 8);
    return long;
  }
  const bytes = Buffer.from(head);
  const at = bytes.length - (short ? 2 : 4);
  if (short && bigEndian) bytes.writeUInt16BE(length, at);
  else if (short) bytes.writeUInt16LE(length, at);
  else if (bigEndian) bytes.writeUInt32BE(length, at);
  else bytes.writeUInt32LE(length, at);
  return bytes;
}

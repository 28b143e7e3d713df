import type { PixelTable } from '@archipelago/dicom-encoding';
import { PixelError, type PixelAttributes, type RangeReader } from './api';
import type { PixelSyntax } from './syntaxes';
import { Window } from './window';

/** One element of the top level, by place. */
export interface ScannedElement {
  tag: number;
  vr: string;
  /** First byte of the element and of its value; one past its last byte (with the delimiter). */
  start: number;
  valueStart: number;
  end: number;
  undefinedLength: boolean;
}

export interface ScannedDataset {
  elements: ScannedElement[];
  pixel: PixelTable | null;
  /** Short values of the Image Pixel module and a few others, by tag. */
  values: Map<number, Buffer>;
}

const LONG = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const UNDEFINED = 0xffffffff;
const MAX_ELEMENTS = 200_000;
const MAX_FRAGMENTS = 2_000_000;
const MAX_DEPTH = 64;
const KEPT = new Set([
  0x00080005, 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280101,
  0x00280102, 0x00280103, 0x00282110, 0x7fe00001, 0x7fe00002,
]);

interface Header {
  tag: number;
  vr: string;
  length: number;
  valueStart: number;
}

/**
 * Notes where the top-level elements lie (PS3.5 7.1, 7.5), reading only their headers, the few values kept, and the
 * contents of sequences of undefined length.
 * @throws PixelError 'truncated' or 'bad-fragments'
 */
export async function scanDataset(reader: RangeReader, length: number, syntax: PixelSyntax): Promise<ScannedDataset> {
  const scanner = new Scanner(new Window(reader, length), syntax);
  return scanner.run();
}

class Scanner {
  private readonly elements: ScannedElement[] = [];
  private readonly values = new Map<number, Buffer>();
  private pixel: PixelTable | null = null;

  constructor(
    private readonly window: Window,
    private readonly syntax: PixelSyntax,
  ) {}

  async run(): Promise<ScannedDataset> {
    let at = 0;
    // Fewer than 8 bytes at the end cannot be an element: trailing garbage, left alone.
    while (at + 8 <= this.window.length) {
      const header = await this.header(at);
      // What follows the pixels and is no element is garbage: it takes nothing from the image.
      if (this.pixel && header.length !== UNDEFINED && header.valueStart + header.length > this.window.length) break;
      const element = await this.element(at, header);
      this.elements.push(element);
      if (this.elements.length > MAX_ELEMENTS) throw new PixelError('too-large', 'too many elements');
      if (KEPT.has(header.tag) && element.end - element.valueStart <= 64 * 1024 * 1024) {
        this.values.set(
          header.tag,
          Buffer.from(await this.window.bytes(element.valueStart, element.end - element.valueStart)),
        );
      }
      at = element.end;
    }
    this.applyExtendedOffsets();
    return { elements: this.elements, pixel: this.pixel, values: this.values };
  }

  private async element(start: number, header: Header): Promise<ScannedElement> {
    const { tag, vr, length, valueStart } = header;
    const isPixel = tag === 0x7fe00010 || tag === 0x7fe00008 || tag === 0x7fe00009;
    let end = valueStart + length;
    const undefinedLength = length === UNDEFINED;
    if (undefinedLength) end = isPixel ? await this.fragments(header) : await this.skipSequence(valueStart, 0);
    else if (end > this.window.length) throw new PixelError('truncated', 'a value reaches beyond the dataset');
    else if (isPixel) {
      this.pixel = { tag, vr, offset: valueStart, length, encapsulated: false, fragments: [], offsetTable: [] };
    }
    return { tag, vr, start, valueStart, end, undefinedLength };
  }

  private async header(at: number): Promise<Header> {
    const first = await this.window.bytes(at, 8);
    const tag = this.tag(first);
    if (this.syntax.implicit || (tag >= ITEM && tag <= SEQUENCE_END)) {
      return { tag, vr: tag === 0x7fe00010 ? 'OW' : 'UN', length: this.u32(first, 4), valueStart: at + 8 };
    }
    const vr = first.toString('latin1', 4, 6);
    if (!LONG.has(vr)) {
      const length = this.syntax.bigEndian ? first.readUInt16BE(6) : first.readUInt16LE(6);
      return { tag, vr, length, valueStart: at + 8 };
    }
    const rest = await this.window.bytes(at + 8, 4);
    return { tag, vr, length: this.u32(rest, 0), valueStart: at + 12 };
  }

  private tag(bytes: Buffer): number {
    if (this.syntax.bigEndian) return bytes.readUInt32BE(0);
    return ((bytes.readUInt16LE(0) << 16) | bytes.readUInt16LE(2)) >>> 0;
  }

  private u32(bytes: Buffer, at: number): number {
    return this.syntax.bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at);
  }

  /** One past the delimiter of a sequence of undefined length that begins at `at`. */
  private async skipSequence(at: number, depth: number): Promise<number> {
    if (depth > MAX_DEPTH) throw new PixelError('too-large', 'sequences nested too deep');
    for (;;) {
      const item = await this.window.bytes(at, 8);
      const tag = this.tag(item);
      const length = this.u32(item, 4);
      if (tag === SEQUENCE_END) return at + 8;
      if (tag !== ITEM) throw new PixelError('truncated', 'a sequence holds something else than items');
      at = length === UNDEFINED ? await this.skipItem(at + 8, depth) : at + 8 + length;
    }
  }

  private async skipItem(at: number, depth: number): Promise<number> {
    for (;;) {
      const header = await this.header(at);
      if (header.tag === ITEM_END) return at + 8;
      at =
        header.length === UNDEFINED
          ? await this.skipSequence(header.valueStart, depth + 1)
          : header.valueStart + header.length;
    }
  }

  /** Encapsulated pixel data (PS3.5 A.4). */
  private async fragments(header: Header): Promise<number> {
    const fragments: { offset: number; length: number }[] = [];
    let offsetTable: number[] = [];
    let at = header.valueStart;
    for (let first = true; ; first = false) {
      const item = await this.window.bytes(at, 8);
      const tag = this.tag(item);
      const length = this.u32(item, 4);
      if (tag === SEQUENCE_END) {
        at += 8;
        break;
      }
      if (tag !== ITEM || at + 8 + length > this.window.length) {
        throw new PixelError('bad-fragments', 'the fragments do not end in a delimiter');
      }
      if (first) offsetTable = offsets(await this.window.bytes(at + 8, Math.min(length, 4 * MAX_FRAGMENTS)), 4);
      else fragments.push({ offset: at + 8, length });
      if (fragments.length > MAX_FRAGMENTS) throw new PixelError('too-large', 'too many fragments');
      at += 8 + length;
    }
    this.pixel = {
      tag: header.tag,
      vr: header.vr,
      offset: header.valueStart,
      length: at - header.valueStart,
      encapsulated: true,
      fragments,
      offsetTable,
    };
    return at;
  }

  private applyExtendedOffsets(): void {
    const extended = this.values.get(0x7fe00001);
    if (this.pixel?.encapsulated && extended?.length) this.pixel.offsetTable = offsets(extended, 8);
  }
}

function offsets(bytes: Buffer, size: 4 | 8): number[] {
  const out: number[] = [];
  for (let at = 0; at + size <= bytes.length; at += size) {
    out.push(size === 4 ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at)));
  }
  return out;
}

/** The Image Pixel module as found. Missing numbers are 0 (refused by `checkAttributes`), but for the usual defaults. */
export function readAttributes(values: Map<number, Buffer>, bigEndian: boolean): PixelAttributes {
  const us = (tag: number, fallback: number): number => {
    const value = values.get(tag);
    if (!value || value.length < 2) return fallback;
    return bigEndian ? value.readUInt16BE(0) : value.readUInt16LE(0);
  };
  const text = (tag: number): string =>
    (values.get(tag)?.toString('latin1') ?? '')
      .split('\\')[0]!
      .replace(/[\0 ]+$/, '')
      .trim();
  const bitsAllocated = us(0x00280100, 0);
  const bitsStored = us(0x00280101, bitsAllocated);
  const frames = text(0x00280008);
  return {
    rows: us(0x00280010, 0),
    columns: us(0x00280011, 0),
    samplesPerPixel: us(0x00280002, 1),
    bitsAllocated,
    bitsStored,
    highBit: us(0x00280102, bitsStored - 1),
    pixelRepresentation: us(0x00280103, 0),
    photometricInterpretation: text(0x00280004),
    planarConfiguration: us(0x00280006, 0),
    numberOfFrames: frames === '' ? 1 : /^[+-]?\d+$/.test(frames) ? Number(frames) : NaN,
  };
}

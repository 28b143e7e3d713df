import {
  dictionaryVr,
  overlayObstacle,
  requireTag,
  tagToHex,
  UTF8,
  vrRule,
  type Charset,
  type DicomJson,
  type DicomJsonElement,
} from '@archipelago/dicom-core';
import type { Tag } from './api';
import { Dataset } from './dataset';
import { DatasetError } from './dataset-error';
import { encodeElements, type Encoding } from './dataset-writer';
import type { OverlayOptions, TagChange } from './overlay';

const SPECIFIC_CHARACTER_SET = 0x00080005;
const PIXEL_REPRESENTATION = 0x00280103;
export const ORIGINAL_ATTRIBUTES = 0x04000561;
/** What a change makes untrue: signatures cover the old values (PS3.15 C), LengthToEnd the old length. */
const UNTRUE = [0x00080001, 0x4ffe0001, 0xfffafffa];

interface Change {
  tag: Tag;
  vr: string;
  values: readonly (string | number)[] | null;
  hideOriginal: boolean;
}

/** What is done to a dataset, before its encoding is known. */
export interface OverlayPlan {
  /** Text of the whole dataset becomes ISO_IR 192. */
  convert: boolean;
  charset: Charset;
  /** Stored elements that are left out, whether or not another takes their place. */
  dropped: ReadonlySet<Tag>;
  /** Groups whose length changes. */
  groups: ReadonlySet<number>;
  /** An item goes to the end of the OriginalAttributesSequence that is there. */
  append: boolean;
  elements(encoding: Encoding): { tag: Tag; bytes: Buffer }[];
  /** The item, encoded as the items around it. */
  item(encoding: Encoding): Buffer;
}

/**
 * Null when every change already is as it should be.
 *
 * @throws DatasetError not-encodable: an element that must not be changed, a value that its VR cannot hold
 */
export function planOverlay(view: Dataset, options: OverlayOptions): OverlayPlan | null {
  const changes = options.changes
    .map((change) => resolve(view, change))
    .filter((change) => changesAnything(view, change));
  if (changes.length === 0) return null;
  for (const charset of [view.charset, UTF8]) {
    const plan = tryPlan(view, changes, options, charset);
    if (plan) return plan;
  }
  throw new DatasetError('not-encodable', changes[0].tag, 0, 'no well-formed text');
}

function resolve(view: Dataset, change: TagChange): Change {
  const tag = requireTag(change.tag);
  const obstacle = overlayObstacle(tag);
  if (obstacle) throw new DatasetError('not-encodable', tag, 0, obstacle);
  const choices = (dictionaryVr(tag) ?? 'UN').split('/');
  const vr = choices[0] === 'US' && choices[1] === 'SS' && view.number(PIXEL_REPRESENTATION) === 1 ? 'SS' : choices[0];
  const kind = vrRule(vr)?.kind;
  if (change.values !== null && change.values.length > 0 && (kind === 'sequence' || kind === 'bytes')) {
    throw new DatasetError('not-encodable', tag, 0, `no value of ${vr}`);
  }
  return { tag, vr, values: change.values, hideOriginal: change.hideOriginal ?? false };
}

function changesAnything(view: Dataset, { tag, vr, values, hideOriginal }: Change): boolean {
  // What hides must also see to the originals that the dataset itself tells of.
  if (hideOriginal && tellsOf(view, tag)) return true;
  if (values === null) return view.has(tag);
  if (!view.has(tag)) return true;
  if (vr === 'SQ') return view.items(tag).length > 0;
  const number = vrRule(vr)?.kind === 'binary-number' || vrRule(vr)?.kind === 'number-text';
  const stored = number ? view.numbers(tag) : view.strings(tag);
  const wanted = number ? values.map(Number) : values.map((value) => String(value));
  return stored.length !== wanted.length || stored.some((value, i) => value !== wanted[i]);
}

/** An item of OriginalAttributesSequence holds the element, at any depth. */
function tellsOf(view: Dataset, tag: Tag): boolean {
  return view.items(ORIGINAL_ATTRIBUTES).some((item) => holds(item, tag));
}

function holds(item: Dataset, tag: Tag): boolean {
  return item.tags().some((other) => other === tag || item.items(other).some((inner) => holds(inner, tag)));
}

function tryPlan(view: Dataset, changes: Change[], options: OverlayOptions, charset: Charset): OverlayPlan | null {
  const json: DicomJson = {};
  for (const { tag, vr, values } of changes) {
    if (values !== null) json[tagToHex(tag)] = vr === 'SQ' ? { vr } : { vr, Value: [...values] };
  }
  const leaks = changes.some(({ tag, hideOriginal }) => hideOriginal && tellsOf(view, tag));
  const originals = originalsOf(view, changes, options, charset);
  if (originals === null) return null;
  const append = originals !== undefined && !leaks && view.has(ORIGINAL_ATTRIBUTES);
  if (originals && !append) json[tagToHex(ORIGINAL_ATTRIBUTES)] = originals;
  const sequence = originals ? { [tagToHex(ORIGINAL_ATTRIBUTES)]: originals } : {};
  // Whether the text fits does not depend on the encoding.
  const probe = { implicit: true, bigEndian: false };
  if (!encodeElements(json, probe, charset) || !encodeElements(sequence, probe, charset)) return null;
  const convert = charset === UTF8 && view.charset !== UTF8;
  const dropped = new Set([...changes.map(({ tag }) => tag), ...UNTRUE]);
  if (leaks || (originals && !append)) dropped.add(ORIGINAL_ATTRIBUTES);
  if (convert) dropped.add(SPECIFIC_CHARACTER_SET);
  const touched = [...changes.map(({ tag }) => tag), ORIGINAL_ATTRIBUTES, ...UNTRUE.filter((tag) => view.has(tag))];
  const groups = new Set(touched.map((tag) => tag >>> 16));
  return {
    convert,
    charset,
    dropped,
    groups,
    append,
    elements: (encoding) => {
      const tags = Object.keys(json).map((key) => parseInt(key, 16));
      const list = tags.map((tag) => ({
        tag,
        bytes: encodeElements({ [tagToHex(tag)]: json[tagToHex(tag)] }, encoding, charset) as Buffer,
      }));
      if (convert) list.push({ tag: SPECIFIC_CHARACTER_SET, bytes: charsetElement(encoding) });
      return list.sort((a, b) => a.tag - b.tag);
    },
    item: (encoding) => (encodeElements(sequence, encoding, charset) as Buffer).subarray(encoding.implicit ? 8 : 12),
  };
}

/** (0008,0005) is CS; written as another text element, for encodeElements leaves it to its caller. */
function charsetElement(encoding: Encoding): Buffer {
  const value = { vr: 'CS', Value: ['ISO_IR 192'] };
  const bytes = encodeElements({ '00080006': value }, encoding, UTF8) as Buffer;
  bytes[encoding.bigEndian ? 3 : 2] = 0x05;
  return bytes;
}

/**
 * One item of OriginalAttributesSequence (PS3.3 C.12.1.1.9): the previous values of what is modified or removed. Undefined
 * when nothing that may be told of is; null when a text does not fit `charset`.
 */
function originalsOf(
  view: Dataset,
  changes: readonly Change[],
  options: OverlayOptions,
  charset: Charset,
): DicomJsonElement | undefined | null {
  const modified: DicomJson = {};
  let any = false;
  for (const { tag, hideOriginal } of changes) {
    if (hideOriginal || !view.has(tag)) continue;
    if (options.leftOut?.some(({ path }) => path[0] === tag)) {
      throw new DatasetError('not-encodable', tag, 0, 'the original is too long to be kept');
    }
    const element = rawElement(view, tag, charset);
    if (element === null) return null;
    modified[tagToHex(tag)] = element;
    any = true;
  }
  if (!any) return undefined;
  const item: DicomJson = {
    '04000550': { vr: 'SQ', Value: [modified] },
    '04000562': { vr: 'DT', Value: [options.dateTime] },
    '04000563': { vr: 'LO', Value: [options.modifyingSystem] },
    '04000564': { vr: 'LO', Value: options.sourceOfPreviousValues ? [options.sourceOfPreviousValues] : [] },
    '04000565': { vr: 'CS', Value: [options.reason ?? 'COERCE'] },
  };
  return { vr: 'SQ', Value: [item] };
}

/** The stored bytes, so that an odd value is told as it was; text in the character set that the dataset will have. */
function rawElement(view: Dataset, tag: Tag, charset: Charset): DicomJsonElement | null {
  const vr = view.vr(tag) as string;
  if (vr === 'SQ') {
    const items: DicomJson[] = [];
    for (const item of view.items(tag)) {
      const json: DicomJson = {};
      for (const inner of item.tags()) {
        const element = rawElement(item, inner, charset);
        if (element === null) return null;
        json[tagToHex(inner)] = element;
      }
      items.push(json);
    }
    return { vr, Value: items };
  }
  const bytes = view.bytes(tag) as Buffer;
  const converted = vrRule(vr)?.charset ? convertText(bytes, vr, view.charset, charset) : bytes;
  return converted && { vr, InlineBinary: converted.toString('base64') };
}

/** Text in another character set; null when it does not fit. Bytes that are no text of `from` become U+FFFD. */
export function convertText(bytes: Buffer, vr: string, from: Charset, to: Charset): Buffer | null {
  return from === to ? bytes : to.encode(from.decode(bytes, vr), vr);
}

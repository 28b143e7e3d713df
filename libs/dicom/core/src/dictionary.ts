import { DICTIONARY } from './generated/dictionary';
import { PRIVATE_DICTIONARY } from './generated/private-dictionary';
import { isPrivateCreatorTag, isPrivateTag, parseTag, type Tag } from './tag';

/** One line of PS3.6 (or PS3.7 for groups 0000). `tag` of a repeating entry is undefined, its mask says which digits vary. */
export interface DictionaryEntry {
  tag?: Tag;
  /** Eight hexadecimal digits; x stands for any digit (repeating groups 50xx, 60xx and a few others). */
  mask: string;
  /** One VR, or several with '/', e.g. 'US/SS'; '--' for the item delimiters. */
  vr: string;
  vm: string;
  keyword: string;
  name: string;
  retired: boolean;
}

interface Repeater {
  bits: number;
  value: number;
  entry: DictionaryEntry;
}

interface Tables {
  byTag: Map<Tag, DictionaryEntry>;
  byKeyword: Map<string, DictionaryEntry>;
  repeaters: Repeater[];
}

let tables: Tables | undefined;
let privateTables: Map<string, Map<number, { vr: string; vm: string }>> | undefined;

function load(): Tables {
  const result: Tables = { byTag: new Map(), byKeyword: new Map(), repeaters: [] };
  for (const line of DICTIONARY.split('\n')) {
    const [mask, vr, vm, retired, keyword, name] = line.split('\t');
    const entry: DictionaryEntry = { mask, vr, vm, keyword, name, retired: retired === 'R' };
    if (mask.includes('x')) {
      const bits = parseInt(mask.replace(/[^x]/g, 'F').replace(/x/g, '0'), 16);
      result.repeaters.push({ bits, value: parseInt(mask.replace(/x/g, '0'), 16), entry });
    } else {
      entry.tag = parseInt(mask, 16);
      result.byTag.set(entry.tag, entry);
    }
    if (keyword && !result.byKeyword.has(keyword)) result.byKeyword.set(keyword, entry);
  }
  return result;
}

function loadPrivate(): Map<string, Map<number, { vr: string; vm: string }>> {
  const result = new Map<string, Map<number, { vr: string; vm: string }>>();
  for (const line of PRIVATE_DICTIONARY.split('\n')) {
    const tab = line.indexOf('\t');
    const entries = new Map<number, { vr: string; vm: string }>();
    for (const packed of line.slice(tab + 1).split(',')) {
      if (packed === '') continue;
      const [vr, vm = '1'] = packed.slice(6).split(' ');
      entries.set(parseInt(packed.slice(0, 6), 16), { vr, vm });
    }
    result.set(line.slice(0, tab), entries);
  }
  return result;
}

/** The dictionary's entry of a standard element, repeating groups included; undefined for private and unknown ones. */
export function lookupTag(tag: Tag): DictionaryEntry | undefined {
  tables ??= load();
  const entry = tables.byTag.get(tag >>> 0);
  if (entry || isPrivateTag(tag)) return entry;
  for (const repeater of tables.repeaters) {
    if ((tag & repeater.bits) >>> 0 === repeater.value) return repeater.entry;
  }
  return undefined;
}

export function lookupKeyword(keyword: string): DictionaryEntry | undefined {
  tables ??= load();
  return tables.byKeyword.get(keyword);
}

/** The tag of a keyword, or of a text form of a tag ('00100020', '(0010,0020)'). */
export function tagOf(keywordOrTag: string): Tag | undefined {
  return lookupKeyword(keywordOrTag)?.tag ?? parseTag(keywordOrTag);
}

/** @throws RangeError when there is no such keyword: for keywords written in code */
export function requireTag(keywordOrTag: string | Tag): Tag {
  if (typeof keywordOrTag === 'number') return keywordOrTag;
  const tag = tagOf(keywordOrTag);
  if (tag === undefined) throw new RangeError(`no such keyword: ${keywordOrTag}`);
  return tag;
}

/** The keyword of a tag, else undefined. */
export function keywordOf(tag: Tag): string | undefined {
  return lookupTag(tag)?.keyword || undefined;
}

/** VR and VM of a private element by its creator, from the collected vendors' dictionaries. */
export function lookupPrivate(tag: Tag, creator: string): { vr: string; vm: string } | undefined {
  privateTables ??= loadPrivate();
  return privateTables.get(creator)?.get(((tag >>> 16) << 8) | (tag & 0xff));
}

/**
 * VR(s) of an element as the dictionaries know it: '/' between alternatives; 'UL' for group lengths, 'LO' for private
 * creators; undefined when unknown. `creator` is the private creator in force for a private element.
 */
export function dictionaryVr(tag: Tag, creator?: string): string | undefined {
  if ((tag & 0xffff) === 0) return 'UL';
  if (!isPrivateTag(tag)) return lookupTag(tag)?.vr;
  if (isPrivateCreatorTag(tag)) return 'LO';
  return creator === undefined ? undefined : lookupPrivate(tag, creator)?.vr;
}

/** Every entry, in tag order. */
export function dictionaryEntries(): DictionaryEntry[] {
  tables ??= load();
  return [...tables.byTag.values(), ...tables.repeaters.map((repeater) => repeater.entry)];
}

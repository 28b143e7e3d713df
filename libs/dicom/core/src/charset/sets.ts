import { TextDecoder } from 'node:util';
import * as iconv from 'iconv-lite';

/** One coded character set of PS3.3 section C.12.1.1.2, as it sits in G0 (bytes 21-7E) or G1 (bytes A0-FF). */
export interface CodedSet {
  name: string;
  slot: 'g0' | 'g1';
  /** What follows ESC to designate it. */
  escape: string;
  bytesPerCharacter: 1 | 2;
  /** Text of whole characters: one or two bytes each, as they stand in the stream. Invalid ones become U+FFFD. */
  decode(bytes: Buffer): string;
  /** The bytes of one character (code point as a string), undefined when it is not in the set. */
  encode(character: string): Buffer | undefined;
}

function singleByte(name: string, escape: string, encoding: string): CodedSet {
  let decodeTable: string[] | undefined;
  let encodeTable: Map<string, Buffer> | undefined;
  const load = (): string[] => {
    if (decodeTable) return decodeTable;
    decodeTable = [];
    encodeTable = new Map();
    for (let byte = 0x80; byte <= 0xff; byte++) {
      const character = iconv.decode(Buffer.of(byte), encoding);
      decodeTable.push(character);
      if (character !== '\ufffd') encodeTable.set(character, Buffer.of(byte));
    }
    return decodeTable;
  };
  return {
    name,
    slot: 'g1',
    escape,
    bytesPerCharacter: 1,
    decode(bytes) {
      const table = load();
      let text = '';
      for (const byte of bytes) text += byte < 0x80 ? String.fromCharCode(byte) : table[byte - 0x80];
      return text;
    },
    encode(character) {
      load();
      return encodeTable?.get(character);
    },
  };
}

const katakana: CodedSet = {
  name: 'IR 13',
  slot: 'g1',
  escape: ')I',
  bytesPerCharacter: 1,
  decode(bytes) {
    let text = '';
    for (const byte of bytes) text += byte >= 0xa1 && byte <= 0xdf ? String.fromCharCode(byte + 0xfec0) : '\ufffd';
    return text;
  },
  encode(character) {
    const code = character.charCodeAt(0);
    return character.length === 1 && code >= 0xff61 && code <= 0xff9f ? Buffer.of(code - 0xfec0) : undefined;
  },
};

/** A two-byte set that a multi-byte encoding of the platform contains: `wrap` and `unwrap` go to and from that one. */
function doubleByte(
  name: string,
  slot: 'g0' | 'g1',
  escape: string,
  decoder: string,
  encoder: string,
  prefix?: number,
): CodedSet {
  let instance: TextDecoder | undefined;
  return {
    name,
    slot,
    escape,
    bytesPerCharacter: 2,
    decode(bytes) {
      instance ??= new TextDecoder(decoder);
      const size = prefix === undefined ? 2 : 3;
      const wrapped = Buffer.alloc((bytes.length >> 1) * size);
      for (let i = 0, w = 0; i + 1 < bytes.length; i += 2) {
        if (prefix !== undefined) wrapped[w++] = prefix;
        wrapped[w++] = bytes[i] | 0x80;
        wrapped[w++] = bytes[i + 1] | 0x80;
      }
      return instance.decode(wrapped);
    },
    encode(character) {
      const bytes = iconv.encode(character, encoder);
      const start = prefix === undefined ? 0 : 1;
      if (bytes.length !== start + 2 || (prefix !== undefined && bytes[0] !== prefix)) return undefined;
      if (bytes[start] < 0xa1 || bytes[start + 1] < 0xa1 || iconv.decode(bytes, encoder) !== character)
        return undefined;
      const mask = slot === 'g0' ? 0x7f : 0xff;
      return Buffer.of(bytes[start] & mask, bytes[start + 1] & mask);
    },
  };
}

/** By the number in the defined term: 'ISO_IR 100' and 'ISO 2022 IR 100' are both '100'. IR 6 is always there. */
export const CODED_SETS: ReadonlyMap<string, CodedSet> = new Map([
  ['100', singleByte('IR 100', '-A', 'iso-8859-1')],
  ['101', singleByte('IR 101', '-B', 'iso-8859-2')],
  ['109', singleByte('IR 109', '-C', 'iso-8859-3')],
  ['110', singleByte('IR 110', '-D', 'iso-8859-4')],
  ['144', singleByte('IR 144', '-L', 'iso-8859-5')],
  ['127', singleByte('IR 127', '-G', 'iso-8859-6')],
  ['126', singleByte('IR 126', '-F', 'iso-8859-7')],
  ['138', singleByte('IR 138', '-H', 'iso-8859-8')],
  ['148', singleByte('IR 148', '-M', 'iso-8859-9')],
  ['166', singleByte('IR 166', '-T', 'tis620')],
  ['203', singleByte('IR 203', '-b', 'iso-8859-15')],
  ['13', katakana],
  ['87', doubleByte('IR 87', 'g0', '$B', 'euc-jp', 'euc-jp')],
  ['159', doubleByte('IR 159', 'g0', '$(D', 'euc-jp', 'euc-jp', 0x8f)],
  ['149', doubleByte('IR 149', 'g1', '$)C', 'euc-kr', 'euc-kr')],
  ['58', doubleByte('IR 58', 'g1', '$)A', 'gbk', 'gbk')],
]);

/** What an escape sequence (without ESC) designates; null is IR 6 or IR 14 in G0, told apart from nothing else. */
export const ESCAPES: ReadonlyMap<string, CodedSet | null> = new Map<string, CodedSet | null>([
  ['(B', null],
  ['(J', null],
  ['$@', CODED_SETS.get('87') as CodedSet],
  ...[...CODED_SETS.values()].map((set) => [set.escape, set] as const),
]);

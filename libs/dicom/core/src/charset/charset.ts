import { TextDecoder } from 'node:util';
import * as iconv from 'iconv-lite';
import { decodeExtended, encodeExtended } from './code-extension';
import { CODED_SETS, type CodedSet } from './sets';

export type CharsetWarning = 'unknown-charset' | 'charset-term-corrected' | 'mixed-charsets';

/** The characters that a dataset (or an item) is written in: SpecificCharacterSet (0008,0005), PS3.5 section 6.1. */
export interface Charset {
  /** Defined terms, as corrected. */
  readonly terms: readonly string[];
  readonly warnings: readonly CharsetWarning[];
  /** Never throws: what is not in the character set becomes U+FFFD. `vr` says which characters delimit values. */
  decode(bytes: Buffer, vr: string): string;
  /** Null when the text does not fit: convert the dataset to ISO_IR 192 then. */
  encode(text: string, vr: string): Buffer | null;
}

const WHOLE: Record<string, string> = { '192': 'ISO_IR 192', GB18030: 'GB18030', GBK: 'GBK' };
const cache = new Map<string, Charset>();

/** Defined terms of PS3.3 C.12.1.1.2 that are understood: single-byte, with code extensions, multi-byte without them. */
export function definedTerms(kind: 'single' | 'extension' | 'multi'): string[] {
  if (kind === 'multi') return Object.values(WHOLE);
  const sets = [...CODED_SETS].filter(([, set]) => kind === 'extension' || set.bytesPerCharacter === 1);
  const prefix = kind === 'single' ? 'ISO_IR ' : 'ISO 2022 IR ';
  return ['6', ...sets.map(([number]) => number)].map((number) => prefix + number);
}

/**
 * The character set of the given terms: the values of (0008,0005), or the field with its backslashes. Unknown terms
 * never fail: text is then read as UTF-8 where it is valid UTF-8, else as Latin-1, and a warning says so.
 */
export function charsetOf(terms: readonly string[] | string | undefined): Charset {
  const list = typeof terms === 'string' ? terms.split('\\') : [...(terms ?? [])];
  const key = list.join('\\');
  let charset = cache.get(key);
  if (!charset) {
    charset = build(list);
    if (cache.size < 500) cache.set(key, charset);
  }
  return charset;
}

export const UTF8: Charset = charsetOf('ISO_IR 192');
export const ASCII: Charset = charsetOf(undefined);

interface Term {
  id: string;
  corrected: boolean;
}

function parseTerm(raw: string): Term | undefined {
  const term = raw.trim();
  if (term === '') return { id: '6', corrected: false };
  const exact = /^(?:ISO_IR |ISO 2022 IR )(\d+)$/.exec(term);
  if (exact && isKnown(exact[1])) return { id: exact[1], corrected: false };
  if (term === 'GB18030' || term === 'GBK') return { id: term, corrected: false };
  const loose = term.toUpperCase().replace(/[^A-Z0-9]/g, '');
  const number = /^(?:ISO)?(?:2022)?IR(\d+)$/.exec(loose);
  if (number && isKnown(number[1])) return { id: number[1], corrected: true };
  if (loose === 'UTF8') return { id: '192', corrected: true };
  if (loose === 'GB2312') return { id: 'GBK', corrected: true };
  if (loose === 'ISO88591' || loose === 'LATIN1') return { id: '100', corrected: true };
  return undefined;
}

function isKnown(id: string): boolean {
  return id === '6' || id === '192' || CODED_SETS.has(id);
}

function build(raw: string[]): Charset {
  const warnings: CharsetWarning[] = [];
  const ids: string[] = [];
  for (const text of raw) {
    const term = parseTerm(text);
    if (!term) warnings.push('unknown-charset');
    else {
      if (term.corrected) warnings.push('charset-term-corrected');
      ids.push(term.id);
    }
  }
  const whole = ids.find((id) => WHOLE[id]);
  if (whole) {
    if (ids.length > 1) warnings.push('mixed-charsets');
    return wholeCharset(WHOLE[whole], warnings);
  }
  const sets = ids.map((id) => CODED_SETS.get(id)).filter((set): set is CodedSet => set !== undefined);
  const unknown = warnings.includes('unknown-charset');
  if (sets.length === 0) return defaultCharset(unknown ? raw : [], warnings);
  const extended = ids.length > 1 || sets.some((set) => set.bytesPerCharacter === 2);
  return setsCharset(ids, sets, extended, warnings);
}

/** No ESC and nothing above 7F: the common case, the same in every character set. */
function isPlain(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] >= 0x80 || bytes[i] === 0x1b) return false;
  return true;
}

function plain(bytes: Buffer): string {
  return bytes.toString('latin1');
}

function encodePlain(text: string): Buffer | null {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return null;
  return Buffer.from(text, 'latin1');
}

function wholeCharset(term: string, warnings: CharsetWarning[]): Charset {
  const decoder = new TextDecoder(term === 'ISO_IR 192' ? 'utf-8' : 'gb18030', { ignoreBOM: true });
  const encoding = term === 'GBK' ? 'gbk' : 'gb18030';
  return {
    terms: [term],
    warnings,
    decode: (bytes) => (isPlain(bytes) ? plain(bytes) : decoder.decode(bytes)),
    encode(text) {
      const ascii = encodePlain(text);
      if (ascii) return ascii;
      if (/\p{Surrogate}/u.test(text)) return null;
      if (term === 'ISO_IR 192') return Buffer.from(text, 'utf8');
      const bytes = iconv.encode(text, encoding);
      return decoder.decode(bytes) === text ? bytes : null;
    },
  };
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function guess(bytes: Buffer): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return plain(bytes);
  }
}

function defaultCharset(terms: string[], warnings: CharsetWarning[]): Charset {
  return {
    terms,
    warnings,
    decode: (bytes, vr) => {
      if (isPlain(bytes)) return plain(bytes);
      return bytes.includes(0x1b) ? decodeExtended(bytes, vr, undefined, []) : guess(bytes);
    },
    encode: encodePlain,
  };
}

function setsCharset(ids: string[], sets: CodedSet[], extended: boolean, warnings: CharsetWarning[]): Charset {
  const first = CODED_SETS.get(ids[0]);
  const initial = first?.slot === 'g1' ? first : undefined;
  return {
    terms: extended ? ids.map((id, i) => (id === '6' && i === 0 ? '' : `ISO 2022 IR ${id}`)) : [`ISO_IR ${ids[0]}`],
    warnings,
    decode(bytes, vr) {
      if (isPlain(bytes)) return plain(bytes);
      // Escapes are honoured even when the terms announce none: some devices forget to.
      if (extended || bytes.includes(0x1b)) return decodeExtended(bytes, vr, initial, sets);
      return sets[0].bytesPerCharacter === 1 ? decodeSingle(bytes, sets[0]) : guess(bytes);
    },
    encode(text, vr) {
      const ascii = encodePlain(text);
      if (ascii) return ascii;
      return extended ? encodeExtended(text, vr, initial, sets, ids[0] === '13') : encodeSingle(text, sets[0]);
    },
  };
}

function decodeSingle(bytes: Buffer, set: CodedSet): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    text += bytes[i] < 0x80 ? String.fromCharCode(bytes[i]) : set.decode(bytes.subarray(i, i + 1));
  }
  return text;
}

function encodeSingle(text: string, set: CodedSet): Buffer | null {
  const parts: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (code < 0x80) parts.push(code);
    else {
      const bytes = set.encode(character);
      if (!bytes) return null;
      parts.push(bytes[0]);
    }
  }
  return Buffer.from(parts);
}

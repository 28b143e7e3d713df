import { CODED_SETS, ESCAPES, type CodedSet } from './sets';

/**
 * ISO 2022 code extension (PS3.5 section 6.1.2.5): G0 and G1 are designated by escape sequences and fall back to the
 * first value's sets at the delimiters of section 6.1.2.5.3 (CR, LF, FF, TAB; backslash where values are split;
 * '^' and '=' in person names).
 */

const ESC = 0x1b;
const TEXT_DELIMITERS = new Set([0x09, 0x0a, 0x0c, 0x0d]);
const SINGLE_VALUED = new Set(['ST', 'LT', 'UT', 'UR']);

function isDelimiter(byte: number, vr: string): boolean {
  if (TEXT_DELIMITERS.has(byte)) return true;
  if (byte === 0x5c) return !SINGLE_VALUED.has(vr);
  return vr === 'PN' && (byte === 0x5e || byte === 0x3d);
}

function escapeAt(bytes: Buffer, at: number): { length: number; set: CodedSet | null } | undefined {
  for (const length of [2, 3]) {
    const set = ESCAPES.get(bytes.toString('latin1', at + 1, Math.min(bytes.length, at + 1 + length)));
    if (set !== undefined) return { length: length + 1, set };
  }
  return undefined;
}

/** `initial`: what G1 holds before any escape; `announced`: the sets of the terms, for senders that forget an escape. */
export function decodeExtended(
  bytes: Buffer,
  vr: string,
  initial: CodedSet | undefined,
  announced: CodedSet[],
): string {
  // A set of G1 that was announced serves when nothing is designated: devices omit the escape after a delimiter.
  const tolerated = initial ?? announced.find((set) => set.slot === 'g1') ?? CODED_SETS.get('100');
  let g0: CodedSet | null = null;
  let g1: CodedSet | undefined = tolerated;
  let text = '';
  let i = 0;
  while (i < bytes.length) {
    const byte = bytes[i];
    if (byte === ESC) {
      const escape = escapeAt(bytes, i);
      if (!escape) {
        text += '\ufffd';
        i++;
        continue;
      }
      if (escape.set === null || escape.set.slot === 'g0') g0 = escape.set;
      else g1 = escape.set;
      i += escape.length;
    } else if (g0 !== null && byte >= 0x21 && byte <= 0x7e && i + 1 < bytes.length) {
      let end = i;
      while (end + 1 < bytes.length && isGraphic(bytes[end]) && isGraphic(bytes[end + 1])) end += 2;
      if (end === i) {
        text += '\ufffd';
        i++;
      } else {
        text += g0.decode(bytes.subarray(i, end));
        i = end;
      }
    } else if (byte < 0x80) {
      if (isDelimiter(byte, vr)) {
        g0 = null;
        g1 = tolerated;
      }
      text += String.fromCharCode(byte);
      i++;
    } else {
      let end = i;
      while (end < bytes.length && bytes[end] >= 0x80) end++;
      text += decodeHigh(bytes.subarray(i, end), g1);
      i = end;
    }
  }
  return text;
}

function isGraphic(byte: number): boolean {
  return byte >= 0x21 && byte <= 0x7e;
}

function decodeHigh(run: Buffer, set: CodedSet | undefined): string {
  if (!set) return '\ufffd'.repeat(run.length);
  if (set.bytesPerCharacter === 1 || run.length % 2 === 0) return set.decode(run);
  return set.decode(run.subarray(0, run.length - 1)) + '\ufffd';
}

/** Null when a character is in none of the sets. `romaji`: G0 starts as IR 14, and returns to it. */
export function encodeExtended(
  text: string,
  vr: string,
  initial: CodedSet | undefined,
  sets: CodedSet[],
  romaji: boolean,
): Buffer | null {
  const parts: Buffer[] = [];
  const home = Buffer.from(romaji ? '\x1b(J' : '\x1b(B', 'latin1');
  let g0: CodedSet | null = null;
  let g1 = initial;
  const returnHome = (): void => {
    if (g0 !== null) parts.push(home);
    g0 = null;
  };
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (code < 0x80) {
      returnHome();
      if (isDelimiter(code, vr)) g1 = initial;
      parts.push(Buffer.of(code));
      continue;
    }
    const found = findSet(character, sets, g0, g1);
    if (!found) return null;
    if (found.set.slot === 'g0' ? found.set !== g0 : found.set !== g1) {
      parts.push(Buffer.from('\x1b' + found.set.escape, 'latin1'));
    }
    if (found.set.slot === 'g0') g0 = found.set;
    else g1 = found.set;
    parts.push(found.bytes);
  }
  returnHome();
  return Buffer.concat(parts);
}

/** Prefers what is designated already, so that runs need one escape. */
function findSet(
  character: string,
  sets: CodedSet[],
  g0: CodedSet | null,
  g1: CodedSet | undefined,
): { set: CodedSet; bytes: Buffer } | undefined {
  const order = [...(g0 ? [g0] : []), ...(g1 ? [g1] : []), ...sets];
  for (const set of order) {
    const bytes = set.encode(character);
    if (bytes) return { set, bytes };
  }
  return undefined;
}

import iconv from 'iconv-lite';

/** One defined term of SpecificCharacterSet (PS3.3 C.12.1.1.2) and how its characters are written. */
interface Repertoire {
  /** Bytes of one character, or null when the repertoire does not have it. */
  encode(char: string): Buffer | null;
  /** Escape sequence that designates it (ISO 2022, PS3.3 table C.12-3 and C.12-4). */
  escape: Buffer;
}

function viaIconv(encoding: string, escape: string, accept: (bytes: Buffer) => Buffer | null): Repertoire {
  return {
    escape: Buffer.from(escape, 'latin1'),
    encode(char) {
      const bytes = iconv.encode(char, encoding);
      // iconv writes '?' for what it does not have: only a real '?' may be one.
      if (bytes.length === 0 || iconv.decode(bytes, encoding) !== char) return null;
      return accept(bytes);
    },
  };
}

const single = (bytes: Buffer): Buffer | null => (bytes.length === 1 ? bytes : null);
const double = (bytes: Buffer): Buffer | null => (bytes.length === 2 ? bytes : null);
const seven = (bytes: Buffer): Buffer | null =>
  bytes.length === 2 && bytes[0]! >= 0xa1 ? Buffer.from([bytes[0]! & 0x7f, bytes[1]! & 0x7f]) : null;

const ASCII: Repertoire = {
  escape: Buffer.from('\x1b(B', 'latin1'),
  encode: (char) => (char.length === 1 && char.charCodeAt(0) < 0x80 ? Buffer.from(char, 'latin1') : null),
};

const REPERTOIRES: Record<string, Repertoire> = {
  '6': ASCII,
  '100': viaIconv('iso-8859-1', '\x1b-A', single),
  '101': viaIconv('iso-8859-2', '\x1b-B', single),
  '109': viaIconv('iso-8859-3', '\x1b-C', single),
  '110': viaIconv('iso-8859-4', '\x1b-D', single),
  '144': viaIconv('iso-8859-5', '\x1b-L', single),
  '127': viaIconv('iso-8859-6', '\x1b-G', single),
  '126': viaIconv('iso-8859-7', '\x1b-F', single),
  '138': viaIconv('iso-8859-8', '\x1b-H', single),
  '148': viaIconv('iso-8859-9', '\x1b-M', single),
  '203': viaIconv('iso-8859-15', '\x1b-b', single),
  '166': viaIconv('tis620', '\x1b-T', single),
  '13': viaIconv('shift_jis', '\x1b)I', single),
  '87': viaIconv('euc-jp', '\x1b$B', seven),
  '149': viaIconv('euc-kr', '\x1b$)C', (bytes) =>
    double(bytes) && bytes[0]! >= 0xa1 && bytes[1]! >= 0xa1 ? bytes : null,
  ),
  '58': viaIconv('gb2312', '\x1b$)A', double),
};

const WHOLE: Record<string, string> = { 'ISO_IR 192': 'utf8', GB18030: 'gb18030', GBK: 'gbk' };

/** Characters after which the initial repertoire is active again (PS3.5 6.1.2.5.3). */
const RESET = new Set(['\\', '^', '=', '\r', '\n', '\f', '\t']);

/**
 * Text as bytes in the given SpecificCharacterSet values (as in the attribute, e.g. ['', 'ISO 2022 IR 87']).
 * @throws Error when a character is in none of the repertoires
 */
export function encodeText(text: string, terms: readonly string[]): Buffer {
  if (/^[\x00-\x7f]*$/.test(text)) return Buffer.from(text, 'latin1');
  const first = terms[0] ?? '';
  const whole = WHOLE[first];
  if (whole) return iconv.encode(text, whole);
  const available = terms.map((term) => repertoire(term));
  if (!available.includes(ASCII)) available.push(ASCII);
  const initial = available[0] ?? ASCII;
  const out: Buffer[] = [];
  let active = initial;
  for (const char of text) {
    if (RESET.has(char)) {
      if (active !== initial) out.push(ASCII.escape);
      active = initial;
      out.push(Buffer.from(char, 'latin1'));
      continue;
    }
    const kept = active.encode(char);
    const next = kept ? active : available.find((candidate) => candidate.encode(char) !== null);
    const bytes = kept ?? next?.encode(char);
    if (!next || !bytes)
      throw new Error(`generator: U+${char.codePointAt(0)!.toString(16)} is not in ${terms.join('\\')}`);
    if (next !== active) out.push(next.escape);
    active = next;
    out.push(bytes);
  }
  // A two-byte G0 set must not stay active at the end of a value.
  if (active !== initial) out.push(ASCII.escape);
  return Buffer.concat(out);
}

function repertoire(term: string): Repertoire {
  const number = /(\d+)$/.exec(term)?.[1] ?? '6';
  const found = REPERTOIRES[number];
  if (!found) throw new Error(`generator: character set not known: ${term}`);
  return found;
}

/** Names fit for each character set; the first is the value of SpecificCharacterSet ('' for the default repertoire). */
export const CHARACTER_SETS: Record<string, { terms: readonly string[]; names: readonly string[]; place: string }> = {
  default: {
    terms: [],
    names: ['Adams^John Robert Quincy^^Rev.^B.A. M.Div.', 'Morrison-Jones^Susan^^^Ph.D.', 'Doe^Jane'],
    place: 'General Hospital',
  },
  latin1: {
    terms: ['ISO_IR 100'],
    names: ['Äneas^Rüdiger', 'Buc^Jérôme', 'Muñoz^José', 'Ångström^Åsa'],
    place: 'Universitätsklinikum',
  },
  latin2: { terms: ['ISO_IR 101'], names: ['Wałęsa^Łucja', 'Dvořák^Jiří', 'Kovács^Győző'], place: 'Městská nemocnice' },
  latin3: { terms: ['ISO_IR 109'], names: ['Ĉapek^Ĝojo', 'Borġ^Ċensa'], place: 'Malsanulejo ĉe la ŝoseo' },
  latin4: { terms: ['ISO_IR 110'], names: ['Bērziņš^Jānis', 'Šimkutė^Rūta'], place: 'Rīgas slimnīca' },
  cyrillic: { terms: ['ISO_IR 144'], names: ['Люкceмбypг', 'Иванов^Пётр^Сергеевич'], place: 'Городская больница' },
  arabic: { terms: ['ISO_IR 127'], names: ['قباني^لنزار', 'حسن^فاطمة'], place: 'مستشفى' },
  greek: { terms: ['ISO_IR 126'], names: ['Διονυσιος', 'Παπαδοπούλου^Ελένη'], place: 'Νοσοκομείο' },
  hebrew: { terms: ['ISO_IR 138'], names: ['שרון^דבורה', 'כהן^יעל'], place: 'בית חולים' },
  latin5: { terms: ['ISO_IR 148'], names: ['Çavuşoğlu^Gülşah', 'Yılmaz^İbrahim'], place: 'Şehir Hastanesi' },
  latin9: { terms: ['ISO_IR 203'], names: ['Œuvrard^Žofie', 'Löfgren^Šárka'], place: 'Hôpital du Sacré-Cœur' },
  thai: { terms: ['ISO_IR 166'], names: ['สมชาย^ใจดี', 'สุดา^รักไทย'], place: 'โรงพยาบาล' },
  katakana: { terms: ['ISO_IR 13'], names: ['ﾔﾏﾀﾞ^ﾀﾛｳ', 'ｽｽﾞｷ^ﾊﾅｺ'], place: 'ﾋﾞｮｳｲﾝ' },
  japanese: {
    terms: ['', 'ISO 2022 IR 87'],
    names: ['Yamada^Tarou=山田^太郎=やまだ^たろう', 'Suzuki^Hanako=鈴木^花子=すずき^はなこ'],
    place: '大学病院',
  },
  'japanese-katakana': {
    terms: ['ISO 2022 IR 13', 'ISO 2022 IR 87'],
    names: ['ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう'],
    place: '中央病院',
  },
  korean: {
    terms: ['', 'ISO 2022 IR 149'],
    names: ['Hong^Gildong=洪^吉洞=홍^길동', 'Kim^Hee=金^喜=김^희'],
    place: '서울병원',
  },
  'chinese-2022': {
    terms: ['', 'ISO 2022 IR 58'],
    names: ['Zhang^XiaoDong=张^小东=', 'Wang^Li=王^丽='],
    place: '人民医院',
  },
  'multi-latin': {
    terms: ['ISO 2022 IR 100', 'ISO 2022 IR 144', 'ISO 2022 IR 126'],
    names: ['Müller^Анна', 'Weiß^Διονυσιος'],
    place: 'Klinik Москва',
  },
  utf8: { terms: ['ISO_IR 192'], names: ['Wang^XiaoDong=王^小东=', 'Ólafsdóttir^Þórunn=👩^Ω='], place: 'Hôpital 病院' },
  gb18030: { terms: ['GB18030'], names: ['Wang^XiaoDong=王^小东=', 'Li^Ba=李^㐀='], place: '第一人民医院' },
  gbk: { terms: ['GBK'], names: ['Wang^XiaoDong=王^小東='], place: '第二人民医院' },
};

export type CharacterSetName = keyof typeof CHARACTER_SETS & string;

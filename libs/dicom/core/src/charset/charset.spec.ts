import { charsetOf } from './index';

/** PS3.5 Annexes H, I and J, PS3.3 C.12.1.1.2: terms, text, and the bytes where the standard prints them. */
const NAMES: [string, string, string?][] = [
  ['ISO_IR 100', 'Buc^Jérôme'],
  ['ISO_IR 101', 'Wałęsa'],
  ['ISO_IR 109', 'Ħal Għaxaq'],
  ['ISO_IR 110', 'Āboliņš'],
  ['ISO_IR 144', 'Люкceмбypг'],
  ['ISO_IR 127', 'قباني^لنزار'],
  ['ISO_IR 126', 'Διονυσιος'],
  ['ISO_IR 138', 'שרון^דבורה'],
  ['ISO_IR 148', 'Çavuşoğlu'],
  ['ISO_IR 166', 'สมชาย'],
  ['ISO_IR 203', 'Šœ€'],
  ['ISO_IR 13', 'ﾔﾏﾀﾞ^ﾀﾛｳ'],
  ['ISO_IR 192', 'Wang^XiaoDong=王^小東'],
  ['GB18030', 'Wang^XiaoDong=王^小东', '57616e675e5869616f446f6e673dcdf55ed0a1b6ab'],
  ['GBK', 'Wang^XiaoDong=王^小东', '57616e675e5869616f446f6e673dcdf55ed0a1b6ab'],
  [
    '\\ISO 2022 IR 87',
    'Yamada^Tarou=山田^太郎=やまだ^たろう',
    '59616d6164615e5461726f753d1b2442' +
      '3b3345441b28425e1b24424240' +
      '4f3a1b28423d1b24422464245e24401b28425e1b2442243f246d24261b2842',
  ],
  [
    'ISO 2022 IR 13\\ISO 2022 IR 87',
    'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう',
    'd4cfc0de5ec0dbb33d1b2442' +
      '3b3345441b284a5e1b244242404f3a1b284a3d' +
      '1b24422464245e24401b284a5e1b2442243f246d24261b284a',
  ],
  [
    '\\ISO 2022 IR 149',
    'Hong^Gildong=洪^吉洞=홍^길동',
    '486f6e675e47696c646f6e673d1b242943fbf35e1b242943d1ced4d73d1b242943c8ab5e1b242943b1e6b5bf',
  ],
  ['\\ISO 2022 IR 58', 'Zhang^XiaoDong=张^小东'],
  ['\\ISO 2022 IR 159', 'X=丂丄'],
  ['ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126', 'Äneas^Люк^Δ'],
];

describe('character sets', () => {
  it.each(NAMES.map(([terms, text, hex = '']) => [terms, text, hex]))('%s encodes and decodes', (terms, text, hex) => {
    const charset = charsetOf(terms);
    const bytes = charset.encode(text, 'PN');
    expect(bytes).not.toBeNull();
    if (hex) expect(bytes?.toString('hex')).toBe(hex);
    expect(charset.decode(bytes as Buffer, 'PN')).toBe(text);
    expect(charset.warnings).toEqual([]);
  });

  it('goes back to the first sets at delimiters, and keeps two-byte characters that look like one', () => {
    const charset = charsetOf('\\ISO 2022 IR 87');
    // 3D 5C is one character of JIS X 0208, no backslash.
    const bytes = Buffer.from('\x1b$B=\\\x1b(B\\b', 'latin1');
    expect(charset.decode(bytes, 'LO').split('\\')).toEqual(['旬', 'b']);
    const lines = Buffer.from('\x1b$B;3\r\nabc', 'latin1');
    expect(charset.decode(lines, 'LT')).toBe('山\r\nabc');
  });

  it('reads a Korean component whose escape was forgotten', () => {
    const bytes = Buffer.from('\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7', 'latin1');
    expect(charsetOf('\\ISO 2022 IR 149').decode(bytes, 'PN')).toBe('洪^吉洞');
  });

  it('replaces invalid bytes and never throws', () => {
    expect(charsetOf('ISO_IR 192').decode(Buffer.of(0x41, 0xe9, 0x42), 'LO')).toBe('A\ufffdB');
    const every = Buffer.from(Array.from({ length: 512 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
    for (const [terms] of NAMES) {
      for (let start = 0; start < 40; start++) {
        const bytes = Buffer.concat([every.subarray(start), Buffer.of(0x1b), every.subarray(start, start + 3)]);
        expect(typeof charsetOf(terms).decode(bytes, 'PN')).toBe('string');
      }
    }
  });

  it('says when text does not fit', () => {
    expect(charsetOf('ISO_IR 100').encode('山', 'LO')).toBeNull();
    expect(charsetOf(undefined).encode('é', 'LO')).toBeNull();
    expect(charsetOf('\\ISO 2022 IR 87').encode('한', 'PN')).toBeNull();
    expect(charsetOf('GBK').encode('😀', 'LO')).toBeNull();
    expect(charsetOf('GB18030').encode('😀', 'LO')).not.toBeNull();
    expect(charsetOf('ISO_IR 192').encode('\ud800', 'LO')).toBeNull();
  });

  it('corrects what is nearly a term, and tolerates what is none', () => {
    expect(charsetOf('ISO-IR 192').terms).toEqual(['ISO_IR 192']);
    expect(charsetOf('ISO IR 100').warnings).toEqual(['charset-term-corrected']);
    const unknown = charsetOf('ISO_IR 999');
    expect(unknown.warnings).toEqual(['unknown-charset']);
    expect(unknown.decode(Buffer.from('é'), 'LO')).toBe('é');
    expect(unknown.decode(Buffer.of(0xe9), 'LO')).toBe('é');
    expect(charsetOf('ISO_IR 192\\ISO_IR 100').warnings).toEqual(['mixed-charsets']);
  });
});

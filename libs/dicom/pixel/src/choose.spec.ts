import { canTranscode, chooseTransferSyntax } from './choose';

const P = '1.2.840.10008.1.2';

describe('chooseTransferSyntax', () => {
  it.each([
    ['as stored when accepted', `${P}.4.50`, [P, `${P}.4.50`], { ts: `${P}.4.50`, how: 'as-is' }],
    ['explicit before implicit', `${P}.4.90`, [P, `${P}.1`], { ts: `${P}.1`, how: 'decode' }],
    ['implicit when alone', `${P}.4.70`, [P], { ts: P, how: 'decode' }],
    ['native to native', `${P}.2`, [P], { ts: P, how: 'native' }],
    [
      'a lossless coding when nothing native',
      `${P}.1`,
      [`${P}.4.50`, `${P}.4.90`, `${P}.4.80`],
      { ts: `${P}.4.80`, how: 'encode' },
    ],
    ['never with loss', `${P}.1`, [`${P}.4.50`, `${P}.4.91`], null],
    ['video only as stored', `${P}.4.102`, [P, `${P}.1`], null],
    ['unknown only as stored', '1.2.3', [P], null],
    ['nothing accepted', P, [], null],
  ])('%s', (_name, stored, accepted, expected) => {
    expect(chooseTransferSyntax(stored, accepted)).toEqual(expected);
  });

  it('agrees with canTranscode', () => {
    expect(canTranscode(`${P}.4.102`, `${P}.4.102`)).toBe(true);
    expect(canTranscode(`${P}.4.102`, P)).toBe(false);
    expect(canTranscode(`${P}.4.50`, `${P}.4.90`)).toBe(true);
    expect(canTranscode(P, `${P}.4.50`)).toBe(false);
  });
});

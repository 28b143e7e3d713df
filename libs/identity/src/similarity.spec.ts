import { generator } from './corpus';
import { editDistance, jaroWinkler } from './similarity';

/** The textbook definition, whole matrix, to compare with. */
function slowDistance(a: string, b: string): number {
  const d = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)),
  );
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      d[i]![j] = Math.min(d[i - 1]![j]! + 1, d[i]![j - 1]! + 1, d[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        d[i]![j] = Math.min(d[i]![j]!, d[i - 2]![j - 2]! + 1);
    }
  }
  return d[a.length]![b.length]!;
}

describe('jaroWinkler', () => {
  // Winkler 1990, table of examples.
  it.each([
    ['shackleford', 'shackelford', 0.982],
    ['dunningham', 'cunnigham', 0.896],
    ['nichleson', 'nichulson', 0.956],
    ['jones', 'johnson', 0.832],
    ['massey', 'massie', 0.933],
    ['abroms', 'abrams', 0.922],
    ['itman', 'smith', 0.467],
    ['martha', 'marhta', 0.961],
    ['dixon', 'dicksonx', 0.813],
  ])('%s and %s: %d', (a, b, expected) => {
    expect(jaroWinkler(a, b)).toBeCloseTo(expected, 2);
    expect(jaroWinkler(b, a)).toBeCloseTo(expected, 2);
  });

  it('is 1 for the same, 0 for nothing in common, and takes texts of any length', () => {
    expect(jaroWinkler('', '')).toBe(1);
    expect(jaroWinkler('a', '')).toBe(0);
    expect(jaroWinkler('abc', 'xyz')).toBe(0);
    expect(jaroWinkler('a'.repeat(500), `${'a'.repeat(499)}b`)).toBeGreaterThan(0.99);
  });
});

describe('editDistance', () => {
  it('counts a swap of neighbours as one', () => {
    expect(editDistance('martha', 'marhta')).toBe(1);
    expect(editDistance('ca', 'abc')).toBe(3);
  });

  it('equals the definition for random words, and respects the limit', () => {
    const random = generator(1);
    const word = (): string =>
      Array.from({ length: Math.floor(random() * 10) }, () => 'abc'[Math.floor(random() * 3)]).join('');
    for (let i = 0; i < 3000; i++) {
      const [a, b] = [word(), word()];
      const distance = slowDistance(a, b);
      expect(editDistance(a, b)).toBe(distance);
      expect(editDistance(a, b, 2)).toBe(Math.min(3, distance));
    }
  });
});

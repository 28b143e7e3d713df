import { deduplicate, linkFiles, type PersonRecord } from './index';
import { generator } from './corpus';

// Seconds on a quiet machine.
jest.setTimeout(120_000);

const GIVEN = 'Anna Peter Maria Paul Laura Felix Emma Jonas Clara David Lena Simon Julia Max Sophie Jan'.split(' ');

function people(n: number): PersonRecord[] {
  const random = generator(3);
  const word = (syllables: number): string =>
    Array.from(
      { length: syllables },
      () => 'bdfgklmnprst'[Math.floor(random() * 12)]! + 'aeiou'[Math.floor(random() * 5)]!,
    ).join('');
  return Array.from({ length: n }, (_, i) => ({
    key: String(i),
    given: GIVEN[Math.floor(random() * GIVEN.length)]!,
    family: word(3),
    dob: `${1940 + Math.floor(random() * 70)}-${10 + Math.floor(random() * 3)}-${10 + Math.floor(random() * 18)}`,
    street: `${1 + Math.floor(random() * 99)} ${word(3)} street`,
    zip: String(20000 + Math.floor(random() * 50)),
  }));
}
const keys = (pairs: readonly { left: number; right: number }[]): string[] =>
  pairs.map(({ left, right }) => `${left} ${right}`).sort();

describe('linkFiles', () => {
  it('takes empty files, one record, and records without anything', () => {
    const [one] = people(1) as [PersonRecord];
    for (const [left, right] of [
      [[], []],
      [[one], []],
      [[], [one]],
      [[{ key: 'x' }], [{ key: 'y' }]],
    ] as const) {
      const result = linkFiles(left, right);
      expect(result.links).toEqual([]);
    }
    expect(() => linkFiles([one], [one])).not.toThrow();
  });

  it('finds the same persons in another order, and gives the same answer again', () => {
    const left = people(400);
    const right = [...left].reverse();
    const result = linkFiles(left, right);
    expect(keys(result.links)).toEqual(keys(left.map((_, i) => ({ left: i, right: 399 - i }))));
    expect(result.reviews).toEqual([]);
    expect(keys(linkFiles(left, right).links)).toEqual(keys(result.links));
  });

  it('links no strangers of two unrelated files', () => {
    const all = people(800);
    const { links } = linkFiles(all.slice(0, 400), all.slice(400));
    expect(links).toEqual([]);
  });

  it('links a person that is twice in one file to both, and two rivals to neither', () => {
    const left = people(300);
    const right = left.map((record) => ({ ...record }));
    right.push({ ...left[5]!, key: 'again', street: '' });
    // Father and son of one name and address, one of whom is in the right file without a birth date.
    left.push({ ...left[9]!, key: 'son', dob: '2009-12-24' });
    right[9] = { ...left[9]!, dob: '' };
    const result = linkFiles(left, right);
    expect(
      result.links
        .filter((pair) => pair.left === 5)
        .map((pair) => pair.right)
        .sort((a, b) => a - b),
    ).toEqual([5, 300]);
    expect(result.links.filter((pair) => pair.right === 9)).toEqual([]);
    expect(result.reviews.filter((pair) => pair.right === 9).length).toBeGreaterThan(0);
  });

  it('links no twins, and no namesakes of two generations, of whom one has moved but kept the telephone', () => {
    const left: PersonRecord[] = people(600).map((record, i) => ({ ...record, phone: String(55_000_000 + i * 7919) }));
    const elsewhere = people(900).slice(600);
    for (let i = 0; i < 60; i++) left.push({ ...left[i]!, key: `${i}twin`, given: `${GIVEN[i % 16]}bert` });
    for (let i = 60; i < 90; i++) left.push({ ...left[i]!, key: `${i}child`, dob: `2015-11-${10 + (i % 18)}` });
    for (let i = 90; i < 500; i++)
      left.push({
        ...left[i]!,
        key: `${i}sibling`,
        given: `${GIVEN[i % 16]}bert`,
        dob: `${1950 + (i % 60)}-10-${10 + (i % 18)}`,
      });
    const right = left.map((record, i) =>
      i % 12 === 0 && i !== 600
        ? { ...record, street: elsewhere[i % 300]!.street, zip: elsewhere[i % 300]!.zip }
        : record,
    );
    // The first of these pairs stands in the left file only, the second, who has moved, in the right file only.
    const gone = new Set([12, 24, 36, 48, 72, 84]);
    const here = left.filter((_, i) => !gone.has(i - 600));
    const there = right.filter((_, i) => !gone.has(i));
    const result = linkFiles(here, there);
    const wrong = result.links.filter((pair) => here[pair.left]!.key !== there[pair.right]!.key);
    expect(wrong).toEqual([]);
    expect(result.links.length).toBeGreaterThan(1050);
  });

  it('links no twins of whom one has a longer form of the other’s name', () => {
    const left: PersonRecord[] = people(600).map((record, i) => ({ ...record, phone: String(55_000_000 + i * 7919) }));
    const longer = (name: string): string => `${name}${name.endsWith('a') ? 'nne' : 'ina'}`;
    for (let i = 0; i < 60; i++) left.push({ ...left[i]!, key: `${i}twin`, given: longer(left[i]!.given!) });
    // some of them are in one file without the other, some have moved or have no telephone there
    const right = left
      .map((record, i) => (i % 7 === 0 ? { ...record, phone: '' } : i % 11 === 0 ? { ...record, street: '' } : record))
      .filter((_, i) => i % 13 !== 0);
    const { links, reviews } = linkFiles(left, right);
    expect(links.filter((pair) => left[pair.left]!.key !== right[pair.right]!.key)).toEqual([]);
    expect(links.length).toBe(right.length);
    // whether they are one person is asked
    expect(reviews.length).toBeGreaterThan(0);
  });

  it('sees that a whole file has given and family names in each other’s place', () => {
    const left = people(300);
    // Brothers and sisters, whom a comparison that takes the exchange for granted would take for one person.
    for (let i = 0; i < 60; i++)
      left.push({ ...left[i]!, key: `${i}s`, given: GIVEN[(GIVEN.indexOf(left[i]!.given!) + 5) % 16]! });
    const right = left.map((record) => ({ ...record, given: record.family, family: record.given }));
    const named = linkFiles(left, left);
    const exchanged = linkFiles(left, right);
    expect(exchanged.links.length).toBeGreaterThan(300);
    expect(keys(exchanged.links)).toEqual(keys(named.links));
    expect(exchanged.links.filter((pair) => pair.left !== pair.right)).toEqual([]);
  });

  it('obeys a deterministic rule', () => {
    const left = people(100).map((record) => ({ ...record, issuer: 'NORTH', id: `N${record.key}` }));
    const right = people(100)
      .slice(0, 50)
      .map((record) => ({ ...record, issuer: 'SOUTH', id: `S${record.key}` }));
    const stray = { key: 's', given: 'Quentin', family: 'Xylander', furtherIds: [{ issuer: 'NORTH', id: 'N77' }] };
    const { links } = linkFiles(left, [...right, stray]);
    expect(keys(links)).toContain('77 50');
  });
});

describe('deduplicate', () => {
  it('finds persons that are there several times, and no others', () => {
    const once = people(500);
    const again = once.slice(0, 60).map((record) => ({ ...record, key: `${record.key}b`, zip: '' }));
    const thrice = once.slice(0, 20).map((record) => ({ ...record, key: `${record.key}c`, street: '' }));
    const { clusters, links } = deduplicate([...once, ...again, ...thrice]);
    expect(clusters).toHaveLength(60);
    expect(clusters.slice(0, 20).every((members) => members.length === 3)).toBe(true);
    expect(links).toHaveLength(20 * 3 + 40);
  });
});

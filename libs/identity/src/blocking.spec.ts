import { BlockIndex, blockingKeys, MOST_KEYS } from './blocking';
import { normaliseRecord } from './normalise';
import type { PersonRecord } from './record';
import { Vocabulary } from './vocabulary';

const vocabulary = new Vocabulary();
const normal = (record: Partial<PersonRecord>) => normaliseRecord({ key: 'k', ...record }, vocabulary);
const person = {
  given: 'Katharina',
  family: 'Schneider',
  dob: '1980-03-05',
  street: 'Lindenweg 7',
  city: 'Neustadt',
  zip: '12345',
  phone: '0171 2345678',
};
const shared = (a: Partial<PersonRecord>, b: Partial<PersonRecord>): number => {
  const keys = new Set(blockingKeys(normal(a)));
  return blockingKeys(normal(b)).filter((key) => keys.has(key)).length;
};

describe('blockingKeys', () => {
  it.each([
    ['exchanged names', { given: person.family, family: person.given }],
    ['exchanged day and month', { dob: '1980-05-03', zip: '', phone: '', street: '' }],
    [
      'another family name and address',
      { family: 'Wagner', street: 'Ring 2', city: 'Kirchheim', zip: '99999', phone: '' },
    ],
    ['another given name', { given: 'Ulla', phone: '' }],
    ['no birth date', { dob: '' }],
    ['another birth date', { dob: '1955-11-30', phone: '' }],
    ['a misspelt family name and no address', { family: 'Schnieder', street: '', zip: '', city: '', phone: '' }],
    ['only a telephone in common', { given: 'X', family: 'Y', dob: '', street: '', city: '', zip: '' }],
  ])('%s', (_, change) => expect(shared(person, { ...person, ...change })).toBeGreaterThan(0));

  it('gives strangers of one sex and country none', () => {
    expect(
      shared(person, {
        given: 'Otto',
        family: 'Wagner',
        dob: '1941-09-17',
        street: 'Ring 2',
        city: 'Kirchheim',
        zip: '99999',
      }),
    ).toBe(0);
  });

  it('is bounded, and empty for an empty record', () => {
    expect(blockingKeys(normal({}))).toEqual([]);
    const names = Array.from({ length: 30 }, (_, i) => `name${i}`).join('^');
    const many = blockingKeys(
      normal({
        ...person,
        name: `${names}=${names}=${names}`,
        furtherIds: Array.from({ length: 100 }, (_, i) => ({ issuer: 'A', id: `x${i}` })),
      }),
    );
    expect(many.length).toBeLessThanOrEqual(MOST_KEYS);
  });
});

describe('BlockIndex', () => {
  it('gives each candidate once, itself never, and skips what is too large', () => {
    const records = [
      normal(person),
      normal({ ...person, given: 'Ulla' }),
      ...Array.from({ length: 20 }, () => normal({ phone: '030 1111222' })),
    ];
    const index = new BlockIndex(records, { largest: 10 });
    const found: number[] = [];
    index.candidates(records[0]!, (other) => found.push(other));
    expect(found).toEqual([1]);
    const crowd: number[] = [];
    index.candidates(records[5]!, (other) => crowd.push(other));
    expect(crowd).toEqual([]);
    const above: number[] = [];
    index.candidates(records[1]!, (other) => above.push(other), 1);
    expect(above).toEqual([]);
  });
});

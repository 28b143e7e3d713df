import {
  blockingKeys,
  Matcher,
  Model,
  normaliseRecord,
  score,
  Vocabulary,
  type ModelJson,
  type PersonRecord,
} from './index';
import { generator } from './corpus';
import { CLASSES } from './parameters';

// Seconds on a quiet machine.
jest.setTimeout(120_000);

const GIVEN = 'Anna Peter Maria Paul Laura Felix Emma Jonas Clara David Lena Simon Julia Max Sophie Jan'.split(' ');
const FAMILY =
  'Huber Meier Wagner Koch Bauer Richter Klein Wolf Braun Krause Vogel Keller Frank Berger Roth Beck'.split(' ');

/** A small site: families of four at one address, every person once or twice. */
function site(families: number): PersonRecord[] {
  const random = generator(7);
  const pick = (list: readonly string[]): string => list[Math.floor(random() * list.length)]!;
  const records: PersonRecord[] = [];
  for (let f = 0; f < families; f++) {
    const family = `${pick(FAMILY)}${pick(['', 'mann', 'inger', 'ski', 'ov'])}`;
    const street = `${pick(FAMILY)}weg ${1 + Math.floor(random() * 90)}`;
    const zip = String(10000 + Math.floor(random() * 30));
    for (let p = 0; p < 4; p++) {
      const year = p < 2 ? 1950 + Math.floor(random() * 25) : 1980 + Math.floor(random() * 25);
      const dob = `${year}-0${1 + Math.floor(random() * 9)}-${10 + Math.floor(random() * 18)}`;
      const record = { given: pick(GIVEN), family, dob, street, zip, sex: p % 2 ? 'F' : 'M' };
      records.push({ key: `${f}.${p}`, issuer: 'NORTH', id: `N${f}.${p}`, ...record });
      if (random() < 0.5)
        records.push({
          key: `${f}.${p}b`,
          issuer: 'SOUTH',
          id: `S${f}.${p}`,
          ...record,
          zip: random() < 0.1 ? '' : zip,
        });
    }
  }
  return records;
}

const records = site(250);
const model = Model.learn(records);
const person: PersonRecord = {
  key: 'a', issuer: 'NORTH', id: '17', given: 'Laura', family: 'Richter', dob: '1984-02-07', sex: 'F', street: 'Wolfweg 7', zip: '10011',
}; // prettier-ignore
const judge = (change: Partial<PersonRecord>) =>
  score(model, person, { ...person, key: 'b', issuer: 'SOUTH', id: '99', ...change });

describe('score', () => {
  it.each([
    ['the same in everything', {}],
    ['exchanged names', { given: 'Richter', family: 'Laura' }],
    ['a typing error', { family: 'Richtre' }],
  ])('%s: link', (_, change) => expect(judge(change).outcome).toBe('link'));

  it.each([
    ['brother or sister', { given: 'Felix', sex: 'M', dob: '1987-05-11' }],
    ['a stranger of the same name', { dob: '1951-09-23', street: 'Kochweg 81', zip: '10025' }],
    ['mother and daughter of one name', { dob: '1955-09-23' }],
  ])('%s: no link', (_, change) => expect(judge(change).outcome).not.toBe('link'));

  it.each([
    ['exchanged day and month, which this site never had', { dob: '1984-07-02' }],
    ['married', { family: 'Wolf' }],
  ])('%s: not lost', (_, change) => expect(judge(change).outcome).not.toBe('apart'));

  it('does not link a twin', () => {
    expect(judge({ given: 'Felix', sex: 'M' }).outcome).not.toBe('link');
    expect(judge({ given: 'Clara' }).outcome).not.toBe('link');
  });

  it('explains itself', () => {
    const { evidence, weight } = judge({ dob: '1984-02-08' });
    expect(evidence.fields.find((each) => each.field === 'dob')).toMatchObject({
      level: 'one digit, or two exchanged',
    });
    expect(evidence.fields.find((each) => each.field === 'family')!.bits).toBeGreaterThan(3);
    expect(evidence.classes[0]!.name).toBe('same');
    const bits = evidence.fields.reduce((sum, each) => sum + each.bits, 0);
    expect(bits).toBeGreaterThan(weight);
  });

  it('is symmetric', () => {
    for (let i = 0; i + 7 < records.length; i += 7) {
      const [a, b] = [records[i]!, records[i + (i % 5)]!];
      expect(score(model, a, b).weight).toBeCloseTo(score(model, b, a).weight, 9);
    }
  });
});

describe('deterministic rules', () => {
  it('same issuer and id', () => {
    expect(judge({ issuer: 'NORTH', id: '17', given: 'Felix', dob: '' })).toMatchObject({
      outcome: 'link',
      rule: 'same issuer and id',
    });
  });

  it('the same id of another issuer, and shared ids, are no evidence', () => {
    const other = { given: 'Otto', family: 'Vogel', dob: '1951-01-02', sex: 'M', street: '', zip: '' };
    expect(judge({ ...other, issuer: 'SOUTH', id: '17' }).outcome).toBe('apart');
    expect(score(model, { ...person, id: '0000' }, { ...person, ...other, id: '0000' }).outcome).toBe('apart');
    expect(score(model, { ...person, id: '' }, { ...person, ...other, id: '' }).outcome).toBe('apart');
    expect(score(model, { ...person, issuer: '' }, { ...person, ...other, issuer: '' }).outcome).toBe('apart');
  });

  it('a further id that both have, or that is the other one itself', () => {
    expect(judge({ furtherIds: [{ issuer: 'NORTH', id: '17' }] }).rule).toBe('shared further id');
    const insured = { furtherIds: [{ issuer: 'INSURANCE', id: 'K1' }] };
    expect(score(model, { ...person, ...insured }, { key: 'b', ...insured }).rule).toBe('shared further id');
    const nobody = { furtherIds: [{ issuer: 'INSURANCE', id: '000' }] };
    expect(score(model, { ...person, ...nobody }, { key: 'b', ...nobody }).rule).toBeUndefined();
  });

  it('accession number with birth date, not alone', () => {
    const accessionNumbers = [{ issuer: 'RIS', number: 'A7' }];
    const a = { ...person, accessionNumbers };
    expect(score(model, a, { key: 'b', dob: '07.02.1984', accessionNumbers }).rule).toBe(
      'accession number and birth date',
    );
    expect(score(model, a, { key: 'b', accessionNumbers }).rule).toBeUndefined();
    expect(score(model, a, { key: 'b', dob: '1984-02-08', accessionNumbers }).rule).toBeUndefined();
  });

  it('rules of the site', () => {
    const rules = [
      (a: { phone: unknown }, b: { phone: unknown }) => (a.phone !== null && a.phone === b.phone ? 'phone' : undefined),
    ];
    const phone = '0171 2345678';
    expect(score(model, { ...person, phone }, { key: 'b', phone }, { rules }).rule).toBe('phone');
  });
});

describe('choose', () => {
  it('puts a record with two likely candidates into review, unless they are one person', () => {
    const matcher = new Matcher(model);
    const record = matcher.normalise({ ...person, dob: '' });
    const candidates = [
      person,
      { ...person, key: 'c', dob: '1955-09-23' },
      { ...person, key: 'd', given: 'Otto', family: 'Vogel' },
    ].map((each) => matcher.normalise(each));
    const choice = matcher.choose(record, candidates);
    expect(choice.map(({ index }) => index)).toEqual(expect.arrayContaining([0, 1, 2]));
    expect(choice.filter(({ outcome }) => outcome === 'link')).toEqual([]);
    expect(choice[0]!.evidence.fields.some(({ field }) => field === 'rivals')).toBe(true);
    const twice = [person, { ...person, key: 'c' }].map((each) => matcher.normalise(each));
    const same = matcher.choose(matcher.normalise({ ...person, key: 'e' }), twice, () => true);
    expect(same.map(({ outcome }) => outcome)).toEqual(['link', 'link']);
  });
});

describe('Model', () => {
  it('comes back from JSON and scores the same', () => {
    const again = Model.fromJSON(JSON.parse(JSON.stringify(model)) as ModelJson);
    for (let i = 0; i + 3 < records.length; i += 11) {
      const [a, b] = [records[i]!, records[i + 1]!];
      expect(score(again, a, b).weight).toBeCloseTo(score(model, a, b).weight, 0);
    }
    expect(() => Model.fromJSON({ ...(JSON.parse(JSON.stringify(model)) as ModelJson), version: 3 as 2 })).toThrow(
      RangeError,
    );
  });

  it('reads models of version 1, which knew no relatives at two addresses', () => {
    const json = JSON.parse(JSON.stringify(model)) as ModelJson;
    const old = { ...json, version: 1 as const, prior: [...json.prior.slice(0, 8), json.prior[11]!] };
    const again = Model.fromJSON(old);
    expect(again.prior).toHaveLength(CLASSES.length);
    expect(again.prior.every((share) => share > 0 && share < 1)).toBe(true);
    const moved = { ...person, key: 'm', street: '', city: '', zip: '' };
    expect(score(again, person, moved).weight).toBeCloseTo(score(model, person, moved).weight, 0);
  });

  it('holds no rare name and is not changed by what it scores', () => {
    const before = JSON.stringify(model);
    expect(before).not.toContain('oberunterhuber');
    score(model, { key: 'x', given: 'Laura', family: 'Oberunterhuber' }, person);
    expect(JSON.stringify(model)).toBe(before);
  });

  it('learns distributions that are distributions', () => {
    expect(model.prior).toHaveLength(CLASSES.length);
    expect(model.prior.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
    for (const situations of Object.values(model.distributions))
      for (const levels of Object.values(situations)) expect(levels.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 2);
  });

  it('learns from next to nothing without failing', () => {
    for (const few of [[], [person], [person, { ...person, key: 'b' }], [{ key: 'x' }, { key: 'y' }]]) {
      const small = Model.learn(few);
      expect(Number.isFinite(score(small, person, person).weight)).toBe(true);
      expect(score(small, { key: 'x' }, { key: 'y' }).outcome).toBe('apart');
    }
  });

  it('finds candidates by keys of another process', () => {
    const matcher = new Matcher(Model.fromJSON(JSON.parse(JSON.stringify(model)) as ModelJson));
    expect(blockingKeys(matcher.normalise(person))).toEqual(blockingKeys(normaliseRecord(person, new Vocabulary())));
  });
});

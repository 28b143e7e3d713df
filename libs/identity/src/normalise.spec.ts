import { isSharedId, normaliseRecord } from './normalise';
import { phoneticCode } from './phonetic';
import { Sex, type PersonRecord } from './record';
import { flatten, plain } from './text';
import { transliterate } from './transliterate';
import { Nearness, Vocabulary } from './vocabulary';

const vocabulary = new Vocabulary();
const normal = (record: Partial<PersonRecord>) => normaliseRecord({ key: 'k', ...record }, vocabulary);
const near = (a: string, b: string): Nearness =>
  vocabulary.nearness(vocabulary.word(plain(a).split(' '))!, vocabulary.word(plain(b).split(' '))!);

describe('names', () => {
  it('reads a DICOM PN with its groups, prefix and suffix', () => {
    const record = normal({ name: "O'Neil^Anna Maria^^Dr^Jr=王^安=オニール^アンナ" });
    expect(record.names.map(({ given, family }) => [family?.text, given?.text])).toEqual([
      ['oneil', 'annamaria'],
      ['王', '安'],
      ['oniru', 'anna'],
    ]);
    expect(record.generation).toBe(2);
  });

  it('leaves out titles, generations and what is nobody', () => {
    expect(normal({ given: 'Dr. Hans', family: 'Weiß, Jr.' }).names[0]).toMatchObject({
      given: { text: 'hans' },
      family: { text: 'weiss' },
    });
    expect(normal({ given: 'Baby Boy', family: 'UNKNOWN' }).names[0]).toEqual({ given: null, family: null });
    expect(normal({ given: '', family: '' }).names[0]).toEqual({ given: null, family: null });
    expect(normal({ family: 'Doe, John' }).names[0]).toMatchObject({
      given: { text: 'john' },
      family: { text: 'doe' },
    });
  });

  it('joins particles with their name', () => {
    expect(normal({ given: 'Jan', family: 'van der Berg' }).names[0]!.family!.text).toBe('vanderberg');
    expect(normal({ given: 'Jan', family: 'Meyer-Schulz' }).names[0]!.family!.parts).toEqual(['meyer', 'schulz']);
  });

  it.each([
    ['Müller', 'Mueller', Nearness.Variant],
    ['Müller', 'Muller', Nearness.Same],
    ['Weiß', 'Weiss', Nearness.Same],
    ['Bob', 'Robert', Nearness.Variant],
    ['Anna Maria', 'Maria Anna', Nearness.Variant],
    ['Anna Maria', 'Anna', Nearness.Part],
    ['Meyer-Schulz', 'Schulz', Nearness.Part],
    ['Katharina', 'Kathraina', Nearness.Typo],
    ['J', 'John', Nearness.Initial],
    ['J', 'Mary', Nearness.Different],
    ['Emma', 'Sophia', Nearness.Different],
    ['Горбачёв', 'Gorbachev', Nearness.Same],
  ])('%s and %s', (a, b, level) => {
    expect(near(a, b)).toBe(level);
    expect(near(b, a)).toBe(level);
  });

  it('tells a misspelling from a name that others have', () => {
    const words = new Vocabulary();
    const [anna, hanna, ana] = ['anna', 'hanna', 'anna2'].map((name) => words.word([name])!);
    anna!.asGiven = 500;
    hanna!.asGiven = 80;
    ana!.asGiven = 1;
    expect(words.nearness(anna!, hanna!)).toBe(Nearness.Neighbour);
    expect(words.nearness(anna!, ana!)).toBe(Nearness.Typo);
  });
});

describe('other fields', () => {
  it('reads sex in several writings', () => {
    expect(
      ['M', 'male', '1', 'männlich', 'F', 'weiblich', '2', 'W', 'O', ''].map((sex) => normal({ sex }).sex),
    ).toEqual([...new Array<Sex>(4).fill(Sex.Male), ...new Array<Sex>(4).fill(Sex.Female), Sex.Unknown, Sex.Unknown]);
  });

  it('brings streets together', () => {
    const same = ['12 Main Street', 'Main St. 12', 'MAIN STR 12', '12, Main Road'].map(
      (street) => normal({ street }).street,
    );
    expect(new Set(same).size).toBe(1);
    expect(normal({ street: 'Hauptstraße 5 a' }).street).toMatchObject({ word: { text: 'haupt' }, number: '5a' });
    expect(normal({ street: 'Hauptstr. 5a' }).street).toBe(normal({ street: 'Hauptstraße 5 a' }).street);
    expect(normal({ street: '' }).street).toBeNull();
  });

  it('reads postal codes and telephones', () => {
    expect(normal({ zip: 'D-12345' }).zip!.text).toBe('12345');
    expect(normal({ zip: '12345-6789' }).zip!.text).toBe('12345');
    expect(normal({ zip: 'SW1A 1AA' }).zip!.text).toBe('sw1a1aa');
    expect(normal({ phone: '+49 (171) 234 56 78' }).phone).toBe(normal({ phone: '0171/2345678' }).phone);
    expect(normal({ phone: '000000' }).phone).toBeNull();
    expect(normal({ phone: '123456789' }).phone).toBeNull();
  });

  it('takes shared ids for none', () => {
    for (const id of ['', ' ', '0', '0000', 'UNKNOWN', 'n/a', '99999']) expect(isSharedId(id)).toBe(true);
    for (const id of ['1', '10000', 'A1', '1111a']) expect(isSharedId(id)).toBe(false);
    expect(isSharedId('walk-in', ['WALK-IN'])).toBe(true);
    const record = normal({
      issuer: 'NORTH',
      id: '0000',
      furtherIds: [
        { issuer: 'SOUTH', id: 'unknown' },
        { issuer: '', id: '5' },
        { issuer: 'SOUTH', id: '7' },
      ],
    });
    expect(record.id).toBe('');
    expect(record.furtherIds).toEqual(['SOUTH|7']);
  });

  it('never throws, whatever the text', () => {
    const odd = ['\ud800', '\0', '^^^===', 'ー', '가각힣', 'ﷺ', 'a'.repeat(100_000), '٣', "''''", '-', 'اَلْ'];
    for (const text of odd) {
      const record = normal({
        name: text,
        given: text,
        family: text,
        dob: text,
        street: text,
        city: text,
        zip: text,
        phone: text,
        sex: text,
      });
      expect(record.names.length).toBeGreaterThan(0);
    }
  });
});

describe('text', () => {
  it('transliterates', () => {
    expect(
      ['王', 'たなか', 'トウキョウ', 'シャツ', '김민준', 'παπαδόπουλος', 'шевченко', 'כהן'].map((text) =>
        transliterate(plain(text)),
      ),
    ).toEqual(['王', 'tanaka', 'toukyou', 'shatsu', 'gimminjun', 'papadopoylos', 'shevchenko', 'khn']);
  });

  it('gives one code to spellings of one sound', () => {
    for (const [a, b] of [
      ['meyer', 'maier'],
      ['schmidt', 'schmitt'],
      ['philip', 'filip'],
      ['catherine', 'katharina'],
      ['stephen', 'steven'],
    ]) {
      const [first, second] = [phoneticCode(a!), phoneticCode(b!)];
      expect(first.startsWith(second) || second.startsWith(first)).toBe(true);
    }
    expect(phoneticCode('smith')).not.toBe(phoneticCode('jones'));
    expect(flatten('mueller')).toBe(flatten('muller'));
  });
});

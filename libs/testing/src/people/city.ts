import { corrupt, type ErrorRates, DEFAULT_ERRORS } from './corrupt';
import { Random } from '../generate/random';
import { ENGLISH, GERMAN, inventName, inventPool, type NamePool } from './names';

export interface CityOptions {
  /** Persons of the city; each file holds some of them. */
  persons: number;
  seed: number;
  names: 'english' | 'german' | 'invented';
  /** Chance that a person is in the left file, and in the right file. */
  inLeft: number;
  inRight: number;
  /** Chance that a person in a file is there twice. */
  twice: number;
  /** Chance that a birth gives twins, and that a child is named after the parent of its sex. */
  twins: number;
  namesakes: number;
  /** Chance that a person has moved, or a woman of 20 to 45 has taken another name, when the right file was written. */
  moved: number;
  married: number;
  /** Share of rare family names. */
  rareNames: number;
  errors: ErrorRates;
}

export const DEFAULT_CITY: CityOptions = {
  persons: 10_000,
  seed: 1,
  names: 'english',
  inLeft: 0.8,
  inRight: 0.8,
  twice: 0,
  twins: 0.03,
  namesakes: 0.04,
  moved: 0.05,
  married: 0.02,
  rareNames: 0.4,
  errors: DEFAULT_ERRORS,
};

export interface CityRecord {
  id: string;
  given: string;
  family: string;
  dob: string;
  sex: string;
  street: string;
  city: string;
  zip: string;
  phone: string;
}

export interface City {
  left: CityRecord[];
  right: CityRecord[];
  /** Pairs of ids, left and right, that are one person. */
  truth: [left: string, right: string][];
}

interface Home {
  street: string;
  city: string;
  zip: string;
  phone: string;
  /** Where the household lives when the right file is written. */
  later?: Home;
}

interface Person {
  given: string;
  family: string;
  born: Date;
  female: boolean;
  home: Home;
  mobile: string;
}

/** Index drawn with weights 1/(i+3). */
function zipf(random: () => number, length: number): number {
  return Math.min(length - 1, Math.floor(3 * (Math.pow((length + 3) / 3, random()) - 1)));
}

class Builder {
  readonly persons: Person[] = [];
  private readonly pool: NamePool;
  private readonly places: { city: string; zip: string }[];

  constructor(
    private readonly options: CityOptions,
    private readonly random: () => number,
  ) {
    this.pool = options.names === 'english' ? ENGLISH : options.names === 'german' ? GERMAN : inventPool(random);
    const zips = 1 + Math.ceil(options.persons / 2500);
    this.places = Array.from({ length: Math.max(zips, 8) }, (_, i) => ({
      city: this.pool.cities[zipf(random, this.pool.cities.length)]!,
      zip: String(10_000 + Math.floor(random() * 90) * 1000 + i * 7).slice(0, 5),
    }));
    while (this.persons.length < options.persons) this.household();
  }

  chance(p: number): boolean {
    return this.random() < p;
  }

  private below(n: number): number {
    return Math.floor(this.random() * n);
  }

  home(): Home {
    const place = this.places[zipf(this.random, this.places.length)]!;
    const { streets, kinds } = this.pool;
    const rare = this.chance(0.5) ? inventName(this.random, 2) : streets[zipf(this.random, streets.length)]!;
    const kind = kinds[zipf(this.random, kinds.length)]!;
    const name = /^[A-Z]/.test(kind) ? `${rare} ${kind}` : `${rare}${kind}`;
    const number = 1 + this.below(this.chance(0.8) ? 60 : 300);
    return {
      street: this.options.names === 'german' ? `${name} ${number}` : `${number} ${name}`,
      ...place,
      phone: this.phone(),
    };
  }

  phone(): string {
    return `0${100 + this.below(900)} ${1_000_000 + this.below(9_000_000)}`;
  }

  family(): string {
    if (this.chance(this.options.rareNames)) return inventName(this.random, 2 + this.below(2));
    const { family } = this.pool;
    return family[zipf(this.random, family.length)]!;
  }

  given(female: boolean): string {
    const list = female ? this.pool.female : this.pool.male;
    const first = list[zipf(this.random, list.length)]!;
    return this.chance(0.06) ? `${first} ${list[zipf(this.random, list.length)]!}` : first;
  }

  private person(family: string, female: boolean, year: number, home: Home): Person {
    const born = new Date(Date.UTC(year, 0, 1 + this.below(365)));
    const person = {
      given: this.given(female),
      family,
      born,
      female,
      home,
      mobile: this.chance(0.6) ? this.phone() : '',
    };
    this.persons.push(person);
    return person;
  }

  private household(): void {
    const home = this.home();
    const family = this.family();
    const kind = this.random();
    const year = 1930 + this.below(72);
    const first = this.person(family, this.chance(0.5), year, home);
    if (kind < 0.35) return;
    const second = this.person(
      this.chance(0.85) ? family : this.family(),
      !first.female,
      year - 8 + this.below(16),
      home,
    );
    if (kind < 0.55) return;
    let age = 20 + this.below(14);
    const children = 1 + this.below(3);
    for (let i = 0; i < children; i++, age += 1 + this.below(5)) {
      const female = this.chance(0.5);
      const child = this.person(family, female, Math.min(2023, year + age), home);
      if (this.chance(this.options.namesakes)) child.given = (first.female === female ? first : second).given;
      if (this.chance(this.options.twins)) {
        const twin = this.person(family, this.chance(0.7) ? female : !female, year + age, home);
        twin.born = child.born;
        while (twin.given === child.given) twin.given = this.given(twin.female);
      }
    }
    if (this.chance(0.05)) this.person(family, this.chance(0.6), year - 20 - this.below(15), home);
  }

  /** What became of a person between the two files. */
  later(person: Person): Person {
    const { moved, married } = this.options;
    const changed = { ...person };
    const age = 2024 - person.born.getUTCFullYear();
    if (person.female && age >= 20 && age <= 45 && this.chance(married)) {
      changed.family = this.chance(0.2) ? `${person.family}-${this.family()}` : this.family();
      if (this.chance(0.5)) changed.home = this.home();
    } else if (this.chance(moved * 0.3)) changed.home = this.home();
    else changed.home = person.home.later ??= this.chance(moved * 0.7) ? this.home() : person.home;
    if (changed.home !== person.home && this.chance(0.3)) changed.mobile = changed.mobile && this.phone();
    return changed;
  }
}

function toRecord({ given, family, born, female, home, mobile }: Person, id: string): CityRecord {
  return {
    id,
    given,
    family,
    dob: born.toISOString().slice(0, 10),
    sex: female ? 'F' : 'M',
    street: home.street,
    city: home.city,
    zip: home.zip,
    phone: mobile === '' ? home.phone : mobile,
  };
}

/** Two files about one city, some years apart, and the truth. The same options give the same city. */
export function generateCity(options: Partial<CityOptions> = {}): City {
  const all = { ...DEFAULT_CITY, ...options };
  const draws = new Random(`city ${all.seed}`);
  const random = (): number => draws.float();
  const builder = new Builder(all, random);
  const left: CityRecord[] = [];
  const right: CityRecord[] = [];
  const truth: [string, string][] = [];
  builder.persons.forEach((person, i) => {
    const copies = (share: number): number => (builder.chance(share) ? (builder.chance(all.twice) ? 2 : 1) : 0);
    const lefts = Array.from({ length: copies(all.inLeft) }, (_, n) => `L${i}${n ? 'b' : ''}`);
    const rights = Array.from({ length: copies(all.inRight) }, (_, n) => `R${i}${n ? 'b' : ''}`);
    const later = builder.later(person);
    for (const id of lefts) left.push(corrupt(toRecord(person, id), all.errors, random, (f) => builder.given(f)));
    for (const id of rights) right.push(corrupt(toRecord(later, id), all.errors, random, (f) => builder.given(f)));
    for (const l of lefts) for (const r of rights) truth.push([l, r]);
  });
  shuffle(left, random);
  shuffle(right, random);
  return { left, right, truth };
}

function shuffle<T>(list: T[], random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}

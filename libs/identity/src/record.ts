/** What a source says about a person: a local identity and its demographics. Everything but the identity may be missing. */
export interface PersonRecord {
  /** Unique within what is given to one call; opaque here. */
  key: string;
  /** Assigning authority and id (PS3.3 C.7.1.1: IssuerOfPatientID, PatientID). */
  issuer?: string;
  id?: string;
  /** A DICOM PN value (PS3.5 6.2.1); used where `given` and `family` are not given apart. */
  name?: string;
  given?: string;
  middle?: string;
  family?: string;
  prefix?: string;
  suffix?: string;
  /** Any usual writing: 19800131, 1980-01-31, 31.01.1980, 1/31/80, 31 Jan 1980, 1980-01, 1980. */
  dob?: string;
  sex?: string;
  street?: string;
  city?: string;
  zip?: string;
  phone?: string;
  /** OtherPatientIDsSequence: ids that other authorities gave. */
  furtherIds?: readonly { issuer: string; id: string }[];
  accessionNumbers?: readonly { issuer: string; number: string }[];
}

/** A text of the vocabulary: every spelling exists once, so that comparing is comparing references. */
export interface Word {
  readonly index: number;
  /** Folded, Latin where possible, words joined. */
  readonly text: string;
  /** `text` with the spellings of umlauts and doubled letters brought together. */
  readonly flat: string;
  readonly code: string;
  /** Which of the letters a to z it has, as bits. */
  readonly letters: number;
  /** The words of it, where there are several; else the text alone. */
  readonly parts: readonly string[];
  /** How many records have it as given name, and as family name (or other text). */
  asGiven: number;
  asFamily: number;
}

export interface Name {
  given: Word | null;
  family: Word | null;
}

/** Street and number; each exists once, like words. */
export interface Street {
  /** The street's name without its kind. */
  readonly word: Word | null;
  /** '' when there is none. */
  readonly number: string;
  /** How many records have it. */
  count: number;
}

/** Year, month, day as yyyymmdd; month and day 0 where unknown; 0: no date. */
export type DateNumber = number;

export const enum Sex {
  Unknown = 0,
  Male = 1,
  Female = 2,
}

/** A record made comparable. Words belong to the vocabulary that it was normalised with. */
export interface NormalisedRecord {
  readonly key: string;
  readonly issuer: string;
  /** '' where the id names nobody. */
  readonly id: string;
  /** Never empty; the first is the alphabetic one. Further ones are the ideographic and phonetic groups. */
  readonly names: readonly Name[];
  /** Generation: 0 unknown, 1 senior, 2 junior, 3 third, ... */
  readonly generation: number;
  readonly dob: DateNumber;
  readonly sex: Sex;
  readonly street: Street | null;
  readonly city: Word | null;
  readonly zip: Word | null;
  readonly phone: Word | null;
  /** `issuer|id` of the further ids that name somebody. */
  readonly furtherIds: readonly string[];
  readonly accessions: readonly string[];
}

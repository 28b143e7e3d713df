import { foldText } from './fold';
import type { DicomJsonPersonName } from './json';

/** One component group of a PN value (PS3.5 section 6.2.1). */
export interface PersonNameGroup {
  familyName: string;
  givenName: string;
  middleName: string;
  prefix: string;
  suffix: string;
}

export interface PersonName {
  alphabetic: PersonNameGroup;
  ideographic: PersonNameGroup;
  phonetic: PersonNameGroup;
}

const COMPONENTS = ['familyName', 'givenName', 'middleName', 'prefix', 'suffix'] as const;

function parseGroup(text: string): PersonNameGroup {
  const parts = text.split('^');
  const at = (index: number): string => (parts[index] ?? '').trim();
  return { familyName: at(0), givenName: at(1), middleName: at(2), prefix: at(3), suffix: at(4) };
}

/** Components and groups beyond the fifth and third are dropped. */
export function parsePersonName(value: string): PersonName {
  const [alphabetic = '', ideographic = '', phonetic = ''] = value.split('=');
  return {
    alphabetic: parseGroup(alphabetic),
    ideographic: parseGroup(ideographic),
    phonetic: parseGroup(phonetic),
  };
}

function formatGroup(group: PersonNameGroup): string {
  return trimEnd(COMPONENTS.map((component) => group[component]).join('^'), '^');
}

/** Without trailing empty components and groups. */
export function formatPersonName(name: PersonName): string {
  return trimEnd([name.alphabetic, name.ideographic, name.phonetic].map(formatGroup).join('='), '=');
}

function trimEnd(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) end--;
  return text.slice(0, end);
}

/** PS3.18 section F.2.2: the groups as they stand, empty ones left out. */
export function personNameToJson(value: string): DicomJsonPersonName {
  const [alphabetic = '', ideographic = '', phonetic = ''] = value.split('=');
  const json: DicomJsonPersonName = {};
  if (alphabetic.trim() !== '') json.Alphabetic = alphabetic.trimEnd();
  if (ideographic.trim() !== '') json.Ideographic = ideographic.trimEnd();
  if (phonetic.trim() !== '') json.Phonetic = phonetic.trimEnd();
  return json;
}

export function personNameFromJson(json: DicomJsonPersonName): string {
  return trimEnd([json.Alphabetic ?? '', json.Ideographic ?? '', json.Phonetic ?? ''].join('='), '=');
}

/**
 * A PN value for matching: each component folded and trimmed, empty components and groups at the end dropped
 * ('Doe^John^^^' equals 'DOE ^JOHN'). Patterns with wildcards normalise the same way.
 */
export function normalisePersonName(value: string): string {
  const groups = value.split('=').slice(0, 3);
  const folded = groups.map((group) => trimEnd(group.split('^').map(foldText).join('^'), '^'));
  return trimEnd(folded.join('='), '=');
}

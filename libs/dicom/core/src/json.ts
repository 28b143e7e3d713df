import { dictionaryVr, requireTag } from './dictionary';
import { personNameToJson } from './person-name';
import { tagToHex } from './tag';

/** DICOM JSON model (PS3.18 Annex F). Keys of an object are tags as eight upper-case hexadecimal digits. */

export interface DicomJsonPersonName {
  Alphabetic?: string;
  Ideographic?: string;
  Phonetic?: string;
}

export type DicomJsonValue = string | number | null | DicomJsonPersonName | DicomJson;

export interface DicomJsonElement {
  vr: string;
  Value?: DicomJsonValue[];
  /** Base64 of the value in little endian. */
  InlineBinary?: string;
  BulkDataURI?: string;
}

export interface DicomJson {
  [tag: string]: DicomJsonElement;
}

/** A value, values, or items, as code writes them; null is a present but empty element. */
export type PlainValue = string | number | null | readonly (string | number | null)[] | readonly PlainDataset[];

/** Keyed by keyword or tag text. */
export interface PlainDataset {
  readonly [keywordOrTag: string]: PlainValue;
}

/**
 * The DICOM JSON model of plain values: `{ PatientID: 'X1', Rows: 512, ReferencedSeriesSequence: [{ ... }] }`. The VR is
 * the dictionary's (the first of several).
 *
 * @throws RangeError for a keyword that the dictionary does not have
 */
export function dicomJson(plain: PlainDataset): DicomJson {
  const json: DicomJson = {};
  for (const [key, value] of Object.entries(plain)) {
    const tag = requireTag(key);
    const vr = (dictionaryVr(tag) ?? 'UN').split('/')[0];
    const element: DicomJsonElement = { vr };
    const values = Array.isArray(value) ? (value as readonly unknown[]) : value === null ? [] : [value];
    const converted = values.map((item) => plainToJson(item as PlainValue, vr));
    if (converted.length > 0) element.Value = converted;
    json[tagToHex(tag)] = element;
  }
  return json;
}

function plainToJson(value: PlainValue, vr: string): DicomJsonValue {
  if (value === null) return null;
  if (typeof value === 'object') return dicomJson(value as unknown as PlainDataset);
  if (vr === 'PN') return personNameToJson(String(value));
  return value;
}

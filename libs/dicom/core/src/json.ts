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

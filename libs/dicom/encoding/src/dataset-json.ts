import {
  personNameToJson,
  splitValues,
  tagToHex,
  trimEndPadding,
  parseDecimalString,
  parseIntegerString,
  type DicomJson,
  type DicomJsonElement,
  type DicomJsonValue,
} from '@archipelago/dicom-core';
import type { LeftOutValue } from './api';
import type { BulkReference, Dataset, DicomJsonOptions } from './dataset';
import { SQ, TEXT, vrFlags, vrName, type VrCode } from './vr-code';

/** DICOM JSON model of a view (PS3.18 Annex F). The first of duplicated elements counts. */
export function datasetToJson(dataset: Dataset, options: DicomJsonOptions): DicomJson {
  const json: DicomJson = {};
  const { index } = dataset;
  for (let at = 0; at < index.tags.length; at++) {
    const key = tagToHex(index.tags[at]);
    if (key in json) continue;
    json[key] = elementToJson(dataset, at, options);
  }
  return json;
}

function elementToJson(dataset: Dataset, at: number, options: DicomJsonOptions): DicomJsonElement {
  const vr = dataset.vrAt(at);
  const element: DicomJsonElement = { vr: vrName(vr) };
  if (vr === SQ) {
    const items = dataset.itemsAt(at).map((item) => datasetToJson(item, options));
    if (items.length > 0) element.Value = items;
    return element;
  }
  const bytes = dataset.bytesAt(at);
  if (bytes.length === 0) {
    const uri = bulkUri(dataset, at, options);
    if (uri !== undefined) element.BulkDataURI = uri;
    return element;
  }
  const values = valuesToJson(dataset, at, vr);
  if (!values) element.InlineBinary = bytes.toString('base64');
  else if (values.length > 0) element.Value = values;
  return element;
}

/** Undefined for the VRs whose value is bytes. */
function valuesToJson(dataset: Dataset, at: number, vr: VrCode): DicomJsonValue[] | undefined {
  const name = vrName(vr);
  if ((vrFlags(vr) & TEXT) !== 0) return textToJson(dataset.textAt(at, vr), name);
  switch (name) {
    case 'AT':
      return dataset.numbersAt(at, vr).map(tagToHex);
    case 'FL':
    case 'FD':
      return dataset.numbersAt(at, vr).map((value) => (Number.isFinite(value) ? value : floatName(value)));
    case 'SV':
    case 'UV':
      return bigNumbers(dataset.bytesAt(at), name === 'SV');
    case 'US':
    case 'SS':
    case 'UL':
    case 'SL':
      return dataset.numbersAt(at, vr);
    default:
      return undefined;
  }
}

/** PS3.18 F.2.3.1: JSON has no such numbers. */
function floatName(value: number): string {
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf';
}

/** Numbers where JSON's are exact, else text (PS3.18 table F.2.3-1). */
function bigNumbers(bytes: Buffer, signed: boolean): DicomJsonValue[] {
  const values: DicomJsonValue[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const big = signed ? bytes.readBigInt64LE(at) : bytes.readBigUInt64LE(at);
    values.push(Number.isSafeInteger(Number(big)) ? Number(big) : big.toString());
  }
  return values;
}

function textToJson(text: string, vr: string): DicomJsonValue[] {
  // Single-valued text keeps its leading spaces, they mean something.
  const values = splitValues(text, vr);
  if (vr === 'PN') {
    return values.map((value) => (trimEndPadding(value) === '' ? null : personNameToJson(value)));
  }
  if (vr === 'DS') return values.map((value) => numberOrText(value, parseDecimalString));
  if (vr === 'IS') return values.map((value) => numberOrText(value, parseIntegerString));
  return values.map((value) => (value === '' ? null : value));
}

/** What is no number stays text: nothing is lost, and nothing invented. */
function numberOrText(value: string, read: (value: string) => number | undefined): DicomJsonValue {
  if (value.trim() === '') return null;
  const number = read(value);
  return number === undefined || !Number.isFinite(number) ? value : number;
}

function bulkUri(dataset: Dataset, at: number, options: DicomJsonOptions): string | undefined {
  if (!options.bulkDataUri) return undefined;
  const { source } = dataset;
  const { leftOut = [], pixel } = source.options;
  const path = [...dataset.path, dataset.index.tags[at]];
  const vr = vrName(dataset.index.vrs[at]);
  let bulk: BulkReference | undefined;
  if (pixel && path.length === 1 && path[0] === pixel.tag) bulk = { path, vr, pixel };
  else {
    source.leftOutByPath ??= new Map(leftOut.map((value) => [pathKey(value.path), value] as [string, LeftOutValue]));
    const value = source.leftOutByPath.get(pathKey(path));
    if (value) bulk = { path, vr, leftOut: value };
  }
  return bulk && options.bulkDataUri(bulk);
}

function pathKey(path: readonly number[]): string {
  return path.join('/');
}

import type { LeftOutValue, PixelTable, Tag } from './api';
import type { DicomJson } from '@archipelago/dicom-core';

export function compressHeader(_header: Buffer): Buffer {
  throw new Error('follows');
}
export function decompressHeader(_compressed: Buffer, _rawLength: number): Buffer {
  throw new Error('follows');
}
export interface BulkReference {
  path: readonly number[];
  vr: string;
  leftOut?: LeftOutValue;
  pixel?: PixelTable;
}
export interface DatasetOptions {
  leftOut?: readonly LeftOutValue[];
  pixel?: PixelTable | null;
}
export interface DicomJsonOptions {
  /** The URI of a value that is not in the header; undefined leaves the value away. */
  bulkDataUri?: (bulk: BulkReference) => string | undefined;
}
/** Lazily decoded view; a tag may be given as number or keyword. */
export declare class Dataset {
  readonly warnings: string[];
  tags(): Tag[];
  has(tag: Tag | string): boolean;
  vr(tag: Tag | string): string | undefined;
  string(tag: Tag | string): string | undefined;
  strings(tag: Tag | string): string[];
  number(tag: Tag | string): number | undefined;
  numbers(tag: Tag | string): number[];
  bytes(tag: Tag | string): Buffer | undefined;
  items(tag: Tag | string): Dataset[];
  toDicomJson(options?: DicomJsonOptions): DicomJson;
}
export function readHeader(_header: Buffer, _options?: DatasetOptions): Dataset {
  throw new Error('follows');
}
export function parseDataset(_bytes: Buffer, _transferSyntaxUid: string): Dataset {
  throw new Error('follows');
}
/** charset: terms of SpecificCharacterSet; a value that does not fit turns the whole dataset to ISO_IR 192. */
export function writeDataset(_json: DicomJson, _transferSyntaxUid: string, _charset?: readonly string[]): Buffer {
  throw new Error('follows');
}
export async function* transcodeNative(
  _source: AsyncIterable<Buffer>,
  _fromTransferSyntaxUid: string,
  _toTransferSyntaxUid: string,
): AsyncGenerator<Buffer> {
  throw new Error('follows');
}

import type { HeaderLimits, HeaderReaderLike, HeaderResult, LeftOutValue, PixelTable, Tag } from './api';
import type { DicomJson } from '@archipelago/dicom-core';

export class HeaderReader implements HeaderReaderLike {
  constructor(readonly transferSyntaxUid: string, readonly limits: HeaderLimits = {}) {}
  push(_chunk: Buffer): void {
    throw new Error('follows');
  }
  end(): HeaderResult {
    throw new Error('follows');
  }
}
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
export interface Part10Meta {
  sopClassUid: string;
  sopInstanceUid: string;
  transferSyntaxUid: string;
  implementationClassUid?: string;
  implementationVersionName?: string;
  sourceAeTitle?: string;
  sendingAeTitle?: string;
  receivingAeTitle?: string;
}
export function writePart10Meta(_meta: Part10Meta): Buffer {
  throw new Error('follows');
}
export interface Part10MetaRead extends Partial<Part10Meta> {
  /** Where the dataset begins in the file. */
  datasetOffset: number;
  warnings: string[];
}
/** @returns null when more bytes are needed */
export function readPart10Meta(_firstBytes: Buffer, _end?: boolean): Part10MetaRead | null {
  throw new Error('follows');
}
export async function* transcodeNative(
  _source: AsyncIterable<Buffer>,
  _fromTransferSyntaxUid: string,
  _toTransferSyntaxUid: string,
): AsyncGenerator<Buffer> {
  throw new Error('follows');
}

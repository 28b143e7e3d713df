/** A DICOM file as a test looks at it. */
import { HeaderReader, readHeader, readPart10Meta, type Dataset } from '@archipelago/dicom-encoding';

const ORIGINAL_ATTRIBUTES = 0x04000561;
const MODIFIED_ATTRIBUTES = 0x04000550;

export interface Part10Dataset {
  /** Values of an element as text. */
  strings(keyword: string): string[];
  /** What the last modification says that an element was (PS3.3 C.12.1.1.9). */
  original(keyword: string): string[];
  /** Everything from PixelData (7FE0,0010) on, native. */
  pixels(): Buffer;
}

export function readPart10Dataset(file: Buffer): Part10Dataset {
  const meta = readPart10Meta(file, true)!;
  const bytes = file.subarray(meta.datasetOffset);
  const reader = new HeaderReader(meta.transferSyntaxUid);
  reader.push(bytes);
  const { header, leftOut } = reader.end();
  const dataset: Dataset = readHeader(header, { leftOut });
  return {
    strings: (keyword) => dataset.strings(keyword),
    original: (keyword) =>
      dataset.items(ORIGINAL_ATTRIBUTES).at(-1)?.items(MODIFIED_ATTRIBUTES)[0]?.strings(keyword) ?? [],
    pixels: () => bytes.subarray(bytes.indexOf(Buffer.from('e07f1000', 'hex'))),
  };
}

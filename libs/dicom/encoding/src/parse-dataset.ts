import type { HeaderLimits } from './api';
import { readHeader, type Dataset } from './dataset';
import { HeaderReader } from './header-reader';

/**
 * Reads a small dataset that is whole in memory (a query identifier, an N-SET attribute list). Values of any length are
 * kept, but pixel data is left out. No bytes at all are an empty dataset.
 *
 * @throws DatasetError
 */
export function parseDataset(bytes: Buffer, transferSyntaxUid: string, limits: HeaderLimits = {}): Dataset {
  if (bytes.length === 0) return readHeader(bytes);
  const reader = new HeaderReader(transferSyntaxUid, { leftOutOver: Infinity, ...limits });
  reader.push(bytes);
  const result = reader.end();
  return readHeader(result.header, { pixel: result.pixel, leftOut: result.leftOut });
}

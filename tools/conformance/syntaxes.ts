import { transferSyntax } from '@archipelago/dicom-core';
import { pixelSyntaxes } from '@archipelago/dicom-pixel';
import { table } from './markdown';

/** What can be decoded, and what is made for a receiver. */
export function retrievalSyntaxes(): string {
  const yes = (flag: boolean): string => (flag ? 'yes' : 'no');
  return table(
    ['Transfer syntax', 'UID', 'Decoded', 'Encoded (without loss)'],
    pixelSyntaxes().map(({ uid, decodable, encodable }) => [
      transferSyntax(uid).name,
      uid,
      yes(decodable),
      yes(encodable),
    ]),
  );
}

import { definedTerms } from '@archipelago/dicom-core';
import { list } from './markdown';

export function characterSets(): string[] {
  return [
    'Understood in queries and in what is stored, and kept as received:',
    list([
      `Without code extensions: ${definedTerms('single').join(', ')}.`,
      `With code extensions (ISO 2022 escapes): ${definedTerms('extension').join(', ')}.`,
      `Multi-byte without code extensions: ${definedTerms('multi').join(', ')}.`,
    ]),
    'Bytes that are invalid in the declared set become U+FFFD in the catalog; the object keeps them.',
  ];
}
